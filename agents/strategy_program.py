"""A strategy with its parameters filled in: a graph, and what its outputs mean. This is what the log knows it by.

The serialised form is canonical, so that its hash names the program, and it is run again from it alone: the file that
it was written in isn't needed.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Final

from agents.graph import BadGraph, Graph, canonical, parse_graph
from agents.plans import ENTRY_TYPES, ON_OPPOSITE, SIDES
from schemas.timeframes import TIMEFRAMES, Timeframe

FORM: Final = 1
NO_OUTPUT: Final = -1
_MOST_MS: Final = 366 * 86_400_000
_WORDS: Final = 64


class BadProgram(ValueError):
    """Data that is not a strategy's program of this release; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry and its exit plan; outputs of the graph by their place, -1 = none. Times in milliseconds, 0 = never."""

    type: str
    side: str
    when: int
    valid_for_ms: int
    price: int
    expires_ms: int
    stop: int
    target: int
    breakeven_at: float | None
    partial_at: float | None
    partial_share: float | None
    max_hold_ms: int
    on_opposite: str
    cooldown_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Leave positions of these sides when the condition holds."""

    sides: tuple[str, ...]
    when: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyProgram:
    """A whole program. `warm_up`: no signal before the bar of this index, counted from 0."""

    name: str
    version: int
    timeframe: Timeframe
    warm_up: int
    graph: Graph
    entries: tuple[Entry, ...]
    flats: tuple[Flat, ...]
    trail_long: int
    trail_short: int

    def serialised(self) -> str:
        """The canonical JSON."""
        return canonical(
            {
                "form": FORM,
                "name": self.name,
                "version": self.version,
                "bars": self.timeframe.name,
                "warm_up": self.warm_up,
                "graph": self.graph.to_json(),
                "entries": [{name: getattr(entry, name) for name in _ENTRY} for entry in self.entries],
                "flats": [{"sides": list(flat.sides), "when": flat.when} for flat in self.flats],
                "trail_long": self.trail_long,
                "trail_short": self.trail_short,
            }
        )

    @property
    def has_stop(self) -> bool:
        """Whether every entry names a stop."""
        return all(entry.stop != NO_OUTPUT for entry in self.entries)

    @property
    def listings(self) -> tuple[str, ...]:
        """The other listings that it reads, as it names them: a symbol of the same feed, or feed/SYMBOL."""
        return tuple(dict.fromkeys(source.listing for source in self.graph.sources if source.listing))

    @property
    def memory(self) -> int:
        """Bars of its own after which nothing depends on where history starts."""
        return self.graph.memory_on(self.timeframe)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the serialised form."""
        return hashlib.sha256(self.serialised().encode()).hexdigest()


_ENTRY: Final = (
    "type", "side", "when", "valid_for_ms", "price", "expires_ms", "stop", "target", "breakeven_at", "partial_at",
    "partial_share", "max_hold_ms", "on_opposite", "cooldown_ms",
)  # fmt: skip
_KEYS: Final = ("form", "name", "version", "bars", "warm_up", "graph", "entries", "flats", "trail_long", "trail_short")


def needs_stop(program: StrategyProgram) -> str | None:
    """Why the program can't be sized by risk, and what to write instead; None if every entry names a stop."""
    if program.has_stop:
        return None
    return (
        f"{program.name} enters without a stop, so there is no distance by which to size a risk: "
        "write Exit(stop=2 * atr(b, 14)), or size by --lots"
    )


def parse_program(text: str) -> StrategyProgram:
    """The program in its serialised form. Raises BadProgram, also for a form that is not canonical."""
    try:
        found = json.loads(text)
        if not isinstance(found, dict) or sorted(found) != sorted(_KEYS):
            raise BadProgram(f"a program is an object of {', '.join(_KEYS)}")
        if found["form"] != FORM:
            raise BadProgram(f"form {found['form']!r} is not {FORM}, the one that this release runs")
        program = _program(found)
    except BadGraph as error:
        raise BadProgram(f"graph: {error}") from error
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError, ValueError) as error:
        if isinstance(error, BadProgram):
            raise
        raise BadProgram(f"not a program: {type(error).__name__}: {error}") from error
    if program.serialised() != text:
        raise BadProgram("the program is not in its canonical form")
    return program


