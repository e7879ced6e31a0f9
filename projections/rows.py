"""The rows that a batch becomes, table by table."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg.types.json import Jsonb

from projections.batch import Batch, Numbered
from projections.copy import BARS, TICK_BLOCKS, TICKS, macs, timestamptz, timestamptz_us
from projections.moments import Moment
from schemas.chains import Position
from schemas.events import Alert, Bar, Signal, SourceEvent
from schemas.journal import JournalEntry
from schemas.quality import BROKEN

Longs = npt.NDArray[np.int64]
Ids = dict[str, int]

_NEVER: Final = -(2**63)
_NO_TICK_LOW: Final = 2**63 - 1


def tick_rows(batch: Batch, listings: Ids) -> Iterator[npt.NDArray[Any]]:
    """Rows of `ticks`; those whose time is beyond timestamptz come apart, with it in milliseconds."""
    sizes = np.array([block.size for block, _ in batch.blocks], np.int64)
    ids = np.repeat(np.array([listings[block.listing] for block, _ in batch.blocks], np.int32), sizes)
    before = np.cumsum(sizes) - sizes
    firsts = np.array([block.first_n for block, _ in batch.blocks], np.int64)
    n = np.arange(batch.ticks) + np.repeat(firsts - before, sizes)
    columns = batch.columns
    for start, end, deals in batch.runs():
        cut: slice | npt.NDArray[np.bool_] = slice(start, end)
        time_ms = columns.time_ms[start:end]
        times, infinite = timestamptz(time_ms)
        values: dict[str, Any] = {
            "n": n[cut],
            "time": times,
            "bid": columns.prices[0, cut],
            "ask": columns.prices[1, cut],
            "listing_id": ids[cut],
            "flags": columns.marks[0, cut],
            "quality": columns.marks[1, cut],
            "last": columns.prices[2, cut] if deals else None,
            "volume": columns.prices[3, cut] if deals else None,
            "time_ms": None,
        }
        if infinite is None:
            yield TICKS.rows(end - start, values)
            continue
        for chosen, exact in ((~infinite, None), (infinite, time_ms[infinite])):
            some = {name: None if column is None else column[chosen] for name, column in values.items()}
            yield TICKS.rows(int(chosen.sum()), some | {"time_ms": exact})


def block_rows(batch: Batch, listings: Ids, newest_ms: dict[str, int]) -> Iterator[npt.NDArray[Any]]:
    """Rows of `tick_blocks`; moves `newest_ms`, the time of each listing's newest tick that isn't broken."""
    blocks = [block for block, _ in batch.blocks]
    if not blocks:
        return
    sizes = np.array([block.size for block in blocks])
    good_high = _high(np.where(batch.columns.marks[1, : batch.ticks] & BROKEN, _NEVER, _times(batch)), sizes)
    newest = []
    for block, high in zip(blocks, good_high.tolist(), strict=True):
        newest_ms[block.listing] = max(newest_ms.get(block.listing, _NEVER), high)
        newest.append(newest_ms[block.listing])
    yield TICK_BLOCKS.rows(
        len(blocks),
        {
            "first_n": np.array([block.first_n for block in blocks]),
            "seq": np.array([block.seq for block in blocks]),
            "time": timestamptz(np.array(newest, np.int64))[0],
            "received": timestamptz_us(np.array([block.received_us for block in blocks], np.int64)),
            "watermark": timestamptz(np.array([block.watermark_ms for block in blocks], np.int64))[0],
            "from_time": timestamptz(-_high(_negated(_times(batch)), sizes, -_NO_TICK_LOW))[0],
            "to_time": timestamptz(_high(_times(batch), sizes))[0],
            "epoch": np.array([block.epoch for block in blocks]),
            "ref_no": np.array([block.ref_no for block in blocks]),
            "log_offset": np.array([position.offset for _, position in batch.blocks]),
            "listing_id": np.array([listings[block.listing] for block in blocks]),
            "count": sizes,
            "server_offset_s": np.array([block.server_offset_s for block in blocks]),
            "log_partition": np.array([position.partition for _, position in batch.blocks]),
            "source": np.array([block.source for block in blocks]),
            "gap": np.array([block.gap for block in blocks]),
            "mac": macs([block.mac for block in blocks]),
        },
    )


def good_times(batch: Batch) -> Longs:
    """Times of the ticks that aren't broken: int64, UTC epoch in milliseconds."""
    good: Longs = _times(batch)[batch.columns.marks[1, : batch.ticks] & BROKEN == 0]
    return good


