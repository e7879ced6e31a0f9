"""Strategies on bars as an operator: ticks through a bar kernel of its own, bars through the graph, signals out."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.bar_signals import BarSignals, BarSignalState
from agents.signals import SIGNAL_DTYPE
from agents.strategy_program import StrategyProgram
from schemas.events import ListingSpec
from schemas.quality import BROKEN, SUSPECT
from schemas.ticks import Ints
from streams.operators.bars import Bars, BarState
from streams.operators.base import BadState, Outputs, Segment
from streams.operators.signals import StrategyOperator

_NONE: Final[Outputs] = np.empty(0, SIGNAL_DTYPE)
_FORM: Final = b"graph\x01\x00"
_HEAD_WORDS: Final = 2


class BarStrategyState:
    """The forming bars, the graph's state, and whether the newest tick that isn't broken is suspect."""

    __slots__ = ("bars", "signals", "suspect")

    def __init__(self, bars: BarState, signals: BarSignalState) -> None:
        self.bars = bars
        self.signals = signals
        self.suspect = False


class BarStrategyOperator:
    """A strategy's program as an operator on `signals`; one object may not fold in two threads at once.

    A program holds no code of its own, so nothing in it can raise: a wrong one is refused when it is parsed.
    """

    topic: Final = "signals"

    def __init__(self, program: StrategyProgram, bars: Bars | None = None) -> None:
        """`bars`: what folds ticks into bars, its own by default."""
        self.program = program
        self._timeframe = int(program.timeframe)
        self._bars = Bars() if bars is None else bars
        self._signals = BarSignals(program)
        self._form = _FORM + bytes.fromhex(program.digest)

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def version(self) -> int:
        return self.program.version

    def initial(self, listing: str) -> BarStrategyState:
        return BarStrategyState(self._bars.initial(listing), self._signals.initial())

    def fold(self, state: BarStrategyState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """The signals of the bars that the segment closes, as SIGNAL_DTYPE. Raises MissingSpec."""
        closed = self._bars.fold(state.bars, segment, spec)
        before = state.suspect
        state.suspect = last_suspect(segment.quality, before)
        if not len(closed):
            return _NONE
        ours = np.flatnonzero(closed["timeframe"] == self._timeframe)
        if not len(ours):
            return _NONE
        closed = closed[ours]
        return self._signals.fold(state.signals, closed, suspects(closed, segment, before))

    def dump(self, state: BarStrategyState) -> bytes:
        head = np.array([state.signals.seen, state.suspect], "<i8").tobytes()
        graph = self._signals.fold_graph.dump(state.signals.graph)
        return b"".join((self._form, head, graph, self._bars.dump(state.bars)))

    def load(self, data: bytes) -> BarStrategyState:
        graph = len(self._form) + 8 * _HEAD_WORDS
        bars = graph + 8 * self._signals.fold_graph.words
        if not data.startswith(self._form) or len(data) < bars:
            raise BadState(
                f"{len(data)} bytes starting {data[:16]!r} are not a state of {self.name} version {self.version}"
            )
        state = BarStrategyState(
            self._bars.load(data[bars:]), BarSignalState(self._signals.fold_graph.load(data[graph:bars]))
        )
        seen, suspect = np.frombuffer(data[len(self._form) : graph], "<i8").tolist()
        state.signals.seen, state.suspect = seen, bool(suspect)
        return state

    def digest(self, state: BarStrategyState) -> str:
        return hashlib.sha256(self.dump(state)).hexdigest()

    records = StrategyOperator.records


def suspects(closed: Outputs, segment: Segment, before: bool) -> npt.NDArray[np.bool_]:
    """Of each bar that the segment closed, whether its last tick is suspect; `before`: whether the newest tick that
    isn't broken was, before the segment."""
    # The last tick of a bar lies in this segment, or is the newest good one before it.
    last = closed["last_n"] - segment.first_n
    found = np.full(len(closed), before)
    here = last >= 0
    found[here] = (segment.quality[last[here]] & SUSPECT) != 0
    return found


def last_suspect(quality: Ints, before: bool) -> bool:
    """Whether the newest tick that isn't broken is suspect; `before` if all are broken."""
    if len(quality) and not (last := int(quality[-1])) & BROKEN:
        return bool(last & SUSPECT)
    good = np.flatnonzero((quality & BROKEN) == 0)
    return bool(quality[good[-1]] & SUSPECT) if len(good) else before
