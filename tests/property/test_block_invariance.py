"""Law 3: cutting the same ticks into other blocks gives the same outputs and the same state, bit for bit."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import agents.berserker
import streams.operators.bar_kernel
import streams.operators.bars
from agents.berserker import Berserker, BerserkerParameters
from agents.parameters import canonical
from api.bench.slow_bars import slow_bars
from schemas.ticks import TickBlock
from streams.fold import ListingFold, Output
from streams.operators.bars import Bars
from streams.operators.base import Operator
from streams.operators.signals import StrategyOperator
from streams.replay import replay
from streams.segments import segments
from tests.kernels import bounds_checked, plain
from tests.property.references import LISTING, built_in, spec, view
from tests.property.slow_berserker import SlowBerserker
from tests.property.tick_logs import Knobs, knobs, random_log, recut, sizes

EAGER = BerserkerParameters(
    mean_ms=30_000,
    entry_deviations=0.5,
    commission_points=0.0,
    min_edge_points=0.0,
    max_spread_points=10_000.0,
    turn_changes=3,
    turn_agree=2,
    warm_up_ticks=4,
    warm_up_ms=0,
    reset_after_ms=3_600_000,
    min_stop_points=5.0,
    max_hold_ms=120_000,
    cooldown_ms=1_000,
)
"""Signals on nearly any random walk."""

OPERATORS = pytest.mark.parametrize("make", [Bars, lambda: StrategyOperator(Berserker(EAGER))], ids=["bars", "signals"])
KERNELS = (streams.operators.bar_kernel, streams.operators.bars, agents.berserker)


def folded(operator: Operator, blocks: list[TickBlock]) -> tuple[bytes, str]:
    """All rows, and the digest at the end, of blocks folded one by one."""
    state = operator.initial(LISTING)
    rows = [operator.fold(state, s, spec()) for one in blocks for s in segments([one])]
    return np.concatenate(rows).tobytes(), operator.digest(state)


@OPERATORS
@settings(deadline=None)
@given(k=knobs, cut=sizes)
def test_outputs_and_state_do_not_depend_on_the_cut(make: Any, k: Knobs, cut: list[int]) -> None:
    blocks = random_log(k)
    assert folded(make(), recut(blocks, cut)) == folded(make(), blocks)


@OPERATORS
@settings(deadline=None, max_examples=40)
@given(k=knobs)
def test_a_kernel_gives_the_bits_of_its_python_and_stays_in_bounds(make: Any, k: Knobs) -> None:
    blocks = random_log(k)
    compiled = folded(make(), blocks)
    with plain(*KERNELS):
        assert folded(make(), blocks) == compiled
    with bounds_checked(*KERNELS):
        assert folded(make(), blocks) == compiled


@settings(deadline=None)
@given(k=knobs)
def test_bars_equal_a_slow_computation_that_keeps_every_tick(k: Knobs) -> None:
    pieces = [s for one in random_log(k) for s in segments([one])]
    operator = Bars()
    state = operator.initial(LISTING)
    found = [row for s in pieces for row in operator.fold(state, s, spec()).tolist()]
    assert found == slow_bars((s, 5) for s in pieces)


@settings(deadline=None)
@given(k=knobs)
def test_berserker_equals_the_rule_written_for_reading(k: Knobs) -> None:
    pieces = [s for one in random_log(k) for s in segments([one])]
    operator = StrategyOperator(Berserker(EAGER))
    state = operator.initial(LISTING)
    rows = np.concatenate([operator.fold(state, s, spec()) for s in pieces])
    slow = SlowBerserker(EAGER, digits=5)
    for s in pieces:
        if s.gap:
            slow.gap()
        columns = zip(s.time_ms.tolist(), s.bid.tolist(), s.ask.tolist(), s.quality.tolist(), strict=True)
        for n, tick in enumerate(columns, start=s.first_n):
            slow.tick(n, *tick)
    signals = operator.records(rows, operator="berserker@1", listing=LISTING, out_seq=0, ref_no=1)
    found = [
        (
            s.kind, s.side, s.time_ms, s.n, s.from_n, s.bid, s.ask, s.valid_for_ms, s.stop_distance,
            s.target_distance, s.breakeven_at, s.max_hold_ms, s.strength,
        )
        for s in signals
    ]  # fmt: skip
    assert found == slow.signals


# The first block is written under the first record; later activations and specs come into force in between.
CHANGING = view(
    spec(),
    built_in("bars"),
    built_in("berserker", parameters=canonical(EAGER)),
    spec(digits=6, effective_from_us=1_399_500_000_000_000),
    built_in("berserker", parameters=canonical(EAGER), emit_all=True),
    built_in("bars", active=False),
    built_in("bars", warm_from_us=1_399_400_000_000_000),
    *[spec(digits=6)] * 100,
)


def numbered(outputs: list[Output]) -> dict[str, list[tuple[int, int, bytes]]]:
    """By operator: (out_seq, ref_no, row) of each output."""
    found: dict[str, list[tuple[int, int, bytes]]] = defaultdict(list)
    for o in outputs:
        found[o.operator] += [(o.out_seq + k, o.ref_no, row.tobytes()) for k, row in enumerate(o.columns)]
    return dict(found)


def fold_of(blocks: list[TickBlock]) -> tuple[dict[str, list[tuple[int, int, bytes]]], list[str]]:
    fold = ListingFold(LISTING, CHANGING)
    outputs = [o for one in blocks for o in fold.fold([one])]
    return numbered(outputs), [fold.dump(operator).digest for operator in fold.positions()]


@settings(deadline=None)
@given(k=knobs, cut=sizes)
def test_a_listings_outputs_do_not_depend_on_the_cut_while_reference_changes(k: Knobs, cut: list[int]) -> None:
    blocks = random_log(k)
    assert fold_of(recut(blocks, cut)) == fold_of(blocks)


@settings(deadline=None)
@given(k=knobs, cut=sizes)
def test_replay_joins_blocks_and_changes_nothing(k: Knobs, cut: list[int]) -> None:
    blocks = random_log(k)
    assert numbered(list(replay(recut(blocks, cut), CHANGING))) == fold_of(blocks)[0]


@settings(deadline=None)
@given(k=knobs)
def test_outputs_are_numbered_densely_and_ordered_by_what_proved_them(k: Knobs) -> None:
    for rows in fold_of(random_log(k))[0].values():
        assert [out_seq for out_seq, _, _ in rows] == list(range(len(rows)))
        proofs = [int.from_bytes(row[:8], "little") for _, _, row in rows]
        assert proofs == sorted(proofs)
