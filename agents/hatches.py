"""Strategies as classes, for what expressions can't say: `BarStrategy`, Python at each bar, and `TickStrategy`, NumPy
or numba on blocks of ticks.

What `start` sets is the strategy's state: whole numbers, floats, True or False, and NumPy arrays of int64, float64 or
bool, of a size that stays. Nothing else may be set later, so the state is always known, is kept with every snapshot,
and a strategy that is stopped and goes on says the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agents.contract import Param, check_version, filled, timeframe_of
from agents.expressions import Expression, StrategyError, said
from agents.plain_signals import Said
from schemas.timeframes import Timeframe

Longs = npt.NDArray[np.int64]

_ARRAYS: Final = (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_))
_MOST_WORDS: Final = 10_000_000


class Bar(NamedTuple):
    """A closed bar. Prices are bids but for `ask_close`, spreads in points, `volume` its ticks, `real_volume` lots.

    `time`: its opening on the server's clock, `time_ms` in UTC, milliseconds since 1970. `suspect`: its last tick is,
    and no entry is decided on it. `complete`: the log neither starts nor has a gap inside it.
    """

    time: int
    time_ms: int
    open: float
    high: float
    low: float
    close: float
    ask_close: float
    volume: int
    real_volume: float
    spread: int
    spread_mean: float
    spread_max: int
    complete: bool
    suspect: bool


class Ticks(NamedTuple):
    """Consecutive ticks, those that are broken or made from bars left out; arrays of equal length, at least 1.

    n int64: their numbers in the listing's log; time_ms int64 (UTC); bid, ask float64; suspect bool: a real price on
    which no entry is decided. `gap`: before the first something may be missing. `digits`: of the listing's prices.
    """

    n: Longs
    time_ms: Longs
    bid: npt.NDArray[np.float64]
    ask: npt.NDArray[np.float64]
    suspect: npt.NDArray[np.bool_]
    gap: bool
    digits: int


class _Class:
    """What both kinds of classes are: parameters from `Param`s, and state that is what `start` sets."""

    version: ClassVar[int]
    warmup: ClassVar[int] = 0

    def __init__(self, values: Mapping[str, float]) -> None:
        vars_ = object.__getattribute__(self, "__dict__")
        vars_.update(values)
        vars_["_parameters"] = frozenset(values)
        vars_["_state"] = None
        self.start()
        vars_["_state"] = _Layout(
            {name: value for name, value in vars_.items() if name not in values and name not in _OURS}
        )

    def start(self) -> None:
        """Sets the state; the parameters are there by their names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._parameters or name in _OURS:
            raise StrategyError(f"{name} is a parameter, which stays as it is")
        layout: _Layout | None = self._state
        if layout is None:
            _kind_of(name, value)
        else:
            value = layout.fitting(name, value, self.__dict__)
        self.__dict__[name] = value

    _parameters: frozenset[str]
    _state: Any


class BarStrategy(_Class):
    """A strategy that is called at each closed bar. Class attributes: version, bars ("M1" to "D1"), `Param`s, `warmup`:
    the index, from 0, of the first bar whose signals count."""

    bars: ClassVar[str]

    def on_bar(self, bar: Bar) -> Iterable[Said] | None:
        """Yields `Enter`, `Flat` and `Levels`, with plain numbers and without conditions, or nothing."""
        raise NotImplementedError


class TickStrategy(_Class):
    """A strategy that is called with blocks of ticks, whose cut must not matter. Class attributes: version and
    `Param`s; `bars`, M1 if it isn't given, is only the unit of `max_bars` and of a `cooldown` in bars."""

    bars: ClassVar[str] = "M1"

    def on_block(self, ticks: Ticks) -> Iterable[tuple[int, Said]] | None:
        """Yields (i, signal) for tick i of the block, in the order of ticks; signals as of a BarStrategy."""
        raise NotImplementedError


_OURS: Final = ("_parameters", "_state")


