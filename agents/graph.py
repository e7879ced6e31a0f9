"""A graph of nodes over bars: numbered, serialised, and folded in blocks with its state carried.

Nodes are numbered so that inputs come first; equal nodes of equal inputs are one. The serialised form is canonical: the
same graph has the same bytes and hash, and is made again from them. Folding the same bars in other blocks gives the
same values and state, since every kernel is a sequential fold; nothing looks ahead, since no kernel reads a later bar.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.expressions import COLUMN_KINDS, COLUMNS, CONSTANT, Expression, Node, fault
from agents.kernels import elementwise, recursive, windows
from agents.kernels.kinds import NodeKind

Doubles = npt.NDArray[np.float64]

KINDS: Final = {
    kind.key: kind for kind in (*COLUMN_KINDS.values(), CONSTANT, *elementwise.KINDS, *windows.KINDS, *recursive.KINDS)
}
"""Every kind of node that a graph may have, by its name in the serialised form."""

MOST_NODES: Final = 5_000
MOST_MEMORY: Final = 10_000_000
"""Words of state of a graph: 80 MB."""


class BadGraph(ValueError):
    """Data that is not a graph of this release; the message says where and why."""


class Place(NamedTuple):
    """A node with its inputs by number; a constant's value is in `numbers`."""

    kind: NodeKind
    numbers: tuple[float, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which inputs come first, and the numbers of those that are asked for."""

    places: tuple[Place, ...]
    outputs: tuple[int, ...]

    @property
    def warm_up(self) -> int:
        """Bars until all that is asked for has its usual value: along each path the nodes' sum."""
        return self._longest([p.kind.warm_up(p.numbers) for p in self.places])

    @property
    def memory(self) -> int:
        """Bars after which what is asked for no longer depends on where history starts."""
        return self._longest([p.kind.memory(p.numbers) for p in self.places])

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical form."""
        return hashlib.sha256(canonical(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """`{"nodes": [[kind, [numbers], [inputs]], …], "outputs": [numbers]}`."""
        nodes = [[p.kind.key, list(p.numbers), list(p.inputs)] for p in self.places]
        return {"nodes": nodes, "outputs": list(self.outputs)}

    def _longest(self, own: Sequence[int]) -> int:
        through: list[int] = []
        for place, bars in zip(self.places, own, strict=True):
            through.append(bars + max((through[i] for i in place.inputs), default=0))
        return max((through[i] for i in self.outputs), default=0)


def graph_of(asked: Sequence[Expression]) -> Graph:
    """The graph that computes the expressions, one output each."""
    by_node: dict[Node, int] = {}
    by_form: dict[tuple[str, tuple[float, ...], tuple[int, ...]], int] = {}
    places: list[Place] = []
    for expression in asked:
        waiting = [expression.node]
        while waiting:
            node = waiting[-1]
            missing = [one for one in node.inputs if one not in by_node]
            if node in by_node or missing:
                if node in by_node:
                    waiting.pop()
                waiting.extend(reversed(missing))
                continue
            inputs = tuple(by_node[one] for one in node.inputs)
            form = (node.kind.key, node.numbers, inputs)
            if form not in by_form:
                by_form[form] = len(places)
                places.append(Place(node.kind, node.numbers, inputs))
            by_node[node] = by_form[form]
            waiting.pop()
    return _checked(Graph(tuple(places), tuple(by_node[expression.node] for expression in asked)))


def parse_graph(found: Any) -> Graph:
    """The graph in what `to_json` gave. Raises BadGraph."""
    if not isinstance(found, dict) or set(found) != {"nodes", "outputs"}:
        raise BadGraph("a graph is an object of nodes and outputs")
    places: list[Place] = []
    for at, row in enumerate(_list(found["nodes"], "nodes")):
        if not isinstance(row, list) or len(row) != 3 or row[0] not in KINDS:
            raise BadGraph(f"node {at} is no node that this release knows: {row!r}")
        kind = KINDS[row[0]]
        numbers = tuple(_list(row[1], f"node {at}"))
        inputs = tuple(_list(row[2], f"node {at}"))
        if kind is CONSTANT:
            wrong = None if len(numbers) == 1 and _finite(numbers[0]) else "a constant is one finite number"
        else:
            wrong = fault(kind, numbers)
        if wrong:
            raise BadGraph(f"node {at}: {wrong}")
        if len(inputs) != len(kind.inputs) or not all(type(i) is int and 0 <= i < at for i in inputs):
            raise BadGraph(f"node {at}: {kind.name} takes {len(kind.inputs)} earlier nodes, not {list(inputs)!r}")
        for i, condition in zip(inputs, kind.inputs, strict=True):
            if places[i].kind.condition != condition:
                raise BadGraph(
                    f"node {at}: {kind.name} takes node {i} for {'a condition' if condition else 'a number'}"
                )
        places.append(Place(kind, tuple(float(value) for value in numbers), inputs))
    outputs = tuple(_list(found["outputs"], "outputs"))
    if not all(type(i) is int and 0 <= i < len(places) for i in outputs):
        raise BadGraph(f"outputs {list(outputs)!r} are not all nodes")
    return _checked(Graph(tuple(places), outputs))


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted, without spaces, numbers in shortest round-trip form."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


class GraphState:
    """The state of all nodes: one float64 array, and each node's part of it."""

    __slots__ = ("parts", "words")

    def __init__(self, words: Doubles, sizes: Sequence[int]) -> None:
        self.words = words
        self.parts: list[Doubles] = []
        at = 0
        for size in sizes:
            self.parts.append(words[at : at + size])
            at += size


class GraphFold:
    """A graph at work. Its rows of values are its own: one object, one thread."""

    ROOM: Final = 1_024
    """Bars computed at a time, so that all rows stay in the processor's cache."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._sizes = [p.kind.words(p.numbers) for p in graph.places if p.kind.kernel is not None]
        self.words = sum(self._sizes)
        self._values: Doubles = np.zeros((max(len(graph.places), 1), 1), np.float64)
        self._room = 0
        names, columns = list(COLUMNS), list(COLUMN_KINDS.values())
        self._columns = [(at, names.index(p.kind.name)) for at, p in enumerate(graph.places) if p.kind in columns]
        self._constants = [(at, p.numbers[0]) for at, p in enumerate(graph.places) if p.kind is CONSTANT]
        self._outputs = np.array(graph.outputs, np.int64)
        self._calls = [
            (
                p.kind.kernel,
                np.array([at, *p.inputs, *[0] * (3 - len(p.inputs))], np.int64),
                np.array([p.kind.code, *p.numbers], np.float64),
            )
            for at, p in enumerate(graph.places)
            if p.kind.kernel is not None
        ]
        self._grow(1)

    def initial(self) -> GraphState:
        """The state before the first bar."""
        return GraphState(np.zeros(self.words, np.float64), self._sizes)

    def load(self, data: bytes) -> GraphState:
        """The state in what `dump` gave. Raises BadGraph for bytes of another length."""
        if len(data) != 8 * self.words:
            raise BadGraph(f"{len(data)} bytes are not the state of a graph of {self.words} words")
        return GraphState(np.frombuffer(data, "<f8").astype(np.float64), self._sizes)

    def dump(self, state: GraphState) -> bytes:
        """The state as bytes."""
        return state.words.astype("<f8").tobytes()

    def fold(self, state: GraphState, columns: Doubles) -> Doubles:
        """The values float64[outputs, n] of consecutive closed bars; columns float64[COLUMNS, n]. Changes `state`."""
        n = columns.shape[1]
        if n > self._room and self._room < self.ROOM:
            self._grow(min(max(n, 2 * self._room), self.ROOM))
        if n <= self._room:
            return self._fold(state, columns)
        found = np.empty((len(self._outputs), n), np.float64)
        for at in range(0, n, self._room):
            found[:, at : at + self._room] = self._fold(state, columns[:, at : at + self._room])
        return found

    def _fold(self, state: GraphState, columns: Doubles) -> Doubles:
        n, values = columns.shape[1], self._values
        for row, column in self._columns:
            values[row, :n] = columns[column]
        for (kernel, wires, numbers), part in zip(self._calls, state.parts, strict=True):
            kernel(values, n, wires, numbers, part)
        found: Doubles = values[self._outputs, :n]
        return found

    def _grow(self, room: int) -> None:
        self._room = room
        self._values = np.zeros((max(len(self.graph.places), 1), room), np.float64)
        for row, value in self._constants:
            self._values[row] = value


def _checked(graph: Graph) -> Graph:
    if len(graph.places) > MOST_NODES:
        raise BadGraph(f"{len(graph.places)} nodes are more than {MOST_NODES}")
    words = sum(p.kind.words(p.numbers) for p in graph.places)
    if words > MOST_MEMORY:
        raise BadGraph(f"its windows hold {words} numbers, more than {MOST_MEMORY}: shorten them")
    return graph


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadGraph(f"{place}: {value!r} is not a list")
    return value


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
