"""Pages of answers: what `query` answers, a page at a time, with a cursor to go on from."""

from __future__ import annotations

import base64
import binascii
import json
from io import BytesIO
from typing import Any, Final, NamedTuple

from infra.errors import TickledgerError
from projections import formats
from projections.account_answers import has_listing
from projections.columns import ACCOUNT_ANSWERS, COLUMNS
from projections.database import Connection
from projections.listings import known_listings, resolve
from projections.query import answer
from projections.question import Question
from schemas.timeframes import TIMEFRAMES
from schemas.times import parse_time_ms

MOST_ROWS: Final = 5_000
DEFAULT_ROWS: Final = 500


class BadQuestion(TickledgerError):
    """What was asked can't be answered; the message says why."""


class Asked(NamedTuple):
    """A question as a client puts it."""

    what: str
    symbol: str | None = None
    account: str | None = None
    timeframe: str | None = None
    from_time: str | None = None
    to_time: str | None = None
    limit: int = DEFAULT_ROWS
    cursor: str | None = None
    newest: bool = False


def page(connection: Connection, asked: Asked) -> dict[str, Any]:
    """`items` and `next`. Raises BadQuestion or UnknownSymbol.

    A cursor names a time and how many rows of that millisecond were given; of ticks the next n.
    """
    if asked.newest and asked.cursor is not None:
        raise BadQuestion("newest takes no cursor: go on from a page of the first rows, or ask for the newest alone")
    after = _read_cursor(asked.cursor)
    of_ticks = asked.what == "ticks"
    if of_ticks and asked.symbol is None:
        raise BadQuestion("ticks are asked for by listing: give symbol")
    skip = 0 if of_ticks else after.get("skip", 0)
    from_ms = _time(asked.from_time, "from")
    if not of_ticks and "ms" in after:
        from_ms = max(after["ms"], from_ms if from_ms is not None else after["ms"])
    question = Question(
        asked.what,
        _listings(connection, asked),
        _timeframe(asked.timeframe),
        from_ms,
        _time(asked.to_time, "to"),
        from_n=after.get("n", 0) if of_ticks else 0,
        limit=skip + asked.limit,
        tail=asked.newest,
        account=asked.account,
    )
    rows = _rows(connection, question)[skip:]
    return {"items": rows, "next": _next(asked.what, rows, after) or asked.cursor}


def _rows(connection: Connection, question: Question) -> list[dict[str, Any]]:
    found = answer(connection, question)
    out = BytesIO()
    formats.write_json(found.frames, found.columns, out)
    rows: list[dict[str, Any]] = json.loads(out.getvalue())
    return rows


def _next(what: str, rows: list[dict[str, Any]], after: dict[str, int]) -> str | None:
    if not rows:
        return None
    if what == "ticks":
        return _cursor({"n": rows[-1]["n"] + 1})
    column = "written" if what == "reference" else "time"
    last = rows[-1][column]
    given = sum(1 for row in rows if row[column] == last)
    ms = parse_time_ms(last)
    if after.get("ms") == ms:
        given += after.get("skip", 0)
    return _cursor({"ms": ms, "skip": given})


def _cursor(values: dict[str, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read_cursor(text: str | None) -> dict[str, int]:
    if text is None:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(found, dict) or not all(isinstance(v, int) and v >= 0 for v in found.values()):
            raise ValueError(text)
    except (ValueError, binascii.Error) as error:
        raise BadQuestion(f"the cursor {text!r} is none that an answer gave: begin without one") from error
    if found.get("skip", 0) > _MOST_SKIPPED:
        raise BadQuestion(f"the cursor {text!r} is none that an answer gave: begin without one")
    return {name: min(value, _MOST) for name, value in found.items()}


def _listings(connection: Connection, asked: Asked) -> tuple[Any, ...]:
    if asked.symbol is None:
        return tuple(known_listings(connection)) if asked.what == "bars" else ()
    if asked.what in ACCOUNT_ANSWERS and not has_listing(asked.what):
        raise BadQuestion(f"{asked.what} is not of listings: leave symbol out")
    return (resolve(asked.symbol, known_listings(connection)),)


def _timeframe(text: str | None) -> Any:
    if text is None:
        return None
    known = {t.name: t for t in TIMEFRAMES}
    if text.upper() not in known:
        raise BadQuestion(f"timeframe {text!r} is none: take one of {', '.join(known)}")
    return known[text.upper()]


def _time(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_time_ms(text)
    except ValueError as error:
        raise BadQuestion(f"{name}: {error}") from error


_MOST: Final = 2**62
_MOST_SKIPPED: Final = 1_000_000
"""Rows of one millisecond."""
KINDS: Final = tuple(COLUMNS)