@dataclass(frozen=True, slots=True)
class ClassProgram:
    """A class with its parameters filled in."""

    strategy: ClassStrategy
    parameters: Mapping[str, float]

    @property
    def name(self) -> str:
        return self.strategy.name

    @property
    def version(self) -> int:
        return self.strategy.version

    @property
    def timeframe(self) -> Timeframe:
        return self.strategy.timeframe

    @property
    def listings(self) -> tuple[str, ...]:
        """The other listings that it reads: none."""
        return ()

    @property
    def warm_up(self) -> int:
        """No signal before the bar of this index."""
        return self.strategy.cls.warmup

    @property
    def memory(self) -> int:
        """Bars after which, as it says by its `warmup`, nothing depends on where history starts."""
        return self.strategy.cls.warmup

    def made(self) -> BarStrategy | TickStrategy:
        """A new object of the class. Raises what its `start` raises."""
        return self.strategy.cls(self.parameters)


@dataclass(frozen=True, slots=True)
class ClassStrategy:
    """A class as it was written, with what `Strategy` has too."""

    name: str
    version: int
    timeframe: Timeframe
    parameters: Mapping[str, Param]
    doc: str
    cls: type[BarStrategy] | type[TickStrategy]

    @property
    def on_bars(self) -> bool:
        """Whether it is called at bars, not with ticks."""
        return issubclass(self.cls, BarStrategy)

    def program(self, values: Mapping[str, Any] | None = None) -> ClassProgram:
        """The class with these parameters, the others at their defaults. Raises StrategyError, and what it raises."""
        program = ClassProgram(self, filled(self.name, self.parameters, values))
        program.made()
        return program

    def lines(self, values: Mapping[str, Any] | None = None) -> dict[str, Expression]:
        """None: what a class computes has no names outside of it. Raises StrategyError for parameters."""
        filled(self.name, self.parameters, values)
        return {}


def class_strategy(cls: type[BarStrategy] | type[TickStrategy]) -> ClassStrategy:
    """The strategy that a class is. Raises StrategyError."""
    name = cls.__name__
    method = "on_bar" if issubclass(cls, BarStrategy) else "on_block"
    if getattr(cls, method) in (BarStrategy.on_bar, getattr(TickStrategy, "on_block", None)):
        raise StrategyError(f"{name} has no {method}: write `def {method}(self, …)`")
    if not hasattr(cls, "version") or not hasattr(cls, "bars"):
        raise StrategyError(f"{name} needs the class attributes version and bars: version = 1, bars = 'H1'")
    warmup: Any = cls.warmup
    if type(warmup) is not int or warmup < 0:
        raise StrategyError(f"{name}: warmup = {warmup!r} is not a number of bars")
    found = {key: value for one in reversed(cls.__mro__) for key, value in one.__dict__.items()}
    return ClassStrategy(
        name=name,
        version=check_version(cls.version, f"{name}: version"),
        timeframe=timeframe_of(cls.bars, f"{name}: bars"),
        parameters={key: value for key, value in found.items() if isinstance(value, Param)},
        doc=inspect.cleandoc(cls.__doc__ or ""),
        cls=cls,
    )


class ClassWork:
    """An object of a class whose state lies in int64 words, which the caller keeps."""

    def __init__(self, program: ClassProgram) -> None:
        self.program = program
        self.strategy = program.made()
        self._layout: _Layout = self.strategy._state
        self.words = self._layout.words

    def initial(self) -> Longs:
        """The state before the first tick: int64[words]."""
        words = np.zeros(self.words, np.int64)
        self._layout.write(self.program.made().__dict__, words)
        return words

    def put(self, words: Longs) -> None:
        """Gives the object its state; arrays are views of it."""
        self._layout.read(words, self.strategy.__dict__)

    def take(self, words: Longs) -> None:
        """Brings what the object has set back to `words`, the same that were put."""
        self._layout.write_scalars(self.strategy.__dict__, words)

    def failed(self, error: Exception | SystemExit) -> StrategyError:
        """What it raised in one sentence, with the innermost line of its own file that it came through."""
        file, line = self._file, 0
        place: TracebackType | None = error.__traceback__
        while place is not None:
            if place.tb_frame.f_code.co_filename == file:
                line = place.tb_lineno
            place = place.tb_next
        text = str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
        return StrategyError(f"line {line}: {text}" if line else text)

    @property
    def _file(self) -> str:
        cls = self.program.strategy.cls
        method = getattr(cls, "on_bar" if self.program.strategy.on_bars else "on_block")
        code = getattr(inspect.unwrap(method), "__code__", None)
        return "" if code is None else str(code.co_filename)


