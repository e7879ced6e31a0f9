"""What a sweep goes through: the values of each parameter, and the sets that they make."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from agents.contract import filled
from agents.expressions import StrategyError
from api.lab.choice import Chosen
from infra.errors import SettingsError

MOST_SETS: Final = 100_000
_MOST_VALUES: Final = 1_000_000
_HOW: Final = "write it as name=from:to:step, name=a,b,c or name=value, such as -p fast=10:60:5"

Number = int | float
Values = Mapping[str, Number]


@dataclass(frozen=True, slots=True)
class Axis:
    """A parameter's values in their order; none for a range without steps, from which sets are drawn."""

    name: str
    values: tuple[Number, ...]
    low: Number
    high: Number
    whole: bool = False
    """Of a range without steps: whether it has whole numbers only."""

    @property
    def varied(self) -> bool:
        """Whether there is more than one value."""
        return len(self.values) != 1

    @property
    def count(self) -> int | None:
        """How many values there are; None if they can't be counted."""
        if self.values:
            return len(self.values)
        return int(self.high) - int(self.low) + 1 if self.whole else None

    def draw(self, random: random.Random) -> Number:
        """One of its values."""
        if self.values:
            return random.choice(self.values)
        return random.randint(int(self.low), int(self.high)) if self.whole else random.uniform(self.low, self.high)


def parse_axes(options: Sequence[str]) -> tuple[Axis, ...]:
    """The axes of `-p` options. Raises SettingsError."""
    found: dict[str, Axis] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name or not text:
            raise SettingsError(f"-p {option}: {_HOW}")
        if name in found:
            raise SettingsError(f"-p {name} is given twice: name its values once, such as -p {name}=10,20,30")
        found[name] = _axis(name, text)
    return tuple(found.values())


def fitted(axes: Sequence[Axis], chosen: Chosen) -> tuple[Axis, ...]:
    """The axes with their values as the strategy takes them. Raises SettingsError for one that it doesn't."""
    return tuple(_fitted(axis, chosen) for axis in axes)


def total(axes: Sequence[Axis]) -> int | None:
    """How many sets there are; None if they can't be counted."""
    counts = [axis.count for axis in axes]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def grid(axes: Sequence[Axis]) -> list[dict[str, Number]]:
    """Every set, the last axis going fastest. Raises SettingsError."""
    for axis in axes:
        if not axis.values:
            raise SettingsError(
                f"-p {axis.name}={axis.low}:{axis.high} has no step: write {axis.name}={axis.low}:{axis.high}:STEP, "
                "or draw sets from it by --random N"
            )
    count = total(axes)
    assert count is not None
    if count > MOST_SETS:
        raise SettingsError(
            f"the grid has {count:,} sets, and at most {MOST_SETS:,} are run: take larger steps, or draw some of them "
            "by --random 1000"
        )
    return [dict(_set(axes, values)) for values in itertools.product(*(axis.values for axis in axes))]


def drawn(axes: Sequence[Axis], sets: int, seed: int) -> list[dict[str, Number]]:
    """`sets` different ones by chance, the same for the same seed; all of them where there are no more.

    Raises SettingsError.
    """
    check_sets(sets, "--random")
    count = total(axes)
    if count is not None and count <= sets and all(axis.values for axis in axes):
        return grid(axes)
    chance = random.Random(seed)
    found: dict[tuple[Number, ...], None] = {}
    most = sets if count is None else min(sets, count)
    while len(found) < most:
        found[tuple(axis.draw(chance) for axis in axes)] = None
    return [dict(_set(axes, values)) for values in found]


def check_sets(sets: int, option: str) -> None:
    """Raises SettingsError where so many sets can't be run."""
    if not 1 <= sets <= MOST_SETS:
        raise SettingsError(f"{option} {sets}: from 1 to {MOST_SETS:,} sets are run")


def _set(axes: Sequence[Axis], values: Sequence[Number]) -> Iterator[tuple[str, Number]]:
    return ((axis.name, value) for axis, value in zip(axes, values, strict=True))


def _axis(name: str, text: str) -> Axis:
    if ":" in text:
        parts = [_decimal(name, text, part) for part in text.split(":")]
        if len(parts) not in (2, 3):
            raise SettingsError(f"-p {name}={text}: {_HOW}")
        low, high = parts[0], parts[1]
        if len(parts) == 2:
            if low >= high:
                raise SettingsError(f"-p {name}={text}: {low} is not below {high}")
            return Axis(name, (), _plain(low), _plain(high))
        values = tuple(map(_plain, _steps(name, text, low, high, parts[2])))
    else:
        values = tuple(_plain(_decimal(name, text, part)) for part in text.split(","))
    values = tuple(dict.fromkeys(values))
    return Axis(name, values, min(values), max(values))


def _steps(name: str, text: str, low: Decimal, high: Decimal, step: Decimal) -> list[Decimal]:
    if not step:
        raise SettingsError(f"-p {name}={text}: a step of 0 never comes to {high}")
    count = (high - low) / step
    if count < 0:
        raise SettingsError(f"-p {name}={text} has no value: steps of {step} lead away from {high}")
    if count >= _MOST_VALUES:
        raise SettingsError(f"-p {name}={text} has {int(count) + 1:,} values: take a larger step")
    return [low + step * place for place in range(int(count) + 1)]


def _decimal(name: str, text: str, part: str) -> Decimal:
    try:
        value = Decimal(part.strip())
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise SettingsError(f"-p {name}={text}: {part!r} is not a number; {_HOW}")
    return value


def _plain(value: Decimal) -> Number:
    """Whole if it was written so."""
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


def _fitted(axis: Axis, chosen: Chosen) -> Axis:
    try:
        if axis.values:
            values = tuple(_checked(chosen, axis.name, value) for value in axis.values)
            return Axis(axis.name, values, min(values), max(values))
        low, high = (_checked(chosen, axis.name, value) for value in (axis.low, axis.high))
    except StrategyError as error:
        raise SettingsError(f"-p {axis.name}: {error}") from None
    return replace(axis, low=low, high=high, whole=type(low) is int)


def _checked(chosen: Chosen, name: str, value: Number) -> Number:
    if chosen.strategy is not None:
        return filled(chosen.name, chosen.strategy.parameters, {name: value})[name]
    return _built_in(chosen, name, value)


def _built_in(chosen: Chosen, name: str, value: Number) -> Number:
    from agents.berserker import BerserkerParameters
    from agents.parameters import BadParameters, check, parse

    try:
        parameters: Any = parse(BerserkerParameters, json.dumps({name: value}))
        check(parameters)
    except BadParameters as error:
        raise SettingsError(f"{chosen.name}: {error}") from None
    found: Number = getattr(parameters, name)
    return found
