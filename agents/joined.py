"""A graph over bars of several sources at work: the strategy's own, other timeframes, other listings.

The nodes of each source are folded over its own bars. At each of the strategy's bars a joined node has the value at the
newest bar of its source that was closed by then; which bars those are, the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.expressions import COLUMN_KINDS, COLUMNS
from agents.graph import JOINED_CONDITION, JOINS, BadGraph, Doubles, Graph, GraphFold, GraphState, Place

Longs = npt.NDArray[np.int64]

_COLUMNS: Final = frozenset(COLUMN_KINDS.values())


class Closed(NamedTuple):
    """Bars of one source that have closed, float64[COLUMNS, m], and how many of them by each of the strategy's,
    int64[n]."""

    columns: Doubles
    by_own: Longs


class JoinedState:
    """The states of all parts in one float64 array: the own nodes', each source's, the newest values of the joins."""

    __slots__ = ("newest", "own", "parts", "words")

    def __init__(self, words: Doubles, own: GraphState, parts: list[GraphState], newest: Doubles) -> None:
        self.words = words
        self.own = own
        self.parts = parts
        self.newest = newest


class JoinedFold:
    """A graph at work. Its buffers are its own: one object, one thread. A graph of one source may have no joins."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        joins = [at for at, place in enumerate(graph.places) if place.kind in JOINS]
        clocks = graph.clocks
        self._rows = [
            [row for row, at in enumerate(joins) if clocks[graph.places[at].inputs[0]] == source]
            for source in range(1, len(graph.sources) + 1)
        ]
        self._before = [0.0 if graph.places[at].kind is JOINED_CONDITION else np.nan for at in joins]
        self._own = GraphFold(_part(graph, list(graph.outputs), keep=joins))
        self._parts = [
            GraphFold(_part(graph, [graph.places[joins[row]].inputs[0] for row in rows])) for rows in self._rows
        ]
        self.words = self._own.words + sum(part.words for part in self._parts) + len(joins)

    def initial(self) -> JoinedState:
        """The state before the first bar."""
        state = self._state(np.zeros(self.words, np.float64))
        state.newest[:] = self._before
        return state

    def load(self, data: bytes) -> JoinedState:
        """The state in what `dump` gave. Raises BadGraph for bytes of another length."""
        if len(data) != 8 * self.words:
            raise BadGraph(f"{len(data)} bytes are not the state of a graph of {self.words} words")
        return self._state(np.frombuffer(data, "<f8").astype(np.float64))

    def dump(self, state: JoinedState) -> bytes:
        """The state as bytes."""
        return state.words.astype("<f8").tobytes()

    def fold(self, state: JoinedState, columns: Doubles, closed: Sequence[Closed] = ()) -> Doubles:
        """The values float64[outputs, n] of the strategy's consecutive closed bars, columns float64[COLUMNS, n].

        `closed`: of each source the bars since the call before. Changes `state`.
        """
        if not self._parts:
            return self._own.fold(state.own, columns)
        fed = np.empty((len(COLUMNS) + len(self._before), columns.shape[1]), np.float64)
        fed[: len(COLUMNS)] = columns
        for part, own, rows, (bars, by_own) in zip(self._parts, state.parts, self._rows, closed, strict=True):
            values = np.empty((len(rows), bars.shape[1] + 1), np.float64)
            values[:, 0] = state.newest[rows]
            if bars.shape[1]:
                values[:, 1:] = part.fold(own, bars)
            fed[[len(COLUMNS) + row for row in rows]] = values[:, by_own]
            state.newest[rows] = values[:, -1]
        return self._own.fold(state.own, fed)

    def _state(self, words: Doubles) -> JoinedState:
        at, states = 0, []
        for fold in (self._own, *self._parts):
            states.append(fold.state_in(words[at : at + fold.words]))
            at += fold.words
        return JoinedState(words, states[0], states[1:], words[at:])


def _part(graph: Graph, outputs: list[int], keep: Sequence[int] = ()) -> Graph:
    """The nodes on which `outputs` rest, of one source, as its own; `keep`: the joins, which count as columns."""
    needed = set(outputs) | set(keep)
    for at in reversed(range(len(graph.places))):
        if at in needed and at not in keep:
            needed.update(graph.places[at].inputs)
    number: dict[int, int] = {}
    places: list[Any] = []
    for at, place in enumerate(graph.places):
        if at in needed:
            number[at] = len(places)
            if at in keep or place.kind in _COLUMNS:
                places.append(Place(place.kind, (), ()))
            else:
                places.append(Place(place.kind, place.numbers, tuple(number[i] for i in place.inputs)))
    return Graph(tuple(places), tuple(number[at] for at in outputs))
