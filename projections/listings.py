"""Which listing a person means by `EURUSD` or `oanda/EURUSD`."""

from __future__ import annotations

import difflib
from typing import Final, NamedTuple

from infra.errors import TickledgerError
from projections.database import Connection

_NEAR: Final = 5


class UnknownSymbol(TickledgerError):
    """No listing of the log has this name, or several have."""


class Known(NamedTuple):
    """A listing of the log; `id` is None while it has a specification and nothing else."""

    name: str
    id: int | None


def known_listings(connection: Connection) -> list[Known]:
    """All listings of the database, by name."""
    rows = connection.execute(
        "select coalesce(listings.name, subject), id from tickledger.listings full join (select distinct subject "
        "from tickledger.reference where kind = 'ListingSpec') as specified on subject = listings.name order by 1"
    ).fetchall()
    return [Known(name, number) for name, number in rows]


def resolve(symbol: str, known: list[Known]) -> Known:
    """The listing that `symbol` names: feed/SYMBOL, or SYMBOL alone while only one feed has it.

    Raises UnknownSymbol with the near ones, or with the feeds that have it.
    """
    if "/" in symbol:
        found = [listing for listing in known if listing.name == symbol]
    else:
        found = [listing for listing in known if listing.name.partition("/")[2] == symbol]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownSymbol(
            f"{len(found)} feeds have {symbol}: say which one: {', '.join(listing.name for listing in found)}"
        )
    raise UnknownSymbol(f"no listing is called {symbol!r}: {_nearest(symbol, [listing.name for listing in known])}")


def _nearest(symbol: str, names: list[str]) -> str:
    """What is there that looks or sounds like it."""
    if not names:
        return "the database has none yet; bring files in with tickledger import"
    by_symbol: dict[str, list[str]] = {}
    for name in names:
        by_symbol.setdefault(name.partition("/")[2].casefold(), []).append(name)
    asked = symbol.rpartition("/")[2].casefold()
    near = [known for known in by_symbol if asked in known]
    near += difflib.get_close_matches(asked, by_symbol, n=_NEAR, cutoff=0.6)
    found = list(dict.fromkeys(name for known in near for name in by_symbol[known]))
    found += [name for name in difflib.get_close_matches(symbol, names, n=_NEAR, cutoff=0.8) if name not in found]
    found = found[:_NEAR]
    if found:
        return f"near it: {', '.join(found)}"
    shown = ", ".join(names[:_NEAR]) + (f" and {len(names) - _NEAR} more" if len(names) > _NEAR else "")
    return f"there are {shown}"