def bar_rows(bars: list[Bar], listings: Ids, operators: Ids) -> npt.NDArray[Any]:
    """Rows of `bars`."""
    names = [name for name in BARS.columns if name not in ("time", "listing_id", "operator_id")]
    values: dict[str, Any] = {name: np.array([getattr(bar, name) for bar in bars]) for name in names}
    values["time"] = timestamptz(np.array([bar.time_ms for bar in bars], np.int64))[0]
    values["listing_id"] = np.array([listings[bar.listing] for bar in bars])
    values["operator_id"] = np.array([operators[bar.operator] for bar in bars])
    return BARS.rows(len(bars), values)


SIGNAL_COLUMNS: Final = {
    "time": "timestamptz",
    "out_seq": "int8",
    "n": "int8",
    "from_n": "int8",
    "bid": "float8",
    "ask": "float8",
    "strength": "float8",
    "valid_for_ms": "int8",
    "max_hold_ms": "int8",
    "cooldown_ms": "int8",
    "expires_ms": "int8",
    "ref_no": "int8",
    "kind": "text",
    "side": "text",
    "entry_type": "text",
    "on_opposite": "text",
    "price": "float8",
    "stop_distance": "float8",
    "target_distance": "float8",
    "trail_long": "float8",
    "trail_short": "float8",
    "breakeven_at": "float8",
    "partial_at": "float8",
    "partial_share": "float8",
    "model": "text",
    "message": "text",
    "key_id": "text",
    "mac": "bytea",
    "log_offset": "int8",
    "log_partition": "int2",
    "listing_id": "int4",
    "operator_id": "int4",
}
_SIGNAL_FIELDS: Final = tuple(SIGNAL_COLUMNS)[1:-4]


def signal_rows(signals: list[tuple[Signal, Position]], listings: Ids, operators: Ids) -> Iterator[tuple[Any, ...]]:
    """Rows of `signals`, in the order of SIGNAL_COLUMNS."""
    for signal, position in signals:
        fields = (_text(getattr(signal, name)) for name in _SIGNAL_FIELDS)
        ids = (listings[signal.listing], operators[signal.operator])
        yield Moment.of_ms(signal.time_ms), *fields, position.offset, position.partition, *ids


SOURCE_COLUMNS: Final = (
    *("event_id", "feed", "kind", "time", "listing", "from_n", "to_n", "from_time", "to_time"),
    *("server_offset_s", "detail", "log_partition", "log_offset"),
)


def source_row(event: SourceEvent, position: Position) -> tuple[Any, ...]:
    """A row of `sources`, in the order of SOURCE_COLUMNS; what the record has not is null."""
    row = (
        event.event_id,
        event.feed,
        event.kind,
        Moment.of_us(event.time_us),
        event.listing,
        event.from_n if event.from_n >= 0 else None,
        event.to_n if event.to_n >= 0 else None,
        Moment.of_ms(event.from_ms) if event.from_ms else None,
        Moment.of_ms(event.to_ms) if event.to_ms else None,
        event.server_offset_s,
        event.detail,
        position.partition,
        position.offset,
    )
    return tuple(map(_text, row))


ALERT_COLUMNS: Final = (
    *("alert_id", "code", "severity", "source", "subject", "time"),
    *("about_topic", "about_partition", "about_offset", "message", "log_partition", "log_offset"),
)


