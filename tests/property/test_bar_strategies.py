"""Strategies on bars as operators: the cut of the ticks, restarts and replay change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.bar_signals import LEVELS, BarSignals
from agents.contract import Strategy
from agents.signals import ENTER, EXIT
from schemas.quality import BROKEN, SUSPECT
from schemas.ticks import TickBlock
from streams.fold import ListingFold
from streams.graph_programs import graph_activation, graph_or_built_in
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.bars import Bars
from streams.replay import replay
from streams.segments import segments
from tests.property.references import LISTING, built_in, spec, view
from tests.property.test_block_invariance import numbered
from tests.property.tick_logs import Knobs, knobs, random_log, recut, sizes
from tests.strategies import STRATEGIES, busy, ema_cross

by_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda one: one.name)
some = settings(deadline=None, max_examples=40)

PROGRAM = busy.program()


def folded(strategy: Strategy, blocks: list[TickBlock], stops: set[int]) -> tuple[bytes, str]:
    """All rows and the last digest of blocks folded one by one; at `stops` by another object from a dump."""
    operator = BarStrategyOperator(strategy.program())
    state = operator.initial(LISTING)
    rows = [np.empty(0, operator.fold(state, next(segments(blocks[:1])), spec()).dtype)]
    state = operator.initial(LISTING)
    for at, block in enumerate(blocks):
        if at in stops:
            saved, digest = operator.dump(state), operator.digest(state)
            operator = BarStrategyOperator(strategy.program())
            state = operator.load(saved)
            assert (operator.dump(state), operator.digest(state)) == (saved, digest)
        rows += [operator.fold(state, s, spec()) for s in segments([block])]
    return np.concatenate(rows).tobytes(), operator.digest(state)


@by_strategy
@some
@given(k=knobs, cut=sizes, stops=st.sets(st.integers(0, 39)))
def test_signals_and_state_do_not_depend_on_cut_and_restarts(
    strategy: Strategy, k: Knobs, cut: list[int], stops: set[int]
) -> None:
    blocks = random_log(k)
    assert folded(strategy, recut(blocks, cut), stops) == folded(strategy, blocks, set())


REFERENCE = view(
    spec(),
    built_in("bars"),
    graph_activation("busy", busy.program()),
    graph_activation("cross", ema_cross.program({"fast": 5, "slow": 20})),
    graph_activation("busy", busy.program({"n": 5})),
    *[spec()] * 100,
)


@some
@given(k=knobs, cut=sizes)
def test_replay_of_activated_graphs_does_not_depend_on_the_cut(k: Knobs, cut: list[int]) -> None:
    blocks = random_log(k)
    fold = ListingFold(LISTING, REFERENCE, graph_or_built_in)
    one_by_one = numbered([o for block in blocks for o in fold.fold([block])])
    assert numbered(list(replay(recut(blocks, cut), REFERENCE, programs=graph_or_built_in))) == one_by_one
    assert fold.unrunnable == ()


def bars_and_suspects(blocks: list[TickBlock]) -> tuple[Any, Any]:
    """The closed M1 bars, and whether the last tick of each is suspect, by going back to the ticks."""
    operator = Bars()
    state = operator.initial(LISTING)
    closed = np.concatenate([operator.fold(state, s, spec()) for b in blocks for s in segments([b])])
    closed = closed[closed["timeframe"] == 1]
    quality = np.concatenate([b.quality for b in blocks])
    assert ((quality[closed["last_n"]] & BROKEN) == 0).all()
    return closed, (quality[closed["last_n"]] & SUSPECT) != 0


@some
@given(k=knobs)
def test_the_operator_says_what_its_graph_says_of_the_bars(k: Knobs) -> None:
    blocks = random_log(k)
    closed, suspect = bars_and_suspects(blocks)
    work = BarSignals(PROGRAM)
    whole = work.fold(work.initial(), closed, suspect).tobytes() if len(closed) else b""
    assert folded(busy, blocks, set())[0] == whole


@some
@given(k=knobs)
def test_signals_are_ordered_by_proof_and_within_a_bar_exit_levels_entry(k: Knobs) -> None:
    closed, suspect = bars_and_suspects(random_log(k))
    if not len(closed):
        return
    work = BarSignals(PROGRAM)
    rows = work.fold(work.initial(), closed, suspect)
    turn = {EXIT: 0, LEVELS: 1, ENTER: 2}
    order = [(row["proof_n"], row["time_ms"], turn[row["kind"]]) for row in rows]
    assert order == sorted(order)
    ends = closed["time_ms"] + 60_000
    assert set(rows["time_ms"]) <= set(ends[PROGRAM.warm_up :])
    levels = rows[rows["kind"] == LEVELS]
    assert np.isfinite(levels["trail_long"]).all()
    assert np.isfinite(levels["trail_short"]).all()
