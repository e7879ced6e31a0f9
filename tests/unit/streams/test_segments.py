"""How blocks are cut and joined into segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.quality import Quality
from schemas.ticks import TickBlock
from streams.segments import JOINED_TICKS, piece, segments, with_spec
from tests.property.references import LISTING, spec, view
from tests.property.tick_logs import block


def ticks(first_n: int, count: int, quality: int = 0, deals: bool = False, **changes: Any) -> TickBlock:
    times = np.arange(first_n, first_n + count, dtype=np.int64) * 1000
    prices = np.full(count, 1.39)
    wanted: dict[str, Any] = {
        "watermark_ms": int(times[-1]) if count else 0,
        "volume": np.ones(count) if deals else None,
        "quality": np.full(count, quality, np.int32),
        **changes,
    }
    return block(time_ms=times, bid=prices, ask=prices, first_n=first_n, **wanted)


def test_short_blocks_that_differ_in_nothing_are_joined() -> None:
    (one,) = segments([ticks(0, 3), ticks(3, 0), ticks(3, 2)])
    assert (one.first_n, one.time_ms.tolist(), one.watermark_ms) == (0, [0, 1000, 2000, 3000, 4000], 4000)


@pytest.mark.parametrize(
    "changed", [{"gap": True}, {"ref_no": 2}, {"offset_s": 7_200}, {"source": 1}, {"deals": True}], ids=str
)
def test_what_differs_is_not_joined(changed: dict[str, Any]) -> None:
    assert len(list(segments([ticks(0, 3), ticks(3, 2, **changed)]))) == 2


def test_nothing_is_joined_over_a_watermark_above_the_newest_good_tick() -> None:
    assert len(list(segments([ticks(0, 3, watermark_ms=2001), ticks(3, 2)]))) == 2
    assert len(list(segments([ticks(0, 3), ticks(3, 1, quality=Quality.CROSSED, watermark_ms=2001), ticks(4, 1)]))) == 2
    assert len(list(segments([ticks(0, 3, quality=Quality.CROSSED), ticks(3, 2)]))) == 2


def test_nothing_is_joined_over_missing_ticks_or_beyond_what_gains() -> None:
    assert len(list(segments([ticks(0, 3), ticks(4, 2)]))) == 2
    assert len(list(segments([ticks(0, JOINED_TICKS), ticks(JOINED_TICKS, 2)]))) == 2


def test_a_piece_has_the_gap_if_it_is_the_first_and_the_watermark_if_it_is_the_last() -> None:
    (one,) = segments([ticks(10, 4, gap=True, watermark_ms=99_000, deals=True)])
    first, last = piece(one, 0, 1), piece(one, 1, 4)
    assert (first.first_n, first.gap, first.watermark_ms) == (10, True, -(2**63))
    assert (last.first_n, last.gap, last.watermark_ms, len(last.volume)) == (11, False, 99_000, 3)
    assert piece(one, 0, 4) is one


def cuts(one: TickBlock, *specs: Any) -> list[tuple[int, int | None]]:
    (segment,) = segments([one])
    steps = view(*specs).spec_steps(LISTING, len(specs))
    return [(s.first_n, found and found.digits) for s, found in with_spec(segment, steps)]


def test_one_spec_in_force_cuts_nothing() -> None:
    assert cuts(ticks(0, 5), spec(digits=4)) == [(0, 4)]


def test_another_spec_begins_at_the_first_good_tick_of_its_time() -> None:
    changed = spec(digits=5, effective_from_us=2_500_000)
    assert cuts(ticks(0, 5), spec(digits=4), changed) == [(0, 4), (3, 5)]
    broken = ticks(0, 6)
    broken.quality[3] = Quality.CROSSED
    assert cuts(broken, spec(digits=4), changed) == [(0, 4), (4, 5)]


def test_of_specs_that_begin_at_the_same_tick_the_last_holds() -> None:
    first, second = spec(digits=5, effective_from_us=2_500_000), spec(digits=6, effective_from_us=2_600_000)
    assert cuts(ticks(0, 5), spec(digits=4), first, second) == [(0, 4), (3, 6)]
    assert cuts(ticks(7, 5), spec(digits=4), first, second) == [(7, 6)]


def test_before_any_spec_is_in_force_there_is_none() -> None:
    assert cuts(ticks(0, 5), spec(digits=4, effective_from_us=2_000_000)) == [(0, None), (2, 4)]
    assert cuts(ticks(0, 5)) == [(0, None)]
    assert cuts(ticks(0, 5, quality=Quality.CROSSED), spec()) == [(0, None)]
