"""Every node and every indicator: block invariance, restarts, no look-ahead, NaN, and where history starts."""

from __future__ import annotations

import json
import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.expressions import Condition, Node, Number, made_of
from agents.graph import KINDS, Graph, GraphFold, canonical, graph_of, parse_graph
from agents.indicators.definition import Indicator
from agents.kernels import elementwise, recursive, windows
from agents.kernels.kinds import NodeKind
from tests.graphs import ALL, STATEFUL, B, arguments, folded, graph_of_indicator, graph_of_kind, outputs_of, random_bars
from tests.kernels import plain

COMPUTING = [kind for kind in KINDS.values() if kind.kernel is not None]
by_kind = pytest.mark.parametrize("kind", COMPUTING, ids=lambda kind: kind.name)
by_indicator = pytest.mark.parametrize("indicator", ALL.values(), ids=lambda one: one.name)
cuts = st.one_of(st.sampled_from([[1], [7], [100]]), st.lists(st.integers(1, 12), min_size=1, max_size=6))
few = settings(deadline=None, max_examples=8)

WHOLE = graph_of([one for i in ALL.values() for one in made_of(i(*arguments(i)))])
"""All indicators in one graph."""


@by_kind
@few
@given(seed=st.integers(0, 2**32 - 1), cut=cuts, missing=st.sampled_from([0.0, 0.05, 0.5]), restart=st.booleans())
def test_a_nodes_values_and_state_do_not_depend_on_cut_and_restarts(
    kind: NodeKind, seed: int, cut: list[int], missing: float, restart: bool
) -> None:
    graph, bars = graph_of_kind(kind), random_bars(seed, 120, missing)
    assert folded(graph, bars, cut, restart=restart) == folded(graph, bars, [120])


@by_indicator
@few
@given(seed=st.integers(0, 2**32 - 1), cut=cuts, restart=st.booleans())
def test_an_indicators_values_and_state_do_not_depend_on_cut_and_restarts(
    indicator: Indicator[Any, Any], seed: int, cut: list[int], restart: bool
) -> None:
    graph, bars = graph_of_indicator(indicator, short=True), random_bars(seed, 90)
    assert folded(graph, bars, cut, restart=restart) == folded(graph, bars, [90])


@pytest.mark.parametrize("cut", [[1], [7], [100], [4_096], [1_000, 3_000]])
def test_all_indicators_in_one_graph_do_not_depend_on_the_cut(cut: list[int]) -> None:
    bars = random_bars(7, 3_000, 0.001)
    assert folded(WHOLE, bars, cut) == folded(WHOLE, bars, [3_000])


@by_indicator
@few
@given(seed=st.integers(0, 2**32 - 1), at=st.integers(0, 79))
def test_no_value_depends_on_a_later_bar(indicator: Indicator[Any, Any], seed: int, at: int) -> None:
    graph, bars = graph_of_indicator(indicator, short=True), random_bars(seed, 80)
    other = bars.copy()
    other[:, at:] = random_bars(seed + 1, 80 - at) * 1.5
    np.testing.assert_array_equal(outputs_of(graph, bars)[:, :at], outputs_of(graph, other)[:, :at])


@by_indicator
def test_a_value_is_independent_of_where_history_starts_after_the_graphs_memory(indicator: Indicator[Any, Any]) -> None:
    graph, bars = graph_of_indicator(indicator), random_bars(11, 12_500)
    whole, later = outputs_of(graph, bars)[:, 2_000:], outputs_of(graph, bars[:, 2_000:])
    # What waits for an event has forgotten its start once the event has come, here within a few bars.
    settled = max(graph.memory, 50 if indicator.name in ("bars_since", "hold") else 0)
    assert settled < 10_000
    np.testing.assert_array_equal(whole[:, settled:], later[:, settled:])


@pytest.mark.parametrize("name", ["ema", "smma", "dema", "tema", "trix", "rsi", "adx"])
@pytest.mark.parametrize("seed", range(4))
def test_recursive_averages_forget_their_start_bit_for_bit(name: str, seed: int) -> None:
    for period in (2, 5, 14, 50, 100):
        graph = graph_of(made_of(ALL[name](*arguments(ALL[name]), period=period)))
        bars = random_bars(seed, graph.memory + 600)
        np.testing.assert_array_equal(
            outputs_of(graph, bars)[:, 300 + graph.memory :], outputs_of(graph, bars[:, 300:])[:, graph.memory :]
        )


WINDOWS = [
    kind for kind in STATEFUL if kind.kernel in (windows.fold_window, windows.fold_extreme, windows.fold_correlation)
]


