"""Pages of answers: what `query` answers, a page at a time, with a cursor to go on from."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from typing import Annotated, Any, Final, NamedTuple

import psycopg
from pydantic import BaseModel, ConfigDict, Field

from infra.errors import NotReady, TickledgerError
from projections import formats
from projections.account_answers import check_account
from projections.database import Connection
from projections.listings import known_listings, resolve
from projections.query import answer
from projections.question import Question
from projections.streams import Stream, between, streams
from schemas.timeframes import TIMEFRAMES
from schemas.times import parse_time_ms

MOST_ROWS: Final = 5_000
DEFAULT_ROWS: Final = 500

_NUMBERED: Final = {"ticks": "n", "reference": "ref_no"}
_LONGEST: Final = 1 << 20
"""Bytes of a cursor, unpacked: of ten thousand streams."""

_Number = Annotated[int, Field(ge=0, lt=2**62)]


class BadQuestion(TickledgerError):
    """What was asked can't be answered; the message says why."""


class Asked(NamedTuple):
    """A question as a client puts it; of symbol, account and timeframe the parameters that the answer has."""

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
    """`items` and `next`. Raises BadQuestion, UnknownSymbol, UnknownAccount or NotReady.

    Ticks and reference go on by number. Of the rest a first page begins what the database has by then, in its order,
    and a cursor keeps how far each stream was: when all that is given, what came since follows, in its order again.
    """
    if asked.newest and asked.cursor is not None:
        raise BadQuestion("newest takes no cursor: go on from a page of the first rows, or ask for the newest alone")
    if asked.what == "ticks" and asked.symbol is None:
        raise BadQuestion("ticks are asked for by listing: give symbol")
    if asked.account is not None:
        check_account(connection, asked.account)
    cursor = _read_cursor(asked.cursor, _name(connection, asked))
    question = Question(
        asked.what,
        _listings(connection, asked),
        _timeframe(asked.timeframe),
        _time(asked.from_time, "from"),
        _time(asked.to_time, "to"),
        from_n=cursor.n,
        limit=asked.limit,
        tail=asked.newest,
        account=asked.account,
    )
    if asked.what in _NUMBERED:
        rows, _ = _rows(connection, question)
        n = rows[-1][_NUMBERED[asked.what]] + 1 if rows else cursor.n
        return {"items": rows, "next": _text(_Cursor(of=cursor.of, n=n))}
    try:
        rows, cursor = _follow(connection, question, cursor)
    except (ValueError, TypeError, psycopg.DataError) as error:
        if not cursor.after:
            raise
        raise _no_cursor(asked.cursor) from error
    return {"items": rows, "next": _text(cursor)}


class _Cursor(BaseModel):
    """How far a client is with its question.

    `n`: the next number, of ticks and reference. Of the rest `low`: the numbers of each stream from which on nothing
    was given; `high`, if not all of those below them were: where they end, and `after`: the place of the last one.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    of: str
    n: _Number = 0
    low: dict[str, _Number] = {}
    high: dict[str, _Number] = {}
    after: list[int | str] = []


def _follow(connection: Connection, question: Question, cursor: _Cursor) -> tuple[list[dict[str, Any]], _Cursor]:
    """The rows that follow, and the cursor behind them. Raises NotReady while the database has less than was given."""
    found = streams(connection, question)
    ends = {stream.name: stream.next for stream in found}
    if any(ends.get(name, 0) < number for name, number in [*cursor.low.items(), *cursor.high.items()]):
        raise NotReady(
            f"the database has fewer {question.what} than this cursor was given of: it is made again from the log; "
            "ask once more when the projector is through (tickledger status)"
        )
    low, high, after = cursor.low, cursor.high, tuple(cursor.after)
    rows: list[dict[str, Any]] = []
    if after:
        rows, after = _between(connection, question, found, low, high, after)
        low = low if rows else high
    if not rows:
        high = ends
        rows, after = _between(connection, question, found, low, high, ())
    if question.tail or len(rows) < (question.limit or 0):
        return rows, _Cursor(of=cursor.of, low=high)
    return rows, _Cursor(of=cursor.of, low=low, high=high, after=list(after))


def _between(
    connection: Connection,
    question: Question,
    found: list[Stream],
    low: dict[str, int],
    high: dict[str, int],
    after: tuple[int | str, ...],
) -> tuple[list[dict[str, Any]], tuple[int | str, ...]]:
    """The rows of [low, high) behind `after`, and the last one's place."""
    condition = between(found, low, high)
    if condition is None:
        return [], ()
    return _rows(connection, replace(question, rows=condition, after=after))


def _rows(connection: Connection, question: Question) -> tuple[list[dict[str, Any]], tuple[int | str, ...]]:
    """The rows, and the place of the last one, where they have places."""
    found = answer(connection, question)
    frames = [frame for frame in found.frames if len(frame)]
    out = BytesIO()
    names = [column.name for column in found.columns]
    formats.write_json([frame.select(names) for frame in frames], found.columns, out)
    rows: list[dict[str, Any]] = json.loads(out.getvalue())
    placed = question.rows is not None and bool(frames)
    return rows, tuple(json.loads(frames[-1]["_place"][-1])) if placed else ()


def _name(connection: Connection, asked: Asked) -> str:
    """Names the question and the log that it is asked of: a cursor holds for these alone."""
    log = connection.execute("select cluster_id from tickledger.log").fetchone()
    if log is None:
        raise NotReady("the database names no log yet: ask again when the projector has begun (tickledger status)")
    said = (log, asked.what, asked.symbol, asked.account, asked.timeframe, asked.from_time, asked.to_time)
    return blake2b(json.dumps(said).encode(), digest_size=6).hexdigest()


def _text(cursor: _Cursor) -> str:
    packed = zlib.compress(cursor.model_dump_json(exclude_defaults=True).encode())
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_cursor(text: str | None, of: str) -> _Cursor:
    if text is None:
        return _Cursor(of=of)
    try:
        unpacking = zlib.decompressobj()
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = _Cursor.model_validate_json(unpacking.decompress(packed, _LONGEST))
    except (ValueError, zlib.error) as error:
        raise _no_cursor(text) from error
    if cursor.of != of:
        raise BadQuestion(
            f"the cursor {text!r} is of another question, or of another log: give it with the same answer, symbol, "
            "account, timeframe, from and to, or begin without one"
        )
    return cursor


def _no_cursor(text: str | None) -> BadQuestion:
    return BadQuestion(f"the cursor {text!r} is none that an answer gave: begin without one")


def _listings(connection: Connection, asked: Asked) -> tuple[Any, ...]:
    if asked.symbol is None:
        return tuple(known_listings(connection)) if asked.what == "bars" else ()
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
