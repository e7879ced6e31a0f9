"""Orders, fills, decisions, positions, equity and the rest of an account: what their views are asked for."""

from __future__ import annotations

from typing import Final, NamedTuple

from infra.errors import TickledgerError
from projections.columns import ACCOUNT_ANSWERS, COLUMNS, Column
from projections.database import Connection


class UnknownAccount(TickledgerError):
    """The log has no account of this name."""


def check_account(connection: Connection, name: str) -> None:
    """Raises UnknownAccount, with the accounts that there are, unless the log has this one."""
    known = [account for (account,) in connection.execute(_KNOWN)]
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "the log has none yet"
        raise UnknownAccount(f"no account is called {name!r}: {there}")


class Select(NamedTuple):
    """How an answer is asked for: of what, which column is its time, its order, and how rows of a listing are chosen.

    Where the order begins with the time, no two rows have the same place in it.
    """

    columns: str
    source: str
    time: str
    order: tuple[str, ...]
    of_listing: str


_KNOWN: Final = """
select name from tickledger.accounts union select subject from tickledger.reference where kind = 'AccountConfig'
order by 1
"""
_AS: Final = {"money": "trim_scale({})::text", "json": "{}::text"}


def _columns(what: str) -> str:
    return ", ".join(f"{_AS.get(c.kind, '{}').format(c.name)} as {c.name}" for c in COLUMNS[what])


def has_listing(what: str) -> bool:
    """Whether its rows are of listings."""
    return any(column.name == "listing" for column in COLUMNS[what])


def _of_listing(what: str) -> str:
    return "listing = any({names})" if has_listing(what) else "true"


def _order(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return ("time", "account", *(("topic",) if any(c.name == "code" for c in columns) else ()), "seq", "log_offset")


ACCOUNT_SELECTS: Final = {
    what: Select(_columns(what), f"from tickledger.{what}", "time", _order(COLUMNS[what]), _of_listing(what))
    for what in ACCOUNT_ANSWERS
}
"""By answer."""
