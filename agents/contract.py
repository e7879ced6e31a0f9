"""The strategy contract: what a strategy's file is made of.

A strategy is a generator over bars that yields what to do when. It runs once, when it is loaded, and never sees a
price: what it yields are expressions, of which a `StrategyProgram` is made.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents import strategy_program
from agents.durations import duration_ms
from agents.expressions import Bars, Expression, StrategyError, as_number, said
from agents.graph import BadGraph, Graph, graph_of
from agents.plans import Enter, Flat
from agents.price_levels import DISTANCE, PRICE, shifts
from agents.strategy_program import NO_OUTPUT, Entry, StrategyProgram
from schemas.timeframes import TIMEFRAMES, Timeframe


@dataclass(frozen=True, slots=True)
class Param:
    """A strategy's parameter: its default and bounds. Raises StrategyError."""

    default: float
    low: float
    high: float

    def __post_init__(self) -> None:
        values = (self.default, self.low, self.high)
        if not all(type(v) in (int, float) and math.isfinite(v) for v in values):
            raise StrategyError(f"Param takes default, low and high as finite numbers, not {values!r}")
        if not self.low <= self.default <= self.high:
            raise StrategyError(f"Param: the default {self.default!r} is not between {self.low!r} and {self.high!r}")

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers only: its default and bounds are such."""
        return all(type(value) is int for value in (self.default, self.low, self.high))

    def checked(self, name: str, value: Any) -> float:
        """`value` if it may be given. Raises StrategyError."""
        if self.whole and type(value) is not int:
            raise StrategyError(f"{name} = {value!r} is not a whole number: it is from {self.low} to {self.high}")
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            raise StrategyError(f"{name} = {value!r} is not between {self.low} and {self.high}")
        return int(value) if self.whole else float(value)


@dataclass(frozen=True, slots=True)
class Strategy:
    """A strategy as it was written. `warm_up` None: what its indicators need together."""

    name: str
    version: int
    timeframe: Timeframe
    warm_up: int | None
    parameters: Mapping[str, Param]
    doc: str
    function: Callable[..., Iterable[Any]] = field(repr=False)

    def program(self, values: Mapping[str, Any] | None = None) -> StrategyProgram:
        """The program with these parameters, the others at their defaults. Raises StrategyError, and what it raises."""
        return _program(self, self._run(filled(self.name, self.parameters, values))[0])

    def lines(self, values: Mapping[str, Any] | None = None) -> dict[str, Expression]:
        """The strategy's own lines by name: what its function calls by a name, and the levels to which stops follow.

        Of a name that is given twice, the last; of several expressions under one name, such as the bands of
        `bollinger`, each as `name.part`. Raises as `program` does.
        """
        yielded, found = self._run(filled(self.name, self.parameters, values))
        for one in yielded:
            if isinstance(one, Enter):
                for name in ("trail_long", "trail_short"):
                    level = getattr(one.plan, name)
                    if isinstance(level, Expression):
                        found[name] = level
        return found

    def _run(self, values: Mapping[str, Any]) -> tuple[list[Enter | Flat], dict[str, Expression]]:
        """What the function yields, and the expressions that it has names for."""
        running = self.function(Bars(), **values)
        if not inspect.isgenerator(running):
            raise StrategyError(f"{self.name} yields nothing: write `yield Enter.long(condition, plan)`")
        found: list[Enter | Flat] = []
        lines: dict[str, Expression] = {}
        for one in running:
            if not isinstance(one, Enter | Flat):
                _refuse(running, f"{self.name} yields Enter.long, Enter.short and Flat, not {said(one)}")
            elif one.when is None:
                _refuse(running, f"{one.name} needs a condition such as b.close > b.open")
            else:
                found.append(one)
            if running.gi_frame is not None:
                for name, value in running.gi_frame.f_locals.items():
                    lines.update(_named(name, value))
        return found, lines


def filled(name: str, parameters: Mapping[str, Param], values: Mapping[str, Any] | None) -> dict[str, float]:
    """All parameters of the strategy `name`: those given, checked, and the others' defaults. Raises StrategyError."""
    given = dict(values or {})
    unknown = [one for one in given if one not in parameters]
    if unknown:
        there = f"there are {', '.join(parameters)}" if parameters else "it has none"
        raise StrategyError(f"{name} has no parameter {unknown[0]!r}: {there}")
    return {key: p.checked(key, given.get(key, p.default)) for key, p in parameters.items()}


def timeframe_of(bars: object, place: str) -> Timeframe:
    """The timeframe of that name. Raises StrategyError."""
    found = next((t for t in TIMEFRAMES if t.name == bars), None)
    if found is None:
        raise StrategyError(
            f"{place} = {said(bars)} is no timeframe: there are {', '.join(t.name for t in TIMEFRAMES)}"
        )
    return found


def check_version(version: object, place: str) -> int:
    """`version` if it is a whole number from 1. Raises StrategyError."""
    if type(version) is not int or version < 1:
        raise StrategyError(f"{place} = {version!r} is not a whole number from 1")
    return version


Decorated = Callable[..., Iterable[Any]]


