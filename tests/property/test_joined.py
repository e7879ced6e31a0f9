"""Graphs of several sources: one form, the same values however the bars come in, and those of the definition."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.expressions import Bars, Condition, Node, Number
from agents.graph import JOINS, KINDS, Graph, canonical, graph_of, parse_graph
from agents.joined import Closed, JoinedFold
from schemas.timeframes import Timeframe
from tests.graphs import outputs_of, random_bars

OWN = Timeframe.M15
SOURCES = [Bars(), Bars().other("H1"), Bars().other("GBPUSD"), Bars().other("fxcm/GBPUSD", "M5")]
COMPUTING = [kind for kind in KINDS.values() if kind.kernel is not None]
BARS = 40
cuts = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of any nodes whatever over columns of any sources."""
    numbers: list[Any] = [column for b in SOURCES for column in (b.close, b.high, b.volume)]
    conditions: list[Any] = [b.close > b.open for b in SOURCES]
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(COMPUTING))
        parameters = tuple(
            float(draw(st.integers(int(p.low), 12))) if p.whole else draw(st.floats(p.low, p.high))
            for p in kind.parameters
        )
        inputs = tuple(draw(st.sampled_from(conditions if needs else numbers)).node for needs in kind.inputs)
        made = Condition if kind.condition else Number
        (conditions if kind.condition else numbers).append(made(Node(kind, parameters, inputs)))
    asked = draw(st.lists(st.sampled_from([*numbers, *conditions]), min_size=1, max_size=6))
    return graph_of([*asked, *numbers[-2:], *conditions[-2:]], OWN)


def some_closed(graph: Graph, seed: int) -> list[Closed]:
    """Of each source some bars, and how many of them have closed by each of the strategy's."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(len(graph.sources)):
        count = int(rng.integers(0, 3 * BARS))
        by_own = np.sort(rng.integers(0, count + 1, BARS))
        found.append(Closed(random_bars(seed + k + 1, count)[:, : int(by_own[-1])], by_own))
    return found


def folded(graph: Graph, seed: int, cut: list[int]) -> tuple[bytes, bytes]:
    """Values, with one NaN for all, and state, in blocks of these sizes, each by another object from a dump."""
    own, closed = random_bars(seed, BARS), some_closed(graph, seed)
    fold = JoinedFold(graph)
    state = fold.initial()
    found, at, turn, taken = [], 0, 0, [0] * len(closed)
    while at < BARS:
        end = min(at + cut[turn % len(cut)], BARS)
        parts = []
        for k, one in enumerate(closed):
            until = int(one.by_own[end - 1])
            parts.append(Closed(one.columns[:, taken[k] : until], one.by_own[at:end] - taken[k]))
            taken[k] = until
        found.append(fold.fold(state, own[:, at:end], parts))
        data, fold = fold.dump(state), JoinedFold(graph)
        state = fold.load(data)
        assert fold.dump(state) == data
        at, turn = end, turn + 1
    values = np.concatenate(found, axis=1)
    values[np.isnan(values)] = np.nan
    return values.tobytes(), fold.dump(state)


def by_definition(graph: Graph, seed: int) -> Any:
    """Each node over the bars of its source, whole, by itself; a joined one looked up at each own bar."""
    own, closed, clocks = random_bars(seed, BARS), some_closed(graph, seed), graph.clocks
    rows: list[Any] = []
    for place, clock in zip(graph.places, clocks, strict=True):
        bars = own if clock <= 0 else closed[clock - 1].columns
        if place.kind in JOINS:
            source = clocks[place.inputs[0]] - 1
            before = 0.0 if place.kind.condition else np.nan
            rows.append(np.concatenate([[before], rows[place.inputs[0]]])[closed[source].by_own])
            continue
        if place.kind.kernel is None:
            rows.append(outputs_of(Graph((place._replace(numbers=()),), (0,)), bars)[0])
            continue
        width = bars.shape[1]
        values = np.zeros((len(place.inputs) + 1, max(width, 1)))
        for k, i in enumerate(place.inputs):
            values[k + 1, :width] = rows[i]
        wires = np.array([0, *range(1, len(place.inputs) + 1), *[0] * (3 - len(place.inputs))], np.int64)
        state = np.zeros(place.kind.words(place.numbers))
        place.kind.kernel(values, width, wires, np.array([place.kind.code, *place.numbers], np.float64), state)
        rows.append(values[0, :width])
    return np.array([rows[i] for i in graph.outputs])


@settings(deadline=None, max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 2**31), cut=cuts)
def test_any_graph_gives_the_same_from_its_serialised_form_cut_and_restarted(
    graph: Graph, seed: int, cut: list[int]
) -> None:
    again = parse_graph(json.loads(canonical(graph.to_json())))
    assert again == graph
    assert folded(again, seed, cut) == folded(graph, seed, [BARS])


@settings(deadline=None, max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 2**31))
def test_any_graph_gives_what_its_definition_gives(graph: Graph, seed: int) -> None:
    values = np.frombuffer(folded(graph, seed, [BARS])[0]).reshape(len(graph.outputs), BARS)
    np.testing.assert_array_equal(values, by_definition(graph, seed))