def _program(found: dict[str, Any]) -> StrategyProgram:
    name, version, warm_up = found["name"], found["version"], found["warm_up"]
    if not isinstance(name, str) or not name.isidentifier() or len(name) > _WORDS:
        raise BadProgram(f"{name!r} is no name")
    timeframe = next((t for t in TIMEFRAMES if t.name == found["bars"]), None)
    if timeframe is None:
        raise BadProgram(f"{found['bars']!r} is no timeframe")
    graph = parse_graph(found["graph"])
    if ("", timeframe.name) in graph.sources:
        raise BadProgram(f"its own bars, {timeframe.name}, are named as other ones")
    return StrategyProgram(
        name=name,
        version=_whole(version, "version", 1, 2**31 - 1),
        timeframe=timeframe,
        warm_up=_whole(warm_up, "warm_up", 0, 2**31 - 1),
        graph=graph,
        entries=tuple(_entry(one, graph) for one in found["entries"]),
        flats=tuple(_flat(one, graph) for one in found["flats"]),
        trail_long=_output(found["trail_long"], graph, condition=False),
        trail_short=_output(found["trail_short"], graph, condition=False),
    )


def _entry(found: dict[str, Any], graph: Graph) -> Entry:
    if (
        sorted(found) != sorted(_ENTRY)
        or found["type"] not in ENTRY_TYPES
        or found["side"] not in SIDES
        or found["on_opposite"] not in ON_OPPOSITE
    ):
        raise BadProgram(f"{found!r} is no entry")
    for name in ("breakeven_at", "partial_at", "partial_share"):
        value = found[name]
        if value is not None and not (type(value) is float and math.isfinite(value) and value > 0.0):
            raise BadProgram(f"{name} {value!r} is not above 0")
    share = found["partial_share"]
    if (found["partial_at"] is None) != (share is None) or (share is not None and share >= 1.0):
        raise BadProgram(f"partial_at {found['partial_at']!r} and partial_share {share!r} are no partial exit")
    if (found["price"] == NO_OUTPUT) != (found["type"] == "market"):
        raise BadProgram(f"an entry at {found['type']} has price {found['price']!r}")
    return Entry(
        type=found["type"],
        side=found["side"],
        when=_output(found["when"], graph, condition=True),
        valid_for_ms=_whole(found["valid_for_ms"], "valid_for_ms", 1, _MOST_MS),
        price=_output(found["price"], graph, condition=False),
        expires_ms=_whole(found["expires_ms"], "expires_ms", 0, _MOST_MS),
        stop=_output(found["stop"], graph, condition=False),
        target=_output(found["target"], graph, condition=False),
        breakeven_at=found["breakeven_at"],
        partial_at=found["partial_at"],
        partial_share=share,
        max_hold_ms=_whole(found["max_hold_ms"], "max_hold_ms", 0, _MOST_MS),
        on_opposite=found["on_opposite"],
        cooldown_ms=_whole(found["cooldown_ms"], "cooldown_ms", 0, _MOST_MS),
    )


def _flat(found: dict[str, Any], graph: Graph) -> Flat:
    sides = tuple(found["sides"])
    if sorted(found) != ["sides", "when"] or not sides or [s for s in SIDES if s in sides] != list(sides):
        raise BadProgram(f"{found!r} is no flat")
    return Flat(sides=sides, when=_output(found["when"], graph, condition=True))


def _output(place: Any, graph: Graph, *, condition: bool) -> int:
    """An output of the wanted sort; a number may be none at all."""
    if type(place) is int and place == NO_OUTPUT and not condition:
        return NO_OUTPUT
    if type(place) is int and 0 <= place < len(graph.outputs):
        if graph.places[graph.outputs[place]].kind.condition == condition:
            return place
        raise BadProgram(f"output {place} is {'no condition' if condition else 'a condition'}")
    raise BadProgram(f"there is no output {place!r}")


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise BadProgram(f"{name} = {value!r} is not between {low} and {high}")
    return value
