"""A graph of nodes over bars: numbered, serialised, and folded in blocks with its state carried.

Nodes are numbered so that inputs come first; equal nodes of equal inputs are one. The serialised form is canonical: the
same graph has the same bytes and hash, and is made again from them. Folding the same bars in other blocks gives the
same values and state, since every kernel is a sequential fold; nothing looks ahead, since no kernel reads a later bar.

Columns of other timeframes and listings are of other *sources*. A node goes by the bars of the source that its inputs
are of. Where sources meet, and where something is asked for, a *joined* node stands between: at each of the strategy's
bars it has its input's value at the newest bar of that source which was closed by then.
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

from agents.expressions import COLUMN_KINDS, COLUMNS, CONSTANT, OWN, Expression, Node, Source, fault
from agents.kernels import elementwise, recursive, windows
from agents.kernels.kinds import NodeKind
from schemas.identity import InvalidName, check_symbol, parse_listing
from schemas.timeframes import TIMEFRAMES, Timeframe

Doubles = npt.NDArray[np.float64]

JOINED: Final = NodeKind(name="joined", kernel=None, inputs=(False,))
"""Its input, of another source, at the strategy's own bars; NaN before a bar of that source has closed."""
JOINED_CONDITION: Final = NodeKind(name="joined_condition", kernel=None, inputs=(True,), condition=True)
"""The same of a condition; false before."""
JOINS: Final = (JOINED, JOINED_CONDITION)

KINDS: Final = {
    kind.key: kind
    for kind in (
        *COLUMN_KINDS.values(), CONSTANT, *JOINS, *elementwise.KINDS, *windows.KINDS, *recursive.KINDS,
    )
}  # fmt: skip
"""Every kind of node that a graph may have, by its name in the serialised form."""

MOST_NODES: Final = 5_000
MOST_MEMORY: Final = 10_000_000
"""Words of state of a graph: 80 MB."""


class BadGraph(ValueError):
    """Data that is not a graph of this release; the message says where and why."""


class Place(NamedTuple):
    """A node with its inputs by number; a constant's value, or a column's source other than the own, from 1, is in
    `numbers`."""

    kind: NodeKind
    numbers: tuple[float, ...]
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which inputs come first, and the numbers of those that are asked for.

    `sources`: the other ones, in the order in which their columns come first, each with a timeframe.
    """

    places: tuple[Place, ...]
    outputs: tuple[int, ...]
    sources: tuple[Source, ...] = ()

    @property
    def warm_up(self) -> int:
        """Bars until all that is asked for has its usual value, along each path the nodes' sum; of one source."""
        return self.warm_up_on(None)

    @property
    def memory(self) -> int:
        """Bars after which what is asked for no longer depends on where history starts; of one source."""
        return self.memory_on(None)

    def warm_up_on(self, own: Timeframe | None) -> int:
        """`warm_up` in bars of `own`; those of other sources are counted as the time that they take.

        Raises ValueError if there are other sources and no `own`.
        """
        return self._longest([p.kind.warm_up(p.numbers) for p in self.places], own)

    def memory_on(self, own: Timeframe | None) -> int:
        """`memory` in bars of `own`."""
        return self._longest([p.kind.memory(p.numbers) for p in self.places], own)

    @property
    def clocks(self) -> tuple[int, ...]:
        """For each node the source by whose bars it goes: 0 is the strategy's own, ANY what is constant."""
        found: list[int] = []
        for place in self.places:
            found.append(_clock(place, found))
        return tuple(found)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the canonical form."""
        return hashlib.sha256(canonical(self.to_json()).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """`{"nodes": [[kind, [numbers], [inputs]], …], "outputs": [numbers], "sources": [[listing, timeframe], …]}`."""
        nodes = [[p.kind.key, list(p.numbers), list(p.inputs)] for p in self.places]
        return {"nodes": nodes, "outputs": list(self.outputs), "sources": [list(one) for one in self.sources]}

    def _longest(self, bars: Sequence[int], own: Timeframe | None) -> int:
        through: list[int] = []
        clocks = self.clocks
        for place, own_bars in zip(self.places, bars, strict=True):
            longest = own_bars + max((through[i] for i in place.inputs), default=0)
            if place.kind in JOINS:
                if own is None:
                    raise ValueError("bars of several sources are counted in those of one timeframe: say which")
                other = Timeframe[self.sources[clocks[place.inputs[0]] - 1].bars]
                longest = -(-(longest + 1) * other.ms // own.ms) - 1
            through.append(longest)
        return max((through[i] for i in self.outputs), default=0)


ANY: Final = -1


def _clock(place: Place, clocks: Sequence[int]) -> int:
    """The source by whose bars a node goes; `clocks` those of the nodes before it."""
    if place.kind in _COLUMNS:
        return int(place.numbers[0]) if place.numbers else 0
    if place.kind in JOINS:
        return 0
    return max((clocks[i] for i in place.inputs), default=ANY)


_COLUMNS: Final = frozenset(COLUMN_KINDS.values())


class _Builder:
    """Places under way, equal ones once."""

    def __init__(self, own: Timeframe | None) -> None:
        self._own = "" if own is None else own.name
        self._by_form: dict[tuple[str, tuple[float, ...], tuple[int, ...]], int] = {}
        self.places: list[Place] = []
        self.clocks: list[int] = []
        self.sources: list[Source] = []

    def node(self, node: Node, inputs: list[int]) -> int:
        if node.kind in _COLUMNS:
            return self._place(node.kind, self._numbers(node.source), ())
        if len({self.clocks[i] for i in inputs} - {ANY}) > 1:
            inputs = [self.joined(i) for i in inputs]
        return self._place(node.kind, node.numbers, tuple(inputs))

    def joined(self, place: int) -> int:
        """The place itself if it goes by the strategy's own bars, else its join."""
        if self.clocks[place] <= 0:
            return place
        kind = JOINED_CONDITION if self.places[place].kind.condition else JOINED
        return self._place(kind, (), (place,))

    def _place(self, kind: NodeKind, numbers: tuple[float, ...], inputs: tuple[int, ...]) -> int:
        form = (kind.key, numbers, inputs)
        if form not in self._by_form:
            self._by_form[form] = len(self.places)
            place = Place(kind, numbers, inputs)
            self.clocks.append(_clock(place, self.clocks))
            self.places.append(place)
        return self._by_form[form]

    def _numbers(self, source: Source) -> tuple[float, ...]:
        source = source._replace(bars=source.bars or self._own)
        if source in (OWN, Source("", self._own)):
            return ()
        if not source.bars:
            raise BadGraph(f"{source.listing} has no timeframe")
        if source not in self.sources:
            self.sources.append(source)
        return (float(self.sources.index(source) + 1),)


