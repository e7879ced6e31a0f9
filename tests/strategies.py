"""Strategies for tests: written in the contract, and a log on which they signal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tickledger import Enter, Exit, Flat, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema, highest, lowest, rsi, session


@strategy(version=1, bars="H1")
def ema_cross(
    b: Any, fast: Any = Param(20, 5, 100), slow: Any = Param(50, 20, 400), k: Any = Param(2.0, 0.5, 6.0)
) -> Iterator[Any]:
    """EMA cross; stop k ATR, chandelier trail, break-even at 1 R, out after 120 bars."""
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
    plan = Exit(
        stop=k * r,
        trail_long=highest(b.high, 22) - 3 * r,
        trail_short=lowest(b.low, 22) + 3 * r,
        breakeven_at=1.0,
        max_bars=120,
    )
    yield Enter.long(cross_above(f, s), plan, valid_for="60s")
    yield Enter.short(cross_below(f, s), plan, valid_for="60s")


@strategy(version=3, bars="M1", warmup=3)
def busy(b: Any, n: Any = Param(3, 1, 50)) -> Iterator[Any]:
    """Signals of all kinds on nearly any bars."""
    r = atr(b, 2)
    plan = Exit(
        stop=1.5 * r, target=2 * r, trail_long=lowest(b.low, n), trail_short=highest(b.high, n),
        on_opposite="close", cooldown=2,
    )  # fmt: skip
    up = b.close > ema(b.close, n)
    yield Enter.long(up & (b.spread < 30.0), plan, valid_for="5m")
    yield Enter.short(~up & session(b, "01:00", "23:00"), plan)
    yield Flat(rsi(b.close, 3) > 80.0, side="long")
    yield Flat(rsi(b.close, 3) > 95.0)


STRATEGIES = (ema_cross, busy)
