"""A TickStrategy as a quote strategy: what the operator of such strategies runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agents.expressions import StrategyError, said
from agents.hatches import ClassProgram, ClassWork, Longs, Ticks, TickStrategy
from agents.plain_signals import Moment, Row, as_signals, signals_at
from agents.signals import SIGNAL_DTYPE, Signals
from schemas.quality import BROKEN, SUSPECT, Quality

_UNUSED = BROKEN | int(Quality.SYNTHETIC)
_NONE: Signals = np.empty(0, SIGNAL_DTYPE)


class TickClass:
    """One object of the class at work, one thread. State: int64[1 + words]; the first: a gap waits for a tick."""

    def __init__(self, program: ClassProgram) -> None:
        self.work = ClassWork(program)
        self._bar_ms = program.timeframe.ms

    @property
    def name(self) -> str:
        return self.work.program.name

    @property
    def version(self) -> int:
        return self.work.program.version

    def initial(self) -> Longs:
        """The state before the first tick."""
        return np.concatenate([np.zeros(1, np.int64), self.work.initial()])

    def fold(
        self,
        state: Longs,
        first_n: int,
        gap: bool,
        digits: int,
        time_ms: Longs,
        bid: npt.NDArray[np.float64],
        ask: npt.NDArray[np.float64],
        quality: npt.NDArray[np.int32],
    ) -> Signals:
        """As a QuoteStrategy. Raises StrategyError for what the class raises and what it may not say."""
        gap = gap or bool(state[0])
        used = np.flatnonzero((quality & _UNUSED) == 0)
        state[0] = gap and not len(used)
        if not len(used):
            return _NONE
        ticks = Ticks(used + first_n, time_ms[used], bid[used], ask[used], (quality[used] & SUSPECT) != 0, gap, digits)
        strategy = self.work.strategy
        assert isinstance(strategy, TickStrategy)
        self.work.put(state[1:])
        try:
            found = [
                row for i, said_there in self._said(strategy, ticks).items() for row in self._rows(ticks, i, said_there)
            ]
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:
            raise self.work.failed(error) from error
        self.work.take(state[1:])
        return as_signals(found)

    def _said(self, strategy: TickStrategy, ticks: Ticks) -> dict[int, list[object]]:
        """What the class says, by the place of the tick."""
        by_place: dict[int, list[object]] = {}
        newest = 0
        for pair in strategy.on_block(ticks) or ():
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], int | np.integer)):
                raise StrategyError(f"{self.name} yields (i, signal), i a tick's place in the block, not {said(pair)}")
            place = int(pair[0])
            if not newest <= place < len(ticks.n):
                raise StrategyError(
                    f"{self.name} says something at tick {place} of a block of {len(ticks.n)}, after tick {newest}"
                )
            newest = place
            by_place.setdefault(place, []).append(pair[1])
        return by_place

    def _rows(self, ticks: Ticks, i: int, what: list[object]) -> list[Row]:
        n, at = int(ticks.n[i]), int(ticks.time_ms[i])
        moment = Moment(n, at, at, n, n, float(ticks.bid[i]), float(ticks.ask[i]), bool(ticks.suspect[i]))
        return signals_at(moment, what, self.name, self._bar_ms)
