"""Set-up compiles each kernel once, for the columns that come later."""

from __future__ import annotations

from numba.core.dispatcher import Dispatcher

from agents import berserker
from streams.operators import bar_kernel
from streams.operators.warm import warm
from streams.replay import replay
from tests.property.references import usual
from tests.property.tick_logs import Knobs, random_log


def test_after_it_nothing_is_compiled_again() -> None:
    warm()
    for seed in range(20):
        list(replay(random_log(Knobs(seed, 5, 30, 2_000, 0.1, 0.5, seed % 2 == 0)), usual()))
    for kernel in (bar_kernel.fold_bars, berserker.fold_berserker):
        assert isinstance(kernel, Dispatcher)
        assert len(kernel.signatures) == 1