def graph_of(asked: Sequence[Expression], own: Timeframe | None = None) -> Graph:
    """The graph that computes the expressions, one output each; `own`: the timeframe of the strategy."""
    by_node: dict[Node, int] = {}
    build = _Builder(own)
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
            by_node[node] = build.node(node, [by_node[one] for one in node.inputs])
            waiting.pop()
    outputs = tuple(build.joined(by_node[expression.node]) for expression in asked)
    return _checked(Graph(tuple(build.places), outputs, tuple(build.sources)))


def parse_graph(found: Any) -> Graph:
    """The graph in what `to_json` gave. Raises BadGraph."""
    if not isinstance(found, dict) or set(found) != {"nodes", "outputs", "sources"}:
        raise BadGraph("a graph is an object of nodes, outputs and sources")
    sources = tuple(_parse_source(one) for one in _list(found["sources"], "sources"))
    places: list[Place] = []
    clocks: list[int] = []
    named = 0
    for at, row in enumerate(_list(found["nodes"], "nodes")):
        if not isinstance(row, list) or len(row) != 3 or row[0] not in KINDS:
            raise BadGraph(f"node {at} is no node that this release knows: {row!r}")
        kind = KINDS[row[0]]
        numbers = tuple(_list(row[1], f"node {at}"))
        inputs = tuple(_list(row[2], f"node {at}"))
        if kind is CONSTANT:
            wrong = None if len(numbers) == 1 and _finite(numbers[0]) else "a constant is one finite number"
        elif kind in _COLUMNS and numbers:
            # Sources are numbered as their columns come, so that a graph has one form.
            right = (
                len(numbers) == 1 and _finite(numbers[0]) and numbers[0] in range(1, min(named + 1, len(sources)) + 1)
            )
            wrong = None if right else f"{kind.name} is of source {list(numbers)!r}, and there are {len(sources)}"
            named = max(named, int(numbers[0])) if right else named
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
        met = {clocks[i] for i in inputs} - {ANY}
        if len(met) > 1 or (kind in JOINS and not met - {0}):
            raise BadGraph(f"node {at}: {kind.name} takes nodes of one other source, or of one source")
        places.append(Place(kind, tuple(float(value) for value in numbers), inputs))
        clocks.append(_clock(places[-1], clocks))
    outputs = tuple(_list(found["outputs"], "outputs"))
    if not all(type(i) is int and 0 <= i < len(places) and clocks[i] <= 0 for i in outputs):
        raise BadGraph(f"outputs {list(outputs)!r} are not all nodes of the strategy's own bars")
    if named != len(sources) or len(set(sources)) != len(sources):
        raise BadGraph(f"of sources {[list(one) for one in sources]!r} each is named once and has a column")
    return _checked(Graph(tuple(places), outputs, sources))


def _parse_source(found: Any) -> Source:
    if not (isinstance(found, list) and len(found) == 2 and all(isinstance(one, str) for one in found)):
        raise BadGraph(f"{found!r} is no source")
    listing, bars = found
    try:
        if listing and "/" in listing:
            parse_listing(listing)
        elif listing:
            check_symbol(listing)
    except InvalidName as error:
        raise BadGraph(str(error)) from error
    if all(bars != timeframe.name for timeframe in TIMEFRAMES):
        raise BadGraph(f"{bars!r} is no timeframe")
    return Source(listing, bars)


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
    """A graph of one source at work; `agents.joined` has those of several. Its rows of values are its own: one object,
    one thread.

    A joined node takes its values from the rows that follow COLUMNS, in the order of nodes.
    """

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
        joins = [at for at, p in enumerate(graph.places) if p.kind in JOINS]
        self._columns += [(at, len(names) + row) for row, at in enumerate(joins)]
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
        return self.state_in(np.zeros(self.words, np.float64))

    def load(self, data: bytes) -> GraphState:
        """The state in what `dump` gave. Raises BadGraph for bytes of another length."""
        if len(data) != 8 * self.words:
            raise BadGraph(f"{len(data)} bytes are not the state of a graph of {self.words} words")
        return self.state_in(np.frombuffer(data, "<f8").astype(np.float64))

    def state_in(self, words: Doubles) -> GraphState:
        """The state that lies in float64[words]."""
        return GraphState(words, self._sizes)

    def dump(self, state: GraphState) -> bytes:
        """The state as bytes."""
        return state.words.astype("<f8").tobytes()

    def fold(self, state: GraphState, columns: Doubles) -> Doubles:
        """The values float64[outputs, n] of consecutive closed bars; columns float64[COLUMNS +
        joins, n]. Changes `state`."""
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