def alert_row(alert: Alert, position: Position) -> tuple[Any, ...]:
    """A row of `alerts`, in the order of ALERT_COLUMNS."""
    row = (
        alert.alert_id,
        alert.code,
        alert.severity,
        alert.source,
        alert.subject,
        Moment.of_us(alert.time_us),
        alert.topic or None,
        alert.partition if alert.partition >= 0 else None,
        alert.offset if alert.offset >= 0 else None,
        alert.message,
        position.partition,
        position.offset,
    )
    return tuple(map(_text, row))


REFERENCE_COLUMNS: Final = (
    *("ref_no", "kind", "subject", "effective_from", "written", "epoch", "seq", "log_offset", "mac", "body"),
)


_SUBJECTS: Final = ("chain", "listing", "instance", "account")


def reference_row(record: Numbered, position: Position) -> tuple[Any, ...]:
    """A row of `reference`, in the order of REFERENCE_COLUMNS."""
    subject = next(getattr(record, name) for name in _SUBJECTS if hasattr(record, name))
    row = (
        record.ref_no,
        type(record).__name__,
        subject,
        Moment.of_us(record.effective_from_us) if record.effective_from_us else None,
        Moment.of_us(record.written_us),
        record.epoch,
        record.seq,
        position.offset,
        record.mac,
        json.dumps(_plain(dataclasses.asdict(record)), ensure_ascii=False),
    )
    return tuple(map(_text, row))


ACCOUNT_COLUMNS: Final = {
    "time": "timestamptz",
    "seq": "int8",
    "log_offset": "int8",
    "order_no": "int8",
    "position": "int8",
    "account_id": "int4",
    "operator_id": "int4",
    "log_partition": "int2",
    "topic": "text",
    "kind": "text",
    "listing": "text",
    "body": "jsonb",
}
_ON_ITS_TOPIC: Final = "input"
"""The bytes that a journal entry took: they lie on the topic that it names."""


def account_rows(records: list[tuple[Any, Position]], accounts: Ids, operators: Ids) -> Iterator[tuple[Any, ...]]:
    """Rows of `account_records`, in the order of ACCOUNT_COLUMNS."""
    for record, position in records:
        body = {f.name: getattr(record, f.name) for f in dataclasses.fields(record) if f.name != _ON_ITS_TOPIC}
        yield (
            Moment.of_us(account_time_us(record)),
            body["out_seq"] if "operator" in body else record.seq,
            position.offset,
            body.get("order_no") or None,
            body.get("position") or None,
            accounts[record.account],
            operators[record.operator] if "operator" in body else 0,
            position.partition,
            position.topic,
            str(record.kind) if isinstance(record, JournalEntry) else type(record).__name__,
            _text(body.get("listing", "")),
            Jsonb(_plain(body)),
        )


def account_time_us(record: Any) -> int:
    """When it was taken or written: UTC epoch in microseconds."""
    return int(record.taken_us if hasattr(record, "taken_us") else record.written_us)


def _times(batch: Batch) -> Longs:
    return batch.columns.time_ms[: batch.ticks]


def _negated(times: Longs) -> Longs:
    """-times, but of the lowest int64, which has no opposite, the highest."""
    return -np.maximum(times, -_NO_TICK_LOW)


def _high(times: Longs, sizes: npt.NDArray[Any], none: int = _NEVER) -> Longs:
    """The highest time of each block of `sizes` ticks; `none` of one without ticks."""
    found = np.full(len(sizes), none, np.int64)
    filled = sizes > 0
    if filled.any():
        starts = (np.cumsum(sizes) - sizes)[filled]
        found[filled] = np.maximum.reduceat(times, starts)
    return found


def _text(value: Any) -> Any:
    """`value`; a text without NUL, which PostgreSQL can't hold; of an enum its name."""
    if isinstance(value, Enum):
        return value.value
    return value.replace("\x00", "\ufffd") if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """`value` as JSON has it: bytes in hexadecimal, numbers that are not finite as text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _text(value)
