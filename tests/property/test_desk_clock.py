"""The desk's laws, on days made at random: any further clock, any cut and any restart change no output."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.executions import OrderState
from schemas.trading import (
    Decided,
    Denied,
    EquityMarked,
    ModifyRequested,
    OrderChanged,
    PnlAttributed,
    PositionChanged,
    RiskDecision,
    Submitted,
)
from streams.operators.desk import Desk
from tests.property.desk_days import DAY_END, entries, join_clocks, make_day, say

SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.data())
@settings(max_examples=40, deadline=None)
def test_further_clocks_change_no_output(seed: int, data: st.DataObject) -> None:
    day = make_day(seed, stranger=data.draw(st.booleans()), robbed=data.draw(st.booleans()))
    all_seconds = range(1, len(day.quotes))
    extra = data.draw(st.one_of(st.just(set(all_seconds)), st.sets(st.sampled_from(all_seconds))))
    desk = Desk()
    state = desk.initial("test")
    said = [record for entry in entries(day, extra) for record in say(desk, state, entry)]
    assert said == day.said


@given(SEEDS, st.integers(1, 9), st.booleans(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_clocks_may_be_cut_anywhere(seed: int, step: int, stranger: bool, robbed: bool) -> None:
    day = make_day(seed, stranger=stranger, robbed=robbed)
    desk = Desk()
    for cut in (step, 10**9):
        state = desk.initial("test")
        said = [record for entry in join_clocks(entries(day)) for record in say(desk, state, entry, cut)]
        assert said == day.said
        assert desk.digest(state) == day.digest


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_a_terse_desk_leaves_out_what_tells_of_the_way_and_nothing_else(seed: int) -> None:
    day = make_day(seed)
    desk = Desk(terse=True)
    state = desk.initial("test")
    said = [record for entry in entries(day) for record in say(desk, state, entry)]
    assert said == [record for record in day.said if not tells_of_the_way(record)]
    assert desk.digest(state) == day.digest


def tells_of_the_way(record: Decided) -> bool:
    ends = (OrderState.DENIED, OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED)
    return isinstance(record, (RiskDecision, PositionChanged)) or (
        isinstance(record, OrderChanged) and record.state not in ends
    )


@given(SEEDS, st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_desk_that_is_loaded_again_after_every_entry_says_the_same(seed: int, stranger: bool) -> None:
    day = make_day(seed, seconds=60, stranger=stranger)
    desk = Desk()
    state = desk.initial("test")
    said = []
    for entry in entries(day):
        said += say(desk, state, entry)
        data = desk.dump(state)
        state = desk.load(data)
        assert desk.dump(state) == data
    assert said == day.said


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_what_is_attributed_sums_to_the_cash(seed: int) -> None:
    day = make_day(seed)
    desk = Desk()
    state = desk.initial("test")
    said = [record for entry in entries(day) for record in say(desk, state, entry)]
    parts = [record for record in said if isinstance(record, PnlAttributed)]
    for part in parts:
        assert part.net == part.gross + part.spread + part.slippage + part.commission + part.swap
    unspent = sum((position.commission for position in state.positions.values()), sum((p.net for p in parts), 0))
    waiting = sum((deal.profit + deal.commission for deal in state.early), 0)
    assert state.config is not None
    assert state.balance == state.config.balance + unspent + waiting


def test_the_days_are_eventful() -> None:
    said = [record for seed in range(20) for record in make_day(seed).said]
    for kind in (Submitted, ModifyRequested, PnlAttributed, EquityMarked):
        assert sum(isinstance(record, kind) for record in said) > 30
    assert {record.reason for record in said if isinstance(record, PnlAttributed)} >= {
        "STOP", "TARGET", "TIME", "PARTIAL", "OPPOSITE", "FLAT",
    }  # fmt: skip
    assert any(record.taken_us == DAY_END for record in said)
    said = [record for seed in range(20) for record in make_day(seed, stranger=True).said]
    assert sum(isinstance(record, Denied) and record.code == "exposure" for record in said) > 10
    assert sum(isinstance(record, Submitted) for record in said) > 30
    said = [record for seed in range(20) for record in make_day(seed, robbed=True).said]
    assert sum(isinstance(record, Submitted) and record.reason == "TARGET" for record in said) > 5
