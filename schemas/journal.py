"""The journal of an account: what reached it, in the one order and at the time in which it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EntryKind(StrEnum):
    """What a journal entry is."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    INPUT = "INPUT"
    CLOCK = "CLOCK"
    REFERENCE = "REFERENCE"


class JournalSource(StrEnum):
    """Where a journal was made."""

    UNKNOWN = "UNKNOWN"
    LIVE = "LIVE"
    PAPER = "PAPER"
    BACKTEST = "BACKTEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """What reached an account, in the one order and at the time in which it was taken."""

    kind: EntryKind
    source: JournalSource
    account: str
    epoch: int
    nonce: bytes
    seq: int
    taken_us: int
    stream: str
    stream_seq: int
    input: bytes
    clock_names: tuple[str, ...]
    clock_us: tuple[int, ...]
    clock_listing: tuple[int, ...]
    clock_n: tuple[int, ...]
    clock_time_ms: tuple[int, ...]
    clock_bid: tuple[float, ...]
    clock_ask: tuple[float, ...]
    clock_quality: tuple[int, ...]
    clock_watermark_ms: tuple[int, ...]
    mark_streams: tuple[str, ...]
    mark_seqs: tuple[int, ...]
    key_id: str
    prev: bytes
    mac: bytes
