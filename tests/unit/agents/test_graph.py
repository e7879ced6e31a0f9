"""The graph: shared nodes, warm-up, its one serialised form, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from agents.expressions import CONSTANT, Bars, Node, Number, StrategyError, made_of
from agents.graph import KINDS, MOST_NODES, BadGraph, GraphFold, canonical, graph_of, parse_graph
from agents.kernels import elementwise
from agents.kernels.kinds import NodeKind
from schemas.timeframes import Timeframe
from tests.graphs import ALL, B, arguments, outputs_of, random_bars
from tickledger import other, ta

WHOLE = graph_of([one for i in ALL.values() for one in made_of(i(*arguments(i)))])


def test_equal_nodes_of_equal_inputs_are_one() -> None:
    fast = ta.ema(B.close, 5)
    once = graph_of([fast])
    assert graph_of([fast, ta.ema(B.close, 5), ta.ema(B.close.lag(0), 5)]).places == once.places
    assert len(graph_of([fast, ta.ema(B.close, 6)]).places) == len(once.places) + 1


def test_warm_up_is_the_longest_sum_along_a_path() -> None:
    assert graph_of([ta.sma(B.close, 20)]).warm_up == 20
    assert graph_of([ta.ema(B.close, 20)]).warm_up == 60
    assert graph_of([ta.sma(ta.ema(B.close, 20), 10).lag(3)]).warm_up == 73
    assert graph_of([ta.sma(B.close, 20), ta.ema(B.close, 20)]).warm_up == 60
    assert graph_of([B.close]).warm_up == 0


def test_memory_is_what_a_value_reaches_back() -> None:
    assert graph_of([ta.sma(B.close, 20)]).memory == 19
    assert graph_of([ta.ema(B.close, 20).lag(2)]).memory == 402
    assert graph_of([ta.smma(B.close, 20)]).memory == 800


def test_the_serialised_form_gives_the_same_graph_digest_and_values() -> None:
    text = canonical(WHOLE.to_json())
    again = parse_graph(json.loads(text))
    assert canonical(again.to_json()) == text
    assert again.digest == WHOLE.digest
    bars = random_bars(3, 300)
    np.testing.assert_array_equal(outputs_of(again, bars), outputs_of(WHOLE, bars))


def test_the_digest_tells_graphs_apart() -> None:
    graphs = [graph_of([x]) for x in (ta.ema(B.close, 5), ta.ema(B.close, 6), ta.ema(B.open, 5), ta.smma(B.close, 5))]
    assert len({graph.digest for graph in graphs}) == 4


def test_a_long_chain_of_nodes_needs_no_deep_stack() -> None:
    x = B.close
    for _ in range(3_000):
        x = x + 1.0
    np.testing.assert_allclose(outputs_of(graph_of([x]), random_bars(1, 3))[0], random_bars(1, 3)[3] + 3_000)
    for _ in range(MOST_NODES):
        x = -x
    with pytest.raises(BadGraph, match="more than 5000"):
        graph_of([x])


def test_windows_that_take_too_much_memory_are_refused() -> None:
    with pytest.raises(BadGraph, match="shorten them"):
        graph_of([ta.sma(B.close + float(k), 10_000) for k in range(600)])


def test_a_node_shared_in_many_ways_is_computed_once() -> None:
    x = B.close
    for _ in range(60):
        x = x + x  # 2^60 paths
    assert len(graph_of([x]).places) == 61


def changed(**changes: Any) -> Any:
    found = graph_of([ta.cross_above(B.close, ta.sma(B.close, 3))]).to_json()
    for key, value in changes.items():
        if key[1:].isdecimal():
            found["nodes"][int(key[1:])] = value
        else:
            found[key] = value
    return found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "an object of nodes, outputs and sources"),
        ({"nodes": []}, "an object of nodes, outputs and sources"),
        (changed(nodes=3), "is not a list"),
        (changed(n0=["close/2", [], []]), "node 0 is no node that this release knows"),
        (changed(n0=["close/1", []]), "node 0 is no node"),
        (changed(n1=["mean/1", [0], [0]]), "node 1: mean: period = 0 is not between"),
        (changed(n1=["mean/1", [2.5], [0]]), "not a whole number"),
        (changed(n1=["mean/1", [True], [0]]), "not a plain number"),
        (changed(n1=["mean/1", [float("nan")], [0]]), "node 1"),
        (changed(n1=["mean/1", [], [0]]), "takes 1 parameters, not 0"),
        (changed(n1=["mean/1", [3], [1]]), "earlier nodes"),
        (changed(n1=["mean/1", [3], [0, 0]]), "takes 1 earlier nodes"),
        (changed(n1=["mean/1", [3], [-1]]), "earlier nodes"),
        (changed(n1=["and/1", [], [0, 0]]), "node 1: and takes node 0 for a condition"),
        (changed(n1=["constant/1", [float("inf")], []]), "one finite number"),
        (changed(outputs=[99]), "not all nodes"),
        (changed(outputs=[-1]), "not all nodes"),
    ],
)
def test_what_is_no_graph_is_refused(found: Any, said: str) -> None:
    with pytest.raises(BadGraph, match=said):
        parse_graph(found)


def test_a_state_of_another_length_is_refused() -> None:
    with pytest.raises(BadGraph, match="7 bytes are not the state"):
        GraphFold(graph_of([ta.sma(B.close, 3)])).load(b"1234567")


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in KINDS.values()]
    assert len(set(names)) == len(names)
    assert all(isinstance(kind, NodeKind) for kind in KINDS.values())


def test_constants_of_one_value_are_one_node() -> None:
    zero = Number(Node(CONSTANT, (0.0,)))
    graph = graph_of([B.close + 0, B.close + zero, B.close + -0.0])
    assert [p.kind for p in graph.places].count(CONSTANT) == 1
    assert [p.kind for p in graph.places].count(elementwise.ADD) == 1


TWO = graph_of([ta.ema(Bars().other("D1").close, 3) - B.close, other("GBPUSD").high > B.high], Timeframe.H1).to_json()


def of_two(**changes: Any) -> Any:
    found: Any = json.loads(json.dumps(TWO))
    for key, value in changes.items():
        if key[1:].isdecimal():
            found["nodes"][int(key[1:])] = value
        else:
            found[key] = value
    return found


def test_a_graph_names_the_sources_of_its_columns_in_the_order_in_which_they_come() -> None:
    assert TWO["sources"] == [["", "D1"], ["GBPUSD", "H1"]]
    names = ["close/1", "ema/1", "close/1", "joined/1", "subtract/1"]
    assert [node[0] for node in TWO["nodes"][:5]] == names
    assert TWO["nodes"][3] == ["joined/1", [], [1]]
    again = parse_graph(TWO)
    assert again.to_json() == TWO
    assert again.clocks[:5] == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (of_two(sources=[["", "D1"]]), "is of source"),
        (of_two(sources=[["", "D1"], ["GBPUSD", "H1"], ["", "M5"]]), "each is named once and has a column"),
        (of_two(sources=[["", "D1"], ["", "D1"]]), "each is named once"),
        (of_two(sources=[["", "D2"], ["GBPUSD", "H1"]]), "'D2' is no timeframe"),
        (of_two(sources=[["", "D1"], [" GBPUSD", "H1"]]), "starts or ends with a space"),
        (of_two(sources=[["", "D1"], ["Oanda/GBPUSD", "H1"]]), "feed 'Oanda' can't be used"),
        (of_two(sources=[3, ["GBPUSD", "H1"]]), "3 is no source"),
        (of_two(n0=["close/1", [2.0], []]), "is of source"),
        (of_two(n0=["close/1", [float("nan")], []]), "is of source"),
        (of_two(n2=["negate/1", [], [1]]), "takes nodes of one other source, or of one source"),
        (of_two(n1=["constant/1", [1.0], []]), "takes nodes of one other source"),
        (of_two(outputs=[1]), "not all nodes of the strategy's own bars"),
    ],
)
def test_what_is_no_graph_of_several_sources_is_refused(found: Any, said: str) -> None:
    with pytest.raises(BadGraph, match=said):
        parse_graph(found)


def test_the_own_timeframe_by_its_name_is_the_strategys_own() -> None:
    assert graph_of([other("H1").close], Timeframe.H1) == graph_of([B.close], Timeframe.H1)


@pytest.mark.parametrize(
    ("bars", "own", "bars_of_own"),
    [("D1", "H1", 95), ("M15", "H1", 0), ("M15", "M5", 11), ("H1", "H1", 3)],
)
def test_warm_up_of_other_timeframes_is_counted_in_own_bars(bars: str, own: str, bars_of_own: int) -> None:
    """Three bars and the one that closes: so many bars of the strategy have closed at that instant."""
    assert graph_of([ta.sma(other(bars).close, 3)], Timeframe[own]).warm_up_on(Timeframe[own]) == bars_of_own


def test_bars_of_several_sources_are_not_counted_without_a_timeframe() -> None:
    with pytest.raises(ValueError, match="say which"):
        _ = parse_graph(TWO).memory


@pytest.mark.parametrize(
    ("name", "bars", "said"),
    [
        ("M2", "", "'M2' is no timeframe: there are M1, M5, M15, M30, H1, H4, D1"),
        ("MN1", "", "'MN1' is no timeframe"),
        ("GBPUSD", "H2", "'H2' is no timeframe"),
        ("oanda/", "", "the symbol is empty"),
        ("Oanda/GBPUSD", "", "feed 'Oanda' can't be used"),
        (3, "", "a timeframe or a listing by name, not 3"),
    ],
)
def test_bars_that_can_not_be_are_said_at_once(name: Any, bars: Any, said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        other(name, bars)
