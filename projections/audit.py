"""The walk from a signal back to what it rests on: its activation, its listing's specification, and its ticks on the
topic."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import polars as pl

from infra.errors import TickledgerError
from projections.columns import COLUMNS, Column
from projections.database import Connection
from projections.listings import Known, known_listings, resolve
from projections.query import answer
from projections.question import Question
from schemas.identity import InvalidName, SignalId, parse_signal_id, split_operator


class UnknownRecord(TickledgerError):
    """No record of the database has this id."""


TICK_COLUMNS: Final = (
    *COLUMNS["ticks"],
    Column("topic", "text", "topic of the block that has the tick"),
    Column("partition", "int", "its partition"),
    Column("offset", "int", "its offset"),
    Column("place", "int", "place of the tick in the block, from 0"),
    Column("block_mac", "text", "MAC of the block, hexadecimal: the next block of the chain names it"),
)
"""Of the walk's ticks: those of `query ticks` and where each lies."""


@dataclasses.dataclass(frozen=True)
class Trail:
    """What a signal rests on. `signal` has the columns of `query signals` and its own position; `activation` and
    `specification` are records of `reference` (None if the log has none); `ticks` are from_n to n."""

    signal: dict[str, Any]
    activation: dict[str, Any] | None
    specification: dict[str, Any] | None
    ticks: pl.DataFrame


def trail(connection: Connection, text: str) -> Trail:
    """The walk from the signal whose id is `text`. Raises UnknownRecord, or UnknownSymbol for its listing."""
    try:
        wanted = parse_signal_id(text)
    except InvalidName as error:
        raise UnknownRecord(str(error)) from error
    listing = resolve(wanted.listing, known_listings(connection))
    signal = _signal(connection, wanted)
    ref_no = split_operator(wanted.operator)[1]
    return Trail(
        signal=signal,
        activation=_record(connection, "kind = 'OperatorActivation' and ref_no = %s", ref_no),
        specification=_record(
            connection,
            "kind = 'ListingSpec' and subject = %s and ref_no <= %s order by ref_no desc limit 1",
            *(wanted.listing, signal["ref_no"]),
        ),
        ticks=_ticks(connection, listing, signal["from_n"], signal["n"]),
    )


def _signal(connection: Connection, wanted: SignalId) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(_SIGNAL, (wanted.operator, wanted.listing, wanted.out_seq))
        row = cursor.fetchone()
        if row is None or cursor.description is None:
            raise UnknownRecord(_unknown(connection, wanted))
        return {"id": str(wanted)} | {c.name: v for c, v in zip(cursor.description, row, strict=True)}


def _unknown(connection: Connection, wanted: SignalId) -> str:
    rows = connection.execute(_HAS, (wanted.listing,)).fetchall()
    there = ", ".join(f"{operator} 0 to {last}" for operator, last in rows)
    return f"there is no signal {wanted}: {wanted.listing} has {there or 'none'}; tickledger query signals lists them"


def _record(connection: Connection, condition: str, *values: Any) -> dict[str, Any] | None:
    row = connection.execute(
        f"select body, log_offset from tickledger.reference where {condition}".encode(), values
    ).fetchone()
    return None if row is None else row[0] | {"topic": "reference", "partition": 0, "offset": row[1]}


def _ticks(connection: Connection, listing: Known, from_n: int, to_n: int) -> pl.DataFrame:
    question = Question("ticks", (listing,), from_n=from_n, to_n=to_n + 1)
    frames = [*answer(connection, question).frames] if to_n >= from_n else []
    ticks = pl.concat(frames, how="vertical") if frames else pl.DataFrame()
    blocks = connection.execute(_BLOCKS, (listing.id, to_n, from_n)).fetchall()
    if not len(ticks) or not blocks:
        return pl.DataFrame()
    n = ticks["n"].to_numpy()
    at = np.searchsorted(np.array([block[0] for block in blocks]), n, side="right") - 1
    return ticks.with_columns(
        pl.lit("ticks").alias("topic"),
        pl.Series("partition", [blocks[i][1] for i in at.tolist()], pl.Int64),
        pl.Series("offset", [blocks[i][2] for i in at.tolist()], pl.Int64),
        pl.Series("place", n - np.array([block[0] for block in blocks])[at], pl.Int64),
        pl.Series("block_mac", [blocks[i][3].hex() for i in at.tolist()], pl.String),
    )


_SIGNAL: Final = """
select to_char(time, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as time, listings.name as listing, kind, side, n, from_n, bid,
    ask, entry_type, price, expires_ms, stop_distance, target_distance, trail_long, trail_short, breakeven_at,
    partial_at, partial_share, valid_for_ms, max_hold_ms, on_opposite,
    cooldown_ms, strength, model, message, signals.ref_no, 'signals' as topic, log_partition as partition,
    log_offset as "offset", encode(mac, 'hex') as mac
from tickledger.signals join tickledger.listings on listings.id = listing_id
join tickledger.operators on operators.id = operator_id
where operators.name = %s and listings.name = %s and out_seq = %s
"""
_HAS: Final = """
select operators.name, next_out - 1 from tickledger.out_marks
join tickledger.listings on listings.id = listing_id join tickledger.operators on operators.id = operator_id
where topic = 'signals' and listings.name = %s and next_out > 0 order by 1
"""
_BLOCKS: Final = """
select first_n, log_partition, log_offset, mac from tickledger.tick_blocks
where listing_id = %s and count > 0 and first_n <= %s and first_n + count > %s order by first_n
"""