def _kind_of(name: str, value: Any) -> type | np.dtype[Any]:
    """What a value of the state is. Raises StrategyError for what can't be one."""
    if isinstance(value, np.ndarray) and value.dtype in _ARRAYS:
        kind: np.dtype[Any] = value.dtype
        return kind
    if type(value) in (bool, int, float):
        return type(value)
    raise StrategyError(
        f"start sets {name} to {said(value)}: a strategy's state is whole numbers, floats, True or False, "
        "and NumPy arrays of int64, float64 or bool"
    )


class _Layout:
    """Where in int64 words each of the values lies."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._kinds: dict[str, type | np.dtype[Any]] = {}
        self._places: dict[str, tuple[int, int, tuple[int, ...]]] = {}
        at = 0
        for name, value in values.items():
            size, shape = 1, ()
            self._kinds[name] = _kind_of(name, value)
            if isinstance(value, np.ndarray):
                size, shape = -(-value.nbytes // 8), value.shape
            self._places[name] = (at, size, shape)
            at += size
        if at > _MOST_WORDS:
            raise StrategyError(f"its state is {8 * at} bytes, more than {8 * _MOST_WORDS}: keep less")
        self.words = at

    def fitting(self, name: str, value: Any, present: dict[str, Any]) -> Any:
        """`value` as it may be set. An array is copied into the one that is there."""
        kind = self._kinds.get(name)
        if kind is None:
            raise StrategyError(f"{name} is not part of the state: set it in start(self) first")
        if isinstance(kind, np.dtype):
            if not isinstance(value, np.ndarray) or value.shape != self._places[name][2]:
                raise StrategyError(f"{name} is an array of shape {self._places[name][2]}, and stays one")
            present[name][...] = value
            return present[name]
        if kind is bool and isinstance(value, bool | np.bool_):
            return bool(value)
        if kind is int and isinstance(value, int | np.integer) and not isinstance(value, bool):
            if not -(2**63) <= value < 2**63:
                raise StrategyError(f"{name} = {value} has more than 64 bits")
            return int(value)
        if kind is float and isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
            return float(value)
        noun = {bool: "True or False", int: "a whole number", float: "a number"}[kind]
        raise StrategyError(f"{name} was {noun} at the start, and is set to {said(value)}")

    def read(self, words: Longs, into: dict[str, Any]) -> None:
        for name, (at, size, shape) in self._places.items():
            kind, part = self._kinds[name], words[at : at + size]
            if isinstance(kind, np.dtype):
                count = int(np.prod(shape, dtype=np.int64))
                into[name] = part.view(kind)[:count].reshape(shape)
            elif kind is float:
                into[name] = float(part.view(np.float64)[0])
            else:
                into[name] = kind(part[0])

    def write(self, values: Mapping[str, Any], words: Longs) -> None:
        for name, (at, size, shape) in self._places.items():
            kind = self._kinds[name]
            if isinstance(kind, np.dtype):
                count = int(np.prod(shape, dtype=np.int64))
                words[at : at + size].view(kind)[:count] = values[name].reshape(-1)
        self.write_scalars(values, words)

    def write_scalars(self, values: Mapping[str, Any], words: Longs) -> None:
        floats = words.view(np.float64)
        for name, (at, _, _) in self._places.items():
            kind = self._kinds[name]
            if kind is float:
                floats[at] = values[name]
            elif not isinstance(kind, np.dtype):
                words[at] = values[name]
