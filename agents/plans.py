"""What a strategy says: enter, by which plan to leave, leave now, and where the stop follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from agents.durations import duration_ms
from agents.expressions import Condition, Number, StrategyError, as_condition, as_number, said

SIDES: Final = ("long", "short")
ON_OPPOSITE: Final = ("reverse", "close", "ignore")
ENTRY_TYPES: Final = ("market", "limit", "stop")
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exit:
    """How a position is left, executed by the desk.

    stop, target: distances from the fill, in price. trail_long, trail_short: prices, to which the stop follows at each
    bar's close; it only tightens. breakeven_at: the stop goes to the entry once so many stop distances are gained.
    partial: (at, share), that share of the volume is closed once `at` stop distances are gained. max_bars: so many bar
    lengths of time after the entry. on_opposite: what an entry to the other side does. cooldown: no new entry for so
    long after the exit, a time or a number of bars. Raises StrategyError.
    """

    stop: Number | float | None = None
    target: Number | float | None = None
    trail_long: Number | float | None = None
    trail_short: Number | float | None = None
    breakeven_at: float | None = None
    partial: tuple[float, float] | None = None
    max_bars: int | None = None
    on_opposite: str = "reverse"
    cooldown: str | int | None = None

    def __post_init__(self) -> None:
        for name in ("stop", "target", "trail_long", "trail_short"):
            value = getattr(self, name)
            if value is not None:
                _check_number(value, f"Exit: {name}")
        if self.breakeven_at is not None:
            _check_plain(self.breakeven_at, "Exit: breakeven_at", whole=False)
            if self.stop is None:
                raise StrategyError("Exit: breakeven_at counts in stop distances, and there is no stop")
        if self.partial is not None:
            _check_partial(self.partial)
            if self.stop is None:
                raise StrategyError("Exit: partial counts in stop distances, and there is no stop")
        if self.max_bars is not None:
            _check_plain(self.max_bars, "Exit: max_bars", whole=True)
        if self.on_opposite not in ON_OPPOSITE:
            raise StrategyError(f"Exit: on_opposite = {said(self.on_opposite)} is none of {', '.join(ON_OPPOSITE)}")
        if self.cooldown is not None:
            duration_ms(self.cooldown, "Exit: cooldown", bar_ms=1)


@dataclass(frozen=True, slots=True, eq=False)
class Enter:
    """Enter, when the condition holds at a bar's close; a class, which decides by itself, leaves the condition out.

    Made by `Enter.long` and `Enter.short` (at the market), `Enter.limit` and `Enter.stop` (at a price). `valid_for`:
    how late the order may be sent, counted from the bar's end. `expires`: how long it then waits at its price, counted
    from there too; without it, until it is filled or cancelled.
    """

    type: str
    side: str
    when: Condition | None
    plan: Exit
    valid_for_ms: int
    price: Number | float | None = None
    expires_ms: int = 0

    @classmethod
    def long(cls, when: Condition | None = None, plan: Exit | None = None, valid_for: str = "60s") -> Enter:
        """Buy. Raises StrategyError."""
        return cls._of("Enter.long", "market", "long", when, plan, valid_for)

    @classmethod
    def short(cls, when: Condition | None = None, plan: Exit | None = None, valid_for: str = "60s") -> Enter:
        """Sell. Raises StrategyError."""
        return cls._of("Enter.short", "market", "short", when, plan, valid_for)

    @classmethod
    def limit(
        cls,
        side: str,
        when: Condition | None = None,
        plan: Exit | None = None,
        *,
        price: Number | float,
        expires: str | None = None,
        valid_for: str = "60s",
    ) -> Enter:
        """Buy ("long") at `price` or below, by the ask; sell ("short") there or above, by the bid.

        Raises StrategyError.
        """
        return cls._of("Enter.limit", "limit", side, when, plan, valid_for, price, expires)

    @classmethod
    def stop(
        cls,
        side: str,
        when: Condition | None = None,
        plan: Exit | None = None,
        *,
        price: Number | float,
        expires: str | None = None,
        valid_for: str = "60s",
    ) -> Enter:
        """Buy ("long") once the ask is at `price` or above; sell ("short") once the bid is there or below.

        Raises StrategyError.
        """
        return cls._of("Enter.stop", "stop", side, when, plan, valid_for, price, expires)

    @classmethod
    def _of(
        cls,
        name: str,
        type_: str,
        side: Any,
        when: Any,
        plan: Any,
        valid_for: Any,
        price: Any = None,
        expires: Any = None,
    ) -> Enter:
        if side not in SIDES:
            raise StrategyError(f"{name}: side = {said(side)} is neither 'long' nor 'short'")
        if not isinstance(plan, Exit):
            raise StrategyError(f"{name} takes an exit plan, Exit(stop=…, …), not {said(plan)}")
        if type_ != "market":
            _check_number(price, f"{name}: price")
        return cls(
            type=type_,
            side=side,
            when=None if when is None else as_condition(when, name),
            plan=plan,
            valid_for_ms=duration_ms(valid_for, f"{name}: valid_for"),
            price=price,
            expires_ms=0 if expires is None else duration_ms(expires, f"{name}: expires"),
        )

    @property
    def name(self) -> str:
        """How it was written."""
        return f"Enter.{self.side if self.type == 'market' else self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Leave the strategy's positions when the condition holds at a bar's close; `side`: "long" or "short" only.

    A class, which decides by itself, leaves the condition out.
    """

    when: Condition | None = None
    side: str | None = None

    def __post_init__(self) -> None:
        if self.when is not None:
            as_condition(self.when, "Flat")
        if self.side is not None and self.side not in SIDES:
            raise StrategyError(f"Flat: side = {said(self.side)} is neither 'long' nor 'short'")

    @property
    def name(self) -> str:
        """How it was written."""
        return "Flat"

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that it leaves."""
        return SIDES if self.side is None else (self.side,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where the stops of open positions follow, as a class says it; an expression's plan has trail_long and
    trail_short. Prices; the stop only tightens. Raises StrategyError."""

    trail_long: float | None = None
    trail_short: float | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.trail_long, self.trail_short) if value is not None]
        if not given:
            raise StrategyError("Levels takes trail_long or trail_short, or both")
        for value in given:
            if not plain(value) or not value > 0:
                raise StrategyError(f"Levels takes prices above 0, not {said(value)}")


def plain(value: object) -> TypeGuard[float]:
    """Whether it is a finite plain number, NumPy's float64 included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_number(value: Any, place: str) -> None:
    if isinstance(value, Condition):
        raise StrategyError(f"{place} takes a number, not a condition over bars")
    if plain(value) and not value > 0:
        raise StrategyError(f"{place} = {value!r} is not above 0")
    as_number(value, place)


def _check_partial(value: Any) -> None:
    if not (isinstance(value, tuple) and len(value) == 2 and all(map(plain, value))):
        raise StrategyError(
            f"Exit: partial takes (at, share), such as (1.0, 0.5) for half of it at 1 R, not {said(value)}"
        )
    at, share = value
    if not 0 < at <= _MOST or not 0 < share < 1:
        raise StrategyError(f"Exit: partial = {value!r}: at is above 0, and the share lies between 0 and 1")


def _check_plain(value: Any, place: str, *, whole: bool) -> None:
    right = type(value) is int or (not whole and isinstance(value, float))
    if not right or not 0 < value <= _MOST:
        raise StrategyError(f"{place} takes {'a whole number' if whole else 'a number'} above 0, not {said(value)}")
