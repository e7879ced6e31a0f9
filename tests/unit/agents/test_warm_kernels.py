"""Set-up compiles each kernel of graphs once, and no block or restored state compiles it again."""

from __future__ import annotations

from numba.core.dispatcher import Dispatcher

from agents.graph import KINDS
from agents.kernels.warm import warm
from tests.graphs import folded, graph_of_kind, random_bars


def test_after_it_nothing_is_compiled_again() -> None:
    warm()
    kernels = [kind.kernel for kind in KINDS.values() if kind.kernel is not None]
    assert {len(k.signatures) for k in kernels if isinstance(k, Dispatcher)} == {1}
    for kind in KINDS.values():
        if kind.kernel is not None:
            folded(graph_of_kind(kind), random_bars(1, 30), [1, 7], restart=True)
    assert {len(k.signatures) for k in kernels if isinstance(k, Dispatcher)} == {1}
