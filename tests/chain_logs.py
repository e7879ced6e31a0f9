"""Logs of facts without a broker: two listings on one partition, what readers make of them, and single records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains, Judged
from schemas.events import (
    Alert,
    Bar,
    Event,
    ListingSpec,
    OnOpposite,
    ReferenceOpen,
    Repair,
    Severity,
    Side,
    Signal,
    SignalKind,
)
from schemas.integrity import ZERO_MAC
from schemas.timeframes import Timeframe
from tests.records import KEYS, ChainOfTicks

OURS = "test/EURUSD"
PARTITION = partition_of("ticks", OURS)
OTHER = next(f"test/N{i}" for i in range(1_000) if partition_of("ticks", f"test/N{i}") == PARTITION)
ELSEWHERE = next(f"test/N{i}" for i in range(1_000) if partition_of("ticks", f"test/N{i}") != PARTITION)

Record = tuple[str, bytes | None]
"""Key and value."""


def sound_log() -> list[Record]:
    """Two listings on one partition, turn by turn: an OPEN and five links each; at 2 * i + 2 is link i + 1 of ours."""
    ours, other = ChainOfTicks(OURS), ChainOfTicks(OTHER)
    log: list[Record] = [(OURS, ours.open()), (OTHER, other.open())]
    for _ in range(5):
        log += [(OURS, ours.data()), (OTHER, other.data())]
    return log


def at(link: int) -> int:
    """The offset of our link, from 1."""
    return 2 * link


def judged(log: list[Record], repairs: Sequence[Repair] = ()) -> list[Judged]:
    chains = Chains("ticks", KEYS, repairs)
    return [chains.judge(PARTITION, i, key.encode(), value) for i, (key, value) in enumerate(log)]


def taken(found: list[Judged], listing: str) -> list[int]:
    """The links of a listing that were taken, by number."""
    return [j.record.seq for j in found if j.verdict is Verdict.TAKE and j.chain == listing and j.record.seq]


def the_other_goes_on(found: list[Judged]) -> bool:
    return taken(found, OTHER) == [1, 2, 3, 4, 5]


def specs() -> list[Event]:
    """An OPEN and three links of `reference`, not sealed: prev and mac are zero."""
    opening = ReferenceOpen(epoch=1, nonce=b"nonce..1", seq=0, written_us=0, key_id="k1", prev=ZERO_MAC, mac=ZERO_MAC)
    listing = ListingSpec(
        epoch=1, nonce=b"nonce..1", seq=1, ref_no=1, effective_from_us=0, written_us=0, listing=OURS, digits=5,
        digits_inferred=False, contract_size=0.0, volume_min=0.0, volume_max=0.0, volume_step=0.0, stops_level=0,
        freeze_level=0, commission_per_lot_side=0.0, currency_base="", currency_profit="", server_clock="ny7",
        description="", key_id="k1", prev=ZERO_MAC, mac=ZERO_MAC,
    )  # fmt: skip
    return [opening, *(dataclasses.replace(listing, seq=i, ref_no=i) for i in (1, 2, 3))]


def bar(out_seq: int = 0, **changed: Any) -> Bar:
    plain = Bar(
        operator="bars@1", listing=OURS, out_seq=out_seq, ref_no=1, timeframe=Timeframe.M1, time_ms=0,
        server_offset_s=0, open=1.0, high=1.0, low=1.0, close=1.0, ask_close=1.0, ticks=1, spread_min=1,
        spread_mean=1.0, spread_max=1, volume=0.0, first_n=0, last_n=0, complete=True,
    )  # fmt: skip
    return dataclasses.replace(plain, **changed)


def signal(out_seq: int = 0, **changed: Any) -> Signal:
    plain = Signal(
        operator="berserker@2", listing=OURS, out_seq=out_seq, ref_no=2, kind=SignalKind.ENTER, side=Side.LONG,
        time_ms=0, n=0, from_n=0, bid=1.0, ask=1.0, valid_for_ms=0, max_hold_ms=0, on_opposite=OnOpposite.CLOSE,
        cooldown_ms=0, strength=0.0, model="", message="", key_id="k1", mac=ZERO_MAC,
    )  # fmt: skip
    return dataclasses.replace(plain, **changed)


def alert() -> Alert:
    return Alert(
        alert_id="a", code="a", severity=Severity.INFO, source="s", subject="s", time_us=0, topic="", partition=-1,
        offset=-1, message="m",
    )  # fmt: skip
