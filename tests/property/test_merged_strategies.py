"""Strategies over several timeframes and listings: what they are joined with, and that order, cut and restarts of the
logs change nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.signals import ENTER
from api.lab.choice import Chosen
from api.lab.setup import Configured, activated, folds
from schemas.events import OperatorActivation
from schemas.quality import BROKEN
from schemas.registry import decided_part, encode
from schemas.ticks import TickBlock
from schemas.timeframes import Timeframe
from streams.fold import Output
from streams.graph_programs import graph_activation, operator_of
from streams.merged_fold import MergedFold
from streams.operators.bars import Bars
from streams.segments import segments
from tests.property.references import LISTING, built_in, spec, view
from tests.property.tick_logs import Knobs, knobs, random_log, recut, sizes
from tickledger import Enter, Exit, other, strategy
from tickledger.ta import ema, known

POUND = "test/GBPUSD"
FIVE_MINUTES_MS = 300_000
some = settings(deadline=None, max_examples=40)
stopped = st.sets(st.integers(0, 60))


@strategy(version=1, bars="M5", warmup=0)
def joined(b: Any) -> Iterator[Any]:
    """Says at each bar what it is joined with: a slower and a quicker timeframe, and another listing."""
    plan = Exit(stop=abs(other("GBPUSD").close), target=abs(ema(other("M15").close, 3)), partial=(1.0, 0.5))
    yield Enter.stop("long", known(b.close), plan, price=other("GBPUSD", "M1").high)


@strategy(version=1, bars="M5", warmup=0)
def own_timeframes(b: Any) -> Iterator[Any]:
    """The same without another listing."""
    yield Enter.stop("long", known(b.close), Exit(stop=abs(b.other("M1").low)), price=other("H1").close)
    yield Enter.short(
        other("M15").close < other("M15").open, Exit(target=abs(ema(other("M1").close, 5) + 0.0 * b.close))
    )


REFERENCE = view(
    spec(),
    spec(listing=POUND),
    graph_activation("joined", joined.program()),
    *[spec()] * 100,
    spec(listing=POUND, digits=3),
)
ACTIVATION = REFERENCE.activations()[0]
AGAIN = graph_activation("joined", joined.program(), parameters={"again": 1.0})
REPLACED = view(
    spec(),
    spec(listing=POUND),
    graph_activation("joined", joined.program()),
    AGAIN,
    spec(),
    dataclasses.replace(AGAIN, active=False),
    *[spec()] * 100,
)
CHOSEN = Chosen(
    name="joined", version=1, path="", source="", doc="", parameters={}, timeframe=Timeframe.M5, graph=joined.program()
)
LIVELY = Knobs(seed=0, blocks=30, longest=30, pace_ms=45_000, broken=0.0, marks=0.1, deals=False)
_LAB = (spec(), spec(listing=POUND), built_in("bars"), activated(CHOSEN, [LISTING]))
LAB = Configured(_LAB, view(*_LAB))


def two_logs(k: Knobs) -> dict[str, list[TickBlock]]:
    own = random_log(k)
    shift = int(np.random.default_rng(k.seed).integers(-3_600_000, 3_600_000))
    start = min(int(b.time_ms.min()) for b in own if b.size) if any(b.size for b in own) else own[0].watermark_ms
    others = [b._replace(listing=POUND) for b in random_log(k._replace(seed=k.seed ^ 1))]
    first = next((int(b.time_ms.min()) for b in others if b.size), others[0].watermark_ms)
    move = (start - first + shift) // 60_000 * 60_000
    others = [b._replace(time_ms=b.time_ms + move, watermark_ms=b.watermark_ms + move) for b in others]
    return {name: [b._replace(ref_no=b.ref_no + 1) for b in log] for name, log in ((LISTING, own), (POUND, others))}


def new_fold() -> MergedFold:
    return MergedFold(ACTIVATION, LISTING, REFERENCE)


def decided(outputs: list[Output]) -> list[bytes]:
    """The decision bytes of what was proven."""
    return [decided_part(encode(record), record) for o in outputs for record in o.records()]


def said(outputs: list[Output]) -> list[tuple[int, int, bytes]]:
    return [(o.out_seq + k, o.ref_no, row.tobytes()) for o in outputs for k, row in enumerate(o.columns)]


def in_turns(
    fold: MergedFold,
    logs: dict[str, list[TickBlock]],
    cuts: tuple[list[int], list[int]],
    turns: list[bool],
    stops: set[int],
    again: Callable[[], MergedFold],
) -> tuple[list[Output], MergedFold]:
    """What the logs prove, cut anew and handed over in turns, by a fold that `again` replaces at each stop."""
    waiting = {LISTING: recut(logs[LISTING], cuts[0]), POUND: recut(logs[POUND], cuts[1])}
    found = []
    for at, turn in enumerate([*turns, *[True, False] * 2_000]):
        listing = LISTING if turn else POUND
        if at in stops:
            saved, fold = fold.dump(), again()
            fold.load(saved)
            assert fold.dump() == saved
        if waiting[listing]:
            was_done = fold.done
            made = fold.fold(listing, [waiting[listing].pop(0)])
            assert not (was_done and made)
            found += made
        elif not waiting[LISTING] and not waiting[POUND]:
            break
    return found, fold


@some
@given(k=knobs, cuts=st.tuples(sizes, sizes), turns=st.lists(st.booleans(), max_size=60), stops=stopped)
def test_order_cut_and_restarts_of_the_logs_do_not_show(
    k: Knobs, cuts: tuple[list[int], list[int]], turns: list[bool], stops: set[int]
) -> None:
    logs = two_logs(k)
    plain = MergedFold(ACTIVATION, LISTING, REFERENCE)
    whole = said([o for listing, blocks in logs.items() for o in plain.fold(listing, blocks)])
    found, fold = in_turns(new_fold(), logs, cuts, turns, stops, new_fold)
    assert said(found) == whole
    assert fold.dump().digest == plain.dump().digest
    assert fold.dump().out_seq == len(whole)


@some
@given(k=knobs, cuts=st.tuples(sizes, sizes), turns=st.lists(st.booleans(), max_size=60), stops=stopped)
def test_live_in_any_cut_it_decides_what_the_laboratory_decides(
    k: Knobs, cuts: tuple[list[int], list[int]], turns: list[bool], stops: set[int]
) -> None:
    logs = two_logs(k)
    in_lab = {name: [b._replace(ref_no=LAB.last) for b in log] for name, log in logs.items()}
    fold = folds(LAB, CHOSEN, [LISTING, POUND]).fold
    in_time = sorted((b for log in in_lab.values() for b in log), key=lambda b: (b.watermark_ms, b.listing))
    due = [o for block in in_time for o in fold(block) if o.topic == "signals"]
    now = {name: [b._replace(ref_no=REFERENCE.last - 1) for b in log] for name, log in logs.items()}
    found, _ = in_turns(new_fold(), now, cuts, turns, stops, new_fold)
    assert decided(found) == decided(due)


@some
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(st.integers(0, 30), min_size=4, max_size=4),
    cuts=st.tuples(sizes, sizes),
    turns=st.lists(st.booleans(), max_size=60),
    stops=stopped,
)
def test_each_activation_says_what_the_blocks_prove_for_which_it_holds(
    seed: int, steps: list[int], cuts: tuple[list[int], list[int]], turns: list[bool], stops: set[int]
) -> None:
    logs = {
        name: [b._replace(ref_no=2 + sum(step <= at for step in steps)) for at, b in enumerate(log)]
        for name, log in two_logs(LIVELY._replace(seed=seed)).items()
    }
    first, second, last = REPLACED.activations()
    all_of_it = MergedFold(dataclasses.replace(first, instance="all", emit_all=True), LISTING, REPLACED)
    rows = [
        (o.ref_no, row.tobytes()) for name, log in logs.items() for o in all_of_it.fold(name, log) for row in o.columns
    ]
    for one, until in ((first, second.ref_no), (second, last.ref_no)):

        def again(one: OperatorActivation = one) -> MergedFold:
            return MergedFold(one, LISTING, REPLACED)

        found, _ = in_turns(again(), logs, cuts, turns, stops, again)
        assert [row[1:] for row in said(found)] == [row for row in rows if one.ref_no <= row[0] < until]


def closed(blocks: list[TickBlock], listing: str) -> list[Any]:
    operator = Bars()
    state = operator.initial(listing)
    return [row for s in segments(blocks) for row in operator.fold(state, s, spec(listing=listing))]


def newest(rows: list[Any], timeframe: int, length_ms: int, field: str, end: int) -> float:
    there = [row[field] for row in rows if row["timeframe"] == timeframe and row["time_ms"] + length_ms <= end]
    return float(there[-1]) if there else float("nan")


def shown(blocks: list[TickBlock]) -> list[int]:
    """The times that a log shows, in order: ticks that aren't broken, and watermarks."""
    times: list[int] = []
    for b in blocks:
        times += b.time_ms[(b.quality & BROKEN) == 0].tolist()
        times.append(max(b.watermark_ms, times[-1]) if times else b.watermark_ms)
    return times


