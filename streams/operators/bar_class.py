"""A BarStrategy as an operator: ticks through a bar kernel of its own, each bar to the class, signals out."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from agents.hatches import Bar, BarStrategy, ClassProgram, ClassWork, Longs
from agents.plain_signals import Moment, Row, as_signals, signals_at
from agents.signals import SIGNAL_DTYPE
from schemas.events import ListingSpec
from streams.operators.bar_strategy import last_suspect, suspects
from streams.operators.bars import Bars, BarState
from streams.operators.base import BadState, OperatorError, Outputs, Segment
from streams.operators.signals import StrategyOperator, failure

_NONE: Final[Outputs] = np.empty(0, SIGNAL_DTYPE)
_FORM: Final = b"class\x01\x00"
_HEAD_WORDS: Final = 3


class BarClassState:
    """The forming bars, the class's words, how many bars it has seen, and whether the newest good tick is suspect."""

    __slots__ = ("bars", "failed", "seen", "suspect", "words")

    def __init__(self, bars: BarState, words: Longs) -> None:
        self.bars = bars
        self.words = words
        self.seen = 0
        self.suspect = False
        self.failed = False


class BarClassOperator:
    """A class as an operator on `signals`; one object may not fold in two threads at once.

    What the class raises is its last output: FAILED at that bar, with what it said at the bars before; its line is
    named. MemoryError goes up.
    """

    topic: Final = "signals"

    def __init__(self, program: ClassProgram) -> None:
        self.program = program
        self._work = ClassWork(program)
        self._bars = Bars()
        self._form = _FORM + f"{program.name}\x00{program.version}\x00".encode()

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def version(self) -> int:
        return self.program.version

    def initial(self, listing: str) -> BarClassState:
        return BarClassState(self._bars.initial(listing), self._work.initial())

    def fold(self, state: BarClassState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """The signals of the bars that the segment closes, as SIGNAL_DTYPE. Raises MissingSpec."""
        closed = self._bars.fold(state.bars, segment, spec)
        before = state.suspect
        state.suspect = last_suspect(segment.quality, before)
        ours = closed[closed["timeframe"] == int(self.program.timeframe)]
        if state.failed or not len(ours):
            return _NONE
        found: list[Row] = []
        failed = _NONE
        for row, suspect in zip(ours, suspects(ours, segment, before).tolist(), strict=True):
            moment = self._moment(row, suspect)
            words = state.words.copy()
            try:
                rows = self._said(state, row, moment)
            except (MemoryError, OperatorError):
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a strategy may raise anything
                state.words, state.failed = words, True
                failed = failure(self._work.failed(error), moment)
                break
            state.seen += 1
            if state.seen > self.program.warm_up:
                found += rows
        return np.concatenate([as_signals(found), failed])

    def dump(self, state: BarClassState) -> bytes:
        head = np.array([state.seen, state.suspect, state.failed], "<i8").tobytes()
        return b"".join((self._form, head, state.words.astype("<i8").tobytes(), self._bars.dump(state.bars)))

    def load(self, data: bytes) -> BarClassState:
        words = len(self._form) + 8 * _HEAD_WORDS
        bars = words + 8 * self._work.words
        if not data.startswith(self._form) or len(data) < bars:
            raise BadState(
                f"{len(data)} bytes starting {data[:16]!r} are not a state of {self.name} version {self.version}"
            )
        state = BarClassState(self._bars.load(data[bars:]), np.frombuffer(data[words:bars], "<i8").astype(np.int64))
        seen, suspect, failed = np.frombuffer(data[len(self._form) : words], "<i8").tolist()
        state.seen, state.suspect, state.failed = seen, bool(suspect), bool(failed)
        return state

    def digest(self, state: BarClassState) -> str:
        return hashlib.sha256(self.dump(state)).hexdigest()

    records = StrategyOperator.records

    def _said(self, state: BarClassState, row: np.void, moment: Moment) -> list[Row]:
        strategy = self._work.strategy
        assert isinstance(strategy, BarStrategy)
        self._work.put(state.words)
        rows = signals_at(moment, strategy.on_bar(_bar(row, moment.suspect)), self.name, self.program.timeframe.ms)
        self._work.take(state.words)
        return rows

    def _moment(self, row: np.void, suspect: bool) -> Moment:
        return Moment(
            proof_n=int(row["proof_n"]),
            proof_ms=int(row["proof_ms"]),
            time_ms=int(row["time_ms"]) + self.program.timeframe.ms,
            n=int(row["last_n"]),
            from_n=int(row["first_n"]),
            bid=float(row["close"]),
            ask=float(row["ask_close"]),
            suspect=suspect,
        )


def _bar(row: np.void, suspect: bool) -> Bar:
    (
        _, _, _, time_ms, offset_s, open_, high, low, close, ask_close, ticks,
        spread_min, spread_mean, spread_max, volume, _, _, complete,
    ) = row.item()  # fmt: skip
    return Bar(
        time=time_ms + offset_s * 1_000,
        time_ms=time_ms,
        open=open_,
        high=high,
        low=low,
        close=close,
        ask_close=ask_close,
        volume=ticks,
        real_volume=volume,
        spread=spread_min,
        spread_mean=spread_mean,
        spread_max=spread_max,
        complete=bool(complete),
        suspect=suspect,
    )
