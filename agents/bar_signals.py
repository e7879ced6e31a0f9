"""A strategy's program at work: closed bars in, signals out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.expressions import COLUMNS
from agents.graph import Doubles
from agents.joined import Closed, JoinedFold, JoinedState
from agents.signals import (
    ENTER,
    ENTRY_TYPES,
    EXIT,
    LEVELS,
    LONG,
    NONE,
    ON_OPPOSITE,
    SHORT,
    SIGNAL_DTYPE,
    Signals,
    blank_rows,
)
from agents.strategy_program import NO_OUTPUT, Entry, StrategyProgram
from schemas.events import EntryType, OnOpposite

_SIDES: Final = {"long": LONG, "short": SHORT}
_NONE: Final[Signals] = np.empty(0, SIGNAL_DTYPE)
_FIELDS: Final = {"volume": "ticks", "real_volume": "volume", "spread": "spread_min"}
"""Columns of expressions that a bar's row knows by another name."""

Rows = npt.NDArray[np.void]
"""Closed bars of one timeframe, with the fields of `BAR_DTYPE`."""


class BarSignalState:
    """The graph's state, and how many bars it has seen."""

    __slots__ = ("graph", "seen")

    def __init__(self, graph: JoinedState, seen: int = 0) -> None:
        self.graph = graph
        self.seen = seen


class BarSignals:
    """The signals of one program.

    At one bar: EXIT, LEVELS, ENTER. Bars before the program's warm-up give none. Time, and `valid_for`, count from the
    bar's end; n, bid and ask are those of its last tick. LEVELS are written at each bar at which all levels that the
    plans name are finite. An entry isn't written if its last tick is suspect, if anything that it names is not finite,
    or a distance or price not above 0; of entries to one side the first named counts, and entries to both sides at one
    bar cancel each other. One object, one thread.
    """

    def __init__(self, program: StrategyProgram) -> None:
        self.program = program
        self.fold_graph: Final = JoinedFold(program.graph)
        self._trails = [place for place in (program.trail_long, program.trail_short) if place != NO_OUTPUT]

    def initial(self) -> BarSignalState:
        """The state before the first bar."""
        return BarSignalState(self.fold_graph.initial())

    def fold(
        self, state: BarSignalState, bars: Rows, suspect: npt.NDArray[np.bool_], closed: Sequence[Closed] = ()
    ) -> Signals:
        """The signals of at least one closed bar; `suspect` whether its last tick is; `closed` the bars of each other
        source. Changes `state`."""
        values = self.fold_graph.fold(state.graph, columns_of(bars), closed)
        warm = np.zeros(len(bars), np.bool_)
        warm[max(self.program.warm_up - state.seen, 0) :] = True
        state.seen += len(bars)
        if not warm[-1]:
            return _NONE
        levels = warm & np.isfinite(values[self._trails]).all(axis=0)
        found = self._exits(values, bars, warm)
        if self._trails and levels.any():
            found.append(self._levels(values, bars, levels))
        found += self._entries(values, bars, levels & ~suspect)
        if not found:
            return _NONE
        place = np.concatenate([at for at, _ in found])
        # Stable: at one bar the order in which they were found.
        return np.concatenate([rows for _, rows in found])[np.argsort(place, kind="stable")]

    def _exits(self, values: Doubles, bars: Rows, warm: Any) -> list[tuple[Any, Signals]]:
        found = []
        for side, code in _SIDES.items():
            whens = [flat.when for flat in self.program.flats if side in flat.sides]
            at = np.flatnonzero(warm & (values[whens] != 0.0).any(axis=0)) if whens else _NOWHERE
            if len(at):
                found.append((at, self._rows(bars, at, EXIT, code)))
        return found

    def _levels(self, values: Doubles, bars: Rows, levels: Any) -> tuple[Any, Signals]:
        at = np.flatnonzero(levels)
        rows = self._rows(bars, at, LEVELS, NONE)
        self._put_trails(rows, values, at)
        return at, rows

    def _entries(self, values: Doubles, bars: Rows, allowed: Any) -> list[tuple[Any, Signals]]:
        chosen = {"long": np.full(len(bars), -1), "short": np.full(len(bars), -1)}
        for number, entry in enumerate(self.program.entries):
            fits = allowed & (values[entry.when] != 0.0) & (chosen[entry.side] < 0)
            for named in (entry.price, entry.stop, entry.target):
                if named != NO_OUTPUT:
                    fits &= np.isfinite(values[named]) & (values[named] > 0.0)
            chosen[entry.side][fits] = number
        both = (chosen["long"] >= 0) & (chosen["short"] >= 0)
        found = []
        for number, entry in enumerate(self.program.entries):
            at = np.flatnonzero((chosen[entry.side] == number) & ~both)
            if len(at):
                found.append((at, self._entry(entry, values, bars, at)))
        return found

    def _entry(self, entry: Entry, values: Doubles, bars: Rows, at: Any) -> Signals:
        rows = self._rows(bars, at, ENTER, _SIDES[entry.side])
        rows["entry_type"] = ENTRY_TYPES.index(EntryType(entry.type.upper()))
        if entry.price != NO_OUTPUT:
            rows["price"] = values[entry.price, at]
        rows["expires_ms"] = entry.expires_ms
        rows["valid_for_ms"] = entry.valid_for_ms
        if entry.stop != NO_OUTPUT:
            rows["stop_distance"] = values[entry.stop, at]
        if entry.target != NO_OUTPUT:
            rows["target_distance"] = values[entry.target, at]
        self._put_trails(rows, values, at)
        if entry.breakeven_at is not None:
            rows["breakeven_at"] = entry.breakeven_at
        if entry.partial_at is not None:
            rows["partial_at"], rows["partial_share"] = entry.partial_at, entry.partial_share
        rows["max_hold_ms"] = entry.max_hold_ms
        rows["on_opposite"] = ON_OPPOSITE.index(OnOpposite(entry.on_opposite.upper()))
        rows["cooldown_ms"] = entry.cooldown_ms
        return rows

    def _put_trails(self, rows: Signals, values: Doubles, at: Any) -> None:
        if self.program.trail_long != NO_OUTPUT:
            rows["trail_long"] = values[self.program.trail_long, at]
        if self.program.trail_short != NO_OUTPUT:
            rows["trail_short"] = values[self.program.trail_short, at]

    def _rows(self, bars: Rows, at: Any, kind: int, side: int) -> Signals:
        rows = blank_rows(len(at), kind, side)
        some = bars[at]
        rows["proof_n"], rows["proof_ms"] = some["proof_n"], some["proof_ms"]
        rows["time_ms"] = some["time_ms"] + self.program.timeframe.ms
        rows["n"], rows["from_n"] = some["last_n"], some["first_n"]
        rows["bid"], rows["ask"] = some["close"], some["ask_close"]
        return rows


_NOWHERE: Final = np.empty(0, np.int64)


def columns_of(bars: Rows) -> Doubles:
    """The bars as a graph is fed: float64[COLUMNS, n]."""
    columns = np.empty((len(COLUMNS), len(bars)), np.float64)
    for row, name in enumerate(COLUMNS):
        if name == "time":
            columns[row] = bars["time_ms"] + bars["server_offset_s"] * 1_000
        else:
            columns[row] = bars[_FIELDS.get(name, name)]
    return columns