@pytest.mark.parametrize("kind", WINDOWS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("width", [2, 5, 8, 33])
def test_a_nan_leaves_a_window_after_its_width(kind: NodeKind, width: int) -> None:
    graph, bars = graph_of_kind(kind, (float(width),)), random_bars(3, 160)
    clean = outputs_of(graph, bars)[0]
    bars[:, 60] = np.nan
    held = outputs_of(graph, bars)[0]
    reach = 1 if kind is windows.LAG else width
    first = 60 + width if kind is windows.LAG else 60
    assert np.flatnonzero(np.isnan(held[width:]) & ~np.isnan(clean[width:])).tolist() == [
        i - width for i in range(first, first + reach)
    ]
    after = first + reach
    np.testing.assert_array_equal(held[after:], clean[after:])


def test_a_nan_does_not_get_into_a_recursive_node() -> None:
    for kind in (recursive.EMA, recursive.SMMA, recursive.ADAPTIVE, recursive.PARABOLIC):
        bars = random_bars(3, 100)
        bars[5] = 0.5  # the weight of the adaptive average
        graph = graph_of_kind(kind)
        held = np.insert(bars, 50, np.nan, axis=1)
        found = outputs_of(graph, held)
        assert np.isnan(found[0, 50])
        np.testing.assert_array_equal(np.delete(found, 50, axis=1), outputs_of(graph, bars))


hostile = st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324, 1e300, -1.7e308, math.inf, -math.inf, math.nan])


@few
@given(values=st.lists(hostile, min_size=1, max_size=40), data=st.data())
def test_no_value_makes_a_kernel_raise(values: list[float], data: st.DataObject) -> None:
    bars = np.array([data.draw(st.permutations(values)) for _ in range(11)])
    for kind in COMPUTING:
        graph = graph_of_kind(kind)
        assert folded(graph, bars, [1]) == folded(graph, bars, [len(values)])


MODULES = (elementwise, windows, recursive)


class Bounded(np.ndarray):
    """An array that takes no index from its end: a compiled kernel would read what lies before it."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | np.integer) and key < 0:
            raise IndexError(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, int | np.integer) and key < 0:
            raise IndexError(key)
        super().__setitem__(key, value)


def by_python(graph: Graph, bars: Any) -> Any:
    """The outputs by the kernels as plain Python, which raises for what lies out of bounds."""
    fold = GraphFold(graph)
    state = fold.initial()
    fold._calls = [(vars(module_of(k))[k.__name__], wires, numbers) for k, wires, numbers in fold._calls]
    state.parts = [part.view(Bounded) for part in state.parts]
    with np.errstate(all="ignore"):
        return fold.fold(state, bars)


def module_of(kernel: Any) -> ModuleType:
    return next(module for module in MODULES if module.__name__ == kernel.__module__)


def test_kernels_give_the_bits_of_their_python_and_stay_in_bounds() -> None:
    bars = random_bars(5, 300, 0.01)
    compiled = [outputs_of(graph_of_kind(kind), bars) for kind in COMPUTING]
    with plain(*MODULES):
        slow = [by_python(graph_of_kind(kind), bars) for kind in COMPUTING]
    np.testing.assert_array_equal(slow, compiled)


def test_the_graph_of_every_indicator_declares_a_warm_up_after_which_it_has_values() -> None:
    bars = random_bars(2, 400)
    for name, indicator in ALL.items():
        graph = graph_of_indicator(indicator)
        waiting = name in ("only", "fractals", "hold", "bars_since")  # NaN at bars where nothing happens
        assert waiting or not np.isnan(outputs_of(graph, bars)[:, graph.warm_up :]).any(), name


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of any nodes whatever, each fed by earlier ones of the right sort."""
    numbers: list[Any] = [B.close, B.high, B.low, B.volume, B.time]
    conditions: list[Any] = [B.close > B.open]
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(COMPUTING))
        parameters = tuple(
            float(draw(st.integers(int(p.low), 12))) if p.whole else draw(st.floats(p.low, p.high))
            for p in kind.parameters
        )
        inputs = tuple(draw(st.sampled_from(conditions if needs else numbers)).node for needs in kind.inputs)
        made = Condition if kind.condition else Number
        (conditions if kind.condition else numbers).append(made(Node(kind, parameters, inputs)))
    return graph_of([*numbers, *conditions])


@settings(deadline=None, max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 2**32 - 1), cut=cuts, missing=st.sampled_from([0.0, 0.1]))
def test_any_graph_gives_the_same_from_its_serialised_form_cut_and_restarted(
    graph: Graph, seed: int, cut: list[int], missing: float
) -> None:
    bars = random_bars(seed, 60, missing)
    again = parse_graph(json.loads(canonical(graph.to_json())))
    assert again == graph
    assert again.digest == graph.digest
    assert folded(again, bars, cut, restart=True) == folded(graph, bars, [60])
