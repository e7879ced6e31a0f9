"""The streams that the rows of an answer come in, and how far each of them is in the database.

A row has a number in its stream, and what comes later has a higher one, whatever its time says: an hour's bar comes
after the minutes in it, an alert of a clock that is behind after those that were read. So what is new since then is
what has numbers from those on that were due next then.

A fact's number is its link in the account's chain, since a Repair takes records late; an output's that of its operator
for the listing. Elsewhere it is the offset: a position has that of its last change, an alert that of the first copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from psycopg import sql

from projections.bar_answers import BARS_INSTANCE
from projections.database import Connection
from projections.question import Question
from schemas.catalogue import ACCOUNT_FACTS

_TOPICS: Final = {
    **{what: (what,) for what in ("alerts", "sources", "orders", "fills")},
    **dict.fromkeys(("positions", "equity", "pnl"), ("portfolio",)),
    "decisions": ("risk", "orders"),
}
_OUTPUTS: Final = ("bars", "signals")


class Stream(NamedTuple):
    """`next`: the number due next; `rows`: the condition that a row is of this stream, `number` its number's column."""

    name: str
    next: int
    rows: sql.Composable
    number: str


def streams(connection: Connection, question: Question) -> list[Stream]:
    """The streams of the question's rows. All rows below their `next` are in the database. Not of ticks or reference,
    whose rows are numbered through."""
    if question.what in _OUTPUTS:
        return _outputs(connection, question)
    if question.what in ACCOUNT_FACTS:
        return _chains(connection, question)
    return _partitions(connection, question)


def between(found: Iterable[Stream], low: Mapping[str, int], high: Mapping[str, int]) -> sql.Composable | None:
    """The condition that a row's number is in [low, high) of its stream, 0 where a stream isn't named; None if there
    are no such numbers."""
    parts = [
        sql.SQL("({} and {number} >= {} and {number} < {})").format(
            stream.rows,
            sql.Literal(low.get(stream.name, 0)),
            sql.Literal(high.get(stream.name, 0)),
            number=sql.SQL(stream.number),
        )
        for stream in found
        if low.get(stream.name, 0) < high.get(stream.name, 0)
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(parts)) if parts else None


def _outputs(connection: Connection, question: Question) -> list[Stream]:
    rows = connection.execute(
        "select operators.name, listings.name, next_out, operator_id, listing_id from tickledger.out_marks "
        "join tickledger.operators on operators.id = operator_id join tickledger.listings on listings.id = listing_id "
        "where topic = %s and (%s or listings.name = any(%s)) and (topic <> 'bars' or instance = %s)",
        (question.what, not question.listings, [listing.name for listing in question.listings], BARS_INSTANCE),
    ).fetchall()
    those = sql.SQL("operator_id = {} and listing_id = {}")
    return [
        Stream(f"{operator}/{listing}", due, those.format(*map(sql.Literal, ids)), "out_seq")
        for operator, listing, due, *ids in rows
    ]


def _chains(connection: Connection, question: Question) -> list[Stream]:
    rows = connection.execute(
        "select chain, seq from tickledger.heads where topic = %s and (%s or chain = %s)",
        (question.what, question.account is None, question.account),
    ).fetchall()
    those = sql.SQL("account = {}")
    return [Stream(account, seq + 1, those.format(sql.Literal(account)), "seq") for account, seq in rows]


def _partitions(connection: Connection, question: Question) -> list[Stream]:
    topics = _TOPICS[question.what]
    rows = connection.execute(
        "select topic, partition, next_offset from tickledger.marks where topic = any(%s)", (list(topics),)
    ).fetchall()
    of_topic = sql.SQL("topic = {} and ") if len(topics) > 1 else sql.SQL("")
    return [
        Stream(
            f"{topic}/{partition}",
            due,
            of_topic.format(sql.Literal(topic)) + sql.SQL("log_partition = {}").format(sql.Literal(partition)),
            "log_offset",
        )
        for topic, partition, due in rows
    ]
