"""The strategy contract: what a strategy's file is made of.

A strategy is a generator over bars that yields what to do when. It runs once, when it is loaded, and never sees a
price: what it yields are expressions, of which a `StrategyProgram` is made.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agents import strategy_program
from agents.durations import duration_ms
from agents.expressions import Bars, Condition, Expression, Number, StrategyError, as_condition, as_number, said
from agents.graph import BadGraph, Graph, graph_of
from agents.price_levels import DISTANCE, PRICE, shifts
from agents.strategy_program import NO_OUTPUT, ON_OPPOSITE, SIDES, Entry, StrategyProgram
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exit:
    """How a position is left, executed by the desk.

    stop, target: distances from the fill, in price. trail_long, trail_short: prices, to which the stop follows at each
    bar's close; it only tightens. breakeven_at: the stop goes to the entry once so many stop distances are gained.
    max_bars: so many bar lengths of time after the entry. on_opposite: what an entry to the other side does. cooldown:
    no new entry for so long after the exit, a time or a number of bars. Raises StrategyError.
    """

    stop: Number | float | None = None
    target: Number | float | None = None
    trail_long: Number | None = None
    trail_short: Number | None = None
    breakeven_at: float | None = None
    max_bars: int | None = None
    on_opposite: str = "reverse"
    cooldown: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("stop", "target", "trail_long", "trail_short"):
            value = getattr(self, name)
            if value is not None:
                if isinstance(value, Condition):
                    raise StrategyError(f"Exit: {name} takes a number, not a condition over bars")
                if type(value) in (int, float) and not value > 0:
                    raise StrategyError(f"Exit: {name} = {value!r} is not above 0")
                as_number(value, f"Exit: {name}")
        if self.breakeven_at is not None:
            _plain(self.breakeven_at, "Exit: breakeven_at", whole=False)
            if self.stop is None:
                raise StrategyError("Exit: breakeven_at counts in stop distances, and there is no stop")
        if self.max_bars is not None:
            _plain(self.max_bars, "Exit: max_bars", whole=True)
        if self.on_opposite not in ON_OPPOSITE:
            raise StrategyError(f"Exit: on_opposite = {said(self.on_opposite)} is none of {', '.join(ON_OPPOSITE)}")
        if self.cooldown is not None:
            duration_ms(self.cooldown, "Exit: cooldown", bar_ms=1)


@dataclass(frozen=True, slots=True, eq=False)
class Enter:
    """Enter at the market when the condition holds at a bar's close; `valid_for` counts from there.

    Made by `Enter.long` and `Enter.short`.
    """

    side: str
    when: Condition
    plan: Exit
    valid_for_ms: int

    @classmethod
    def long(cls, when: Condition, plan: Exit, valid_for: str = "60s") -> Enter:
        """Buy. Raises StrategyError."""
        return cls._of("long", when, plan, valid_for)

    @classmethod
    def short(cls, when: Condition, plan: Exit, valid_for: str = "60s") -> Enter:
        """Sell. Raises StrategyError."""
        return cls._of("short", when, plan, valid_for)

    @classmethod
    def _of(cls, side: str, when: Any, plan: Any, valid_for: Any) -> Enter:
        if not isinstance(plan, Exit):
            raise StrategyError(f"Enter.{side} takes an exit plan, Exit(stop=…, …), not {said(plan)}")
        condition = as_condition(when, f"Enter.{side}")
        return cls(side, condition, plan, duration_ms(valid_for, f"Enter.{side}: valid_for"))


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Leave the strategy's positions when the condition holds at a bar's close; `side`: "long" or "short" only."""

    when: Condition
    side: str | None = None

    def __post_init__(self) -> None:
        as_condition(self.when, "Flat")
        if self.side is not None and self.side not in SIDES:
            raise StrategyError(f"Flat: side = {said(self.side)} is neither 'long' nor 'short'")


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
        given = dict(values or {})
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            there = f"there are {', '.join(self.parameters)}" if self.parameters else "it has none"
            raise StrategyError(f"{self.name} has no parameter {unknown[0]!r}: {there}")
        filled = {name: p.checked(name, given.get(name, p.default)) for name, p in self.parameters.items()}
        yielded = self.function(Bars(), **filled)
        if not inspect.isgenerator(yielded):
            raise StrategyError(f"{self.name} yields nothing: write `yield Enter.long(condition, plan)`")
        return _program(self, list(yielded))