@some
@given(k=knobs)
def test_a_bar_is_joined_with_what_was_closed_by_then_and_proven_by_the_last_to_show_it(k: Knobs) -> None:
    logs = two_logs(k._replace(marks=0.0))
    fold = MergedFold(ACTIVATION, LISTING, REFERENCE)
    blocks = {name: [b._replace(ref_no=REFERENCE.last) for b in log] for name, log in logs.items()}
    found = [row for name, log in blocks.items() for o in fold.fold(name, log) for row in o.columns]
    ours, theirs = (closed(logs[name], name) for name in (LISTING, POUND))
    times = shown(logs[POUND])
    expected = []
    for bar in ours:
        end = int(bar["time_ms"]) + FIVE_MINUTES_MS
        proofs = [t for t in times if t >= end]
        if bar["timeframe"] != 2 or not proofs:
            continue
        stop = newest(theirs, 2, FIVE_MINUTES_MS, "close", end)
        price = newest(theirs, 1, 60_000, "high", end)
        expected.append((int(bar["last_n"]), stop, price, max(int(bar["proof_ms"]), proofs[0])))
    written = {int(row["n"]): row for row in found}
    assert all(row["kind"] == ENTER for row in found)
    for n, stop, price, proof_ms in expected:
        if n in written:
            assert (written[n]["stop_distance"], written[n]["price"], written[n]["proof_ms"]) == (stop, price, proof_ms)
            del written[n]
    assert not written


def own_fold(blocks: list[TickBlock], stops: set[int]) -> tuple[bytes, str]:
    operator: Any = operator_of(own_timeframes.program())
    state = operator.initial(LISTING)
    rows = []
    for at, block in enumerate(blocks):
        if at in stops:
            saved, operator = operator.dump(state), operator_of(own_timeframes.program())
            state = operator.load(saved)
            assert operator.dump(state) == saved
        rows += [operator.fold(state, s, spec()).tobytes() for s in segments([block])]
    return b"".join(rows), operator.digest(state)


@some
@given(k=knobs, cut=sizes, stops=st.sets(st.integers(0, 39)))
def test_other_timeframes_of_one_listing_do_not_show_cut_and_restarts(
    k: Knobs, cut: list[int], stops: set[int]
) -> None:
    blocks = random_log(k)
    assert own_fold(recut(blocks, cut), stops) == own_fold(blocks, set())