def strategy(*, version: int, bars: str, warmup: int | None = None) -> Callable[[Decorated], Strategy]:
    """Makes a Strategy of a generator function `name(b, parameter=Param(default, low, high), …)`.

    version: a whole number that you raise when you change it. bars: M1, M5, M15, M30, H1, H4 or D1. warmup: the first
    bar that may signal has this index, from 0. Raises StrategyError.
    """
    check_version(version, "@strategy: version")
    timeframe = timeframe_of(bars, "@strategy: bars")
    if warmup is not None and (type(warmup) is not int or warmup < 0):
        raise StrategyError(f"@strategy: warmup = {warmup!r} is not a number of bars")

    def wrap(function: Decorated) -> Strategy:
        found = list(inspect.signature(function).parameters.items())
        if not found or found[0][1].default is not inspect.Parameter.empty:
            raise StrategyError(f"{function.__name__} takes the bars first: def {function.__name__}(b, …)")
        for name, parameter in found[1:]:
            if not isinstance(parameter.default, Param):
                raise StrategyError(f"{function.__name__}: {name} needs a default, {name}=Param(default, low, high)")
        return Strategy(
            name=function.__name__,
            version=version,
            timeframe=timeframe,
            warm_up=warmup,
            parameters={name: parameter.default for name, parameter in found[1:]},
            doc=inspect.cleandoc(function.__doc__ or ""),
            function=function,
        )

    return wrap


class _Outputs:
    """The expressions that the program needs, each once."""

    def __init__(self) -> None:
        self.asked: list[Expression] = []

    def place(self, value: Expression | float | None) -> int:
        if value is None:
            return NO_OUTPUT
        self.asked.append(value if isinstance(value, Expression) else as_number(value))
        return len(self.asked) - 1


def _program(strategy: Strategy, yielded: list[Enter | Flat]) -> StrategyProgram:
    if not any(isinstance(one, Enter) for one in yielded):
        raise StrategyError(f"{strategy.name} never enters: write `yield Enter.long(condition, plan)`")
    outputs = _Outputs()
    entries, flats = [], []
    trails: dict[str, list[int]] = {"trail_long": [], "trail_short": []}
    bar_ms = strategy.timeframe.ms
    for one in yielded:
        if isinstance(one, Flat):
            flats.append(strategy_program.Flat(sides=one.sides, when=outputs.place(one.when)))
            continue
        entries.append(_entry(one, outputs, bar_ms))
        for name, places in trails.items():
            places.append(outputs.place(getattr(one.plan, name)))
    try:
        graph = graph_of(outputs.asked, strategy.timeframe)
    except BadGraph as error:
        raise StrategyError(f"{strategy.name}: {error}") from error
    _check_prices(strategy.name, graph, entries, trails)
    for name, places in trails.items():
        lines = [graph.outputs[p] if p != NO_OUTPUT else NO_OUTPUT for p in places]
        if any(line != lines[0] for line in lines):
            raise StrategyError(
                f"{strategy.name}: its plans have different {name}, and a strategy sends one such level at each bar: "
                "give all entries the same"
            )
    return StrategyProgram(
        name=strategy.name,
        version=strategy.version,
        timeframe=strategy.timeframe,
        warm_up=graph.warm_up_on(strategy.timeframe) if strategy.warm_up is None else strategy.warm_up,
        graph=graph,
        entries=tuple(entries),
        flats=tuple(flats),
        trail_long=trails["trail_long"][0],
        trail_short=trails["trail_short"][0],
    )


def _entry(one: Enter, outputs: _Outputs, bar_ms: int) -> Entry:
    plan = one.plan
    at, share = plan.partial or (None, None)
    return Entry(
        type=one.type,
        side=one.side,
        when=outputs.place(one.when),
        valid_for_ms=one.valid_for_ms,
        price=outputs.place(one.price),
        expires_ms=one.expires_ms,
        stop=outputs.place(plan.stop),
        target=outputs.place(plan.target),
        breakeven_at=None if plan.breakeven_at is None else float(plan.breakeven_at),
        partial_at=None if at is None else float(at),
        partial_share=None if share is None else float(share),
        max_hold_ms=0 if plan.max_bars is None else duration_ms(plan.max_bars, "Exit: max_bars", bar_ms=bar_ms),
        on_opposite=plan.on_opposite,
        cooldown_ms=0 if plan.cooldown is None else duration_ms(plan.cooldown, "Exit: cooldown", bar_ms=bar_ms),
    )


def _check_prices(strategy: str, graph: Graph, entries: list[Entry], trails: Mapping[str, list[int]]) -> None:
    """A price where a distance belongs would enter with a stop or target that is never reached, and so the reverse."""
    moved = shifts(graph)
    for entry in entries:
        for name, place in (("stop", entry.stop), ("target", entry.target)):
            if place != NO_OUTPUT and moved[graph.outputs[place]] == PRICE:
                raise StrategyError(
                    f"{strategy}: {name} is a price, and Exit takes the distance from the fill: write abs(b.close - …)"
                )
        if entry.price != NO_OUTPUT and moved[graph.outputs[entry.price]] not in (PRICE, None):
            raise StrategyError(
                f"{strategy}: the price of Enter.{entry.type} is no price but a distance or a multiple of prices: "
                "write price=b.close - …"
            )
    for name, places in trails.items():
        if any(place != NO_OUTPUT and moved[graph.outputs[place]] == DISTANCE for place in places):
            raise StrategyError(f"{strategy}: {name} is a distance, and Exit takes the price to which the stop follows")


def _named(name: str, value: Any) -> dict[str, Expression]:
    """The expressions that a local variable holds."""
    if isinstance(value, Expression):
        return {name: value}
    if isinstance(value, tuple):
        parts = getattr(value, "_fields", range(len(value)))
        return {f"{name}.{part}": one for part, one in zip(parts, value, strict=True) if isinstance(one, Expression)}
    return {}


def _refuse(running: Generator[Any, Any, Any], message: str) -> None:
    """Raises StrategyError from the line that yields, so that this line is shown."""
    running.throw(StrategyError(message))
    raise StrategyError(message)