Decorated = Callable[..., Iterable[Any]]


def strategy(*, version: int, bars: str, warmup: int | None = None) -> Callable[[Decorated], Strategy]:
    """Makes a Strategy of a generator function `name(b, parameter=Param(default, low, high), …)`.

    version: a whole number that you raise when you change it. bars: M1, M5, M15, M30, H1, H4 or D1. warmup: the first
    bar that may signal has this index, from 0. Raises StrategyError.
    """
    if type(version) is not int or version < 1:
        raise StrategyError(f"@strategy: version = {version!r} is not a whole number from 1")
    timeframe = next((t for t in TIMEFRAMES if t.name == bars), None)
    if timeframe is None:
        there = ", ".join(t.name for t in TIMEFRAMES)
        raise StrategyError(f"@strategy: bars = {bars!r} is no timeframe: there are {there}")
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


def _program(strategy: Strategy, yielded: list[Any]) -> StrategyProgram:
    for one in yielded:
        if not isinstance(one, Enter | Flat):
            raise StrategyError(f"{strategy.name} yields Enter.long, Enter.short and Flat, not {said(one)}")
    if not any(isinstance(one, Enter) for one in yielded):
        raise StrategyError(f"{strategy.name} never enters: write `yield Enter.long(condition, plan)`")
    outputs = _Outputs()
    entries, flats = [], []
    trails: dict[str, list[int]] = {"trail_long": [], "trail_short": []}
    bar_ms = strategy.timeframe.ms
    for one in yielded:
        if isinstance(one, Flat):
            sides = SIDES if one.side is None else (one.side,)
            flats.append(strategy_program.Flat(sides=tuple(sides), when=outputs.place(one.when)))
            continue
        plan = one.plan
        entries.append(
            Entry(
                side=one.side,
                when=outputs.place(one.when),
                valid_for_ms=one.valid_for_ms,
                stop=outputs.place(plan.stop),
                target=outputs.place(plan.target),
                breakeven_at=None if plan.breakeven_at is None else float(plan.breakeven_at),
                max_hold_ms=0 if plan.max_bars is None else duration_ms(plan.max_bars, "Exit: max_bars", bar_ms=bar_ms),
                on_opposite=plan.on_opposite,
                cooldown_ms=0 if plan.cooldown is None else duration_ms(plan.cooldown, "Exit: cooldown", bar_ms=bar_ms),
            )
        )
        for name, places in trails.items():
            places.append(outputs.place(getattr(plan, name)))
    try:
        graph = graph_of(outputs.asked)
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
        warm_up=graph.warm_up if strategy.warm_up is None else strategy.warm_up,
        graph=graph,
        entries=tuple(entries),
        flats=tuple(flats),
        trail_long=trails["trail_long"][0],
        trail_short=trails["trail_short"][0],
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
    for name, places in trails.items():
        if any(place != NO_OUTPUT and moved[graph.outputs[place]] == DISTANCE for place in places):
            raise StrategyError(f"{strategy}: {name} is a distance, and Exit takes the price to which the stop follows")


_MOST: Final = 1_000_000


def _plain(value: Any, place: str, *, whole: bool) -> None:
    right = type(value) is int or (not whole and type(value) is float)
    if not right or not 0 < value <= _MOST:
        raise StrategyError(f"{place} takes {'a whole number' if whole else 'a number'} above 0, not {said(value)}")
