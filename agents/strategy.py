"""The contract of a strategy on quotes."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from agents.signals import Signals


class QuoteStrategy(Protocol):
    """A pure fold of ticks into signals, whose whole state is one int64 array.

    It sees market data and never a position. Cutting the same ticks into other calls gives the same signals and state.
    An exception is its last output: a FAILED signal. BERSERKER is one, and `agents.tick_class` makes one of a user's
    TickStrategy.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def initial(self) -> npt.NDArray[np.int64]:
        """The state before the first tick."""

    def fold(
        self,
        state: npt.NDArray[np.int64],
        first_n: int,
        gap: bool,
        digits: int,
        time_ms: npt.NDArray[np.int64],
        bid: npt.NDArray[np.float64],
        ask: npt.NDArray[np.float64],
        quality: npt.NDArray[np.int32],
    ) -> Signals:
        """The signals of at least one tick, numbered from `first_n`; `gap` holds before the first. Changes `state`."""
