"""A strategy as an operator: what it raises becomes its last signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.berserker import Berserker
from agents.signals import ENTER, LONG, SIGNAL_DTYPE, Signals
from schemas.events import Side, Signal, SignalKind
from schemas.quality import Quality
from streams.operators.base import NEVER_MS, BadState, MissingSpec, OperatorError, Segment
from streams.operators.signals import StrategyOperator
from streams.segments import piece
from tests.property.references import LISTING, spec


class Moody:
    """Signals on every tick, counts them, and raises `error` at tick number `at`."""

    name = "moody"
    version = 3

    def __init__(self, at: int = -1, error: BaseException | None = None) -> None:
        self.at = at
        self.error = error
        self.calls: list[tuple[int, int, bool]] = []

    def initial(self) -> Any:
        return np.zeros(2, np.int64)

    def fold(
        self, state: Any, first_n: int, gap: bool, digits: int, time_ms: Any, bid: Any, ask: Any, quality: Any
    ) -> Signals:
        self.calls.append((first_n, len(time_ms), gap))
        state[1] = digits
        state[0] += len(time_ms)
        if self.error is not None and first_n <= self.at < first_n + len(time_ms):
            raise self.error
        rows = np.zeros(len(time_ms), SIGNAL_DTYPE)
        rows["n"] = rows["proof_n"] = np.arange(first_n, first_n + len(time_ms))
        rows["kind"], rows["side"], rows["trail_long"] = ENTER, LONG, np.nan
        return rows


def ticks(count: int, first_n: int = 0, gap: bool = False, quality: int = 0) -> Segment:
    prices = np.full(count, 1.39)
    return Segment(
        first_n, 1, 0, 4, gap, NEVER_MS, np.arange(first_n, first_n + count) * 1000, prices, prices + 1e-4,
        np.empty(0), np.empty(0), np.zeros(count, np.int32), np.full(count, quality, np.int32),
    )  # fmt: skip


def signals_of(operator: StrategyOperator, rows: Signals) -> list[Signal]:
    found = operator.records(rows, operator="moody@1", listing=LISTING, out_seq=5, ref_no=9)
    return [signal for signal in found if isinstance(signal, Signal)]


@pytest.mark.parametrize("cut", [(8,), (1, 7), (4, 4), (5, 3), (1, 1, 1, 1, 1, 1, 1, 1)])
def test_an_exception_is_a_failed_signal_at_the_tick_that_raised_however_the_ticks_are_cut(
    cut: tuple[int, ...],
) -> None:
    operator = StrategyOperator(Moody(4, ValueError("no good price")))
    state = operator.initial(LISTING)
    whole, at, rows = ticks(8), 0, []
    for size in cut:
        rows.append(operator.fold(state, piece(whole, at, at + size), spec()))
        at += size
    found = signals_of(operator, np.concatenate(rows))
    assert [(s.kind, s.n) for s in found] == [*((SignalKind.ENTER, n) for n in range(4)), (SignalKind.FAILED, 4)]
    failed = found[-1]
    assert (failed.message, failed.side, failed.time_ms, failed.bid) == (
        "ValueError: no good price",
        Side.NONE,
        4000,
        1.39,
    )
    assert (failed.out_seq, failed.ref_no, failed.stop_distance, failed.trail_long) == (9, 9, None, None)
    assert state.words.tolist() == [4, 5]


def test_a_failed_instance_folds_no_more_also_after_a_restart() -> None:
    operator = StrategyOperator(Moody(0, KeyError("x")))
    state = operator.initial(LISTING)
    assert len(operator.fold(state, ticks(1), spec())) == 1
    again = operator.load(operator.dump(state))
    assert len(operator.fold(again, ticks(3, first_n=1), spec())) == 0


def test_the_message_has_no_address_no_control_character_and_at_most_160_bytes() -> None:
    text = f"at {object()!r}\n" + "ü" * 200
    operator = StrategyOperator(Moody(0, RuntimeError(text)))
    (failed,) = signals_of(operator, operator.fold(operator.initial(LISTING), ticks(1), spec()))
    assert failed.message.startswith("RuntimeError: at <object object at 0x> üü")
    assert 159 <= len(failed.message.encode()) <= 160


@pytest.mark.parametrize("error", [MemoryError(), OSError("disk"), OperatorError("mine"), KeyboardInterrupt()])
def test_what_is_not_the_strategys_fault_goes_up(error: BaseException) -> None:
    operator = StrategyOperator(Moody(0, error))
    with pytest.raises(type(error)):
        operator.fold(operator.initial(LISTING), ticks(2), spec())


def test_memory_that_ends_in_the_second_pass_goes_up_too() -> None:
    class Worse(Moody):
        def fold(self, *args: Any) -> Signals:
            raise MemoryError if len(args[4]) == 1 else ValueError

    operator = StrategyOperator(Worse())
    with pytest.raises(MemoryError):
        operator.fold(operator.initial(LISTING), ticks(2), spec())


def test_a_gap_before_a_heartbeat_reaches_the_strategy_with_the_next_tick() -> None:
    strategy = Moody()
    operator = StrategyOperator(strategy)
    state = operator.initial(LISTING)
    operator.fold(state, ticks(0, gap=True), None)
    state = operator.load(operator.dump(state))
    operator.fold(state, ticks(2), spec())
    operator.fold(state, ticks(1, first_n=2), spec())
    assert strategy.calls == [(0, 2, True), (2, 1, False)]


def test_a_good_tick_without_a_spec_is_an_operator_error_not_a_failure() -> None:
    operator = StrategyOperator(Moody())
    state = operator.initial(LISTING)
    assert len(operator.fold(state, ticks(1, quality=Quality.CROSSED), None)) == 1
    with pytest.raises(MissingSpec, match=LISTING):
        operator.fold(state, ticks(1, first_n=1), None)


def test_a_state_of_another_strategy_or_version_is_refused() -> None:
    moody = StrategyOperator(Moody())
    with pytest.raises(BadState, match="berserker version 1"):
        StrategyOperator(Berserker()).load(moody.dump(moody.initial(LISTING)))
