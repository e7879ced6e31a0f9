"""An account's RiskLimits: none at all, or what a TOML table tells.

max_lots = 5.0                  # largest order
max_spread_points = 25          # widest spread at an entry
max_price_move_points = 30      # farthest that the price may be from the signal's
max_quote_age_ms = 5000         # oldest quote at an entry
max_symbol_lots = 10.0          # of one symbol, both sides counted
max_currency_exposure = 5.0     # net in one currency, multiple of equity
max_gross_notional = 20.0       # sum of all notionals, multiple of equity: the leverage used
min_margin_level = 200.0        # percent, after the entry
max_positions = 10
max_orders_per_minute = 20
max_requests_per_day = 2000
max_daily_loss = 0.05           # share of the basis; "5%" does as well
daily_loss_basis = "HIGHER"     # BALANCE, EQUITY or HIGHER, when the day begins
daily_loss_action = "FLATTEN"   # BLOCK (no entries), REDUCE (entries that reduce only), FLATTEN (close all)
max_drawdown = "10%"            # from the highest equity
drawdown_action = "FLATTEN"
loss_streak = 5                 # so many losses in a row make an instance pause
loss_streak_pause = "4h"        # for so long
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from agents.durations import duration_ms
from agents.expressions import StrategyError
from schemas.configuration import BreachAction, LossBasis, RiskLimits
from schemas.integrity import UNWRITTEN

_POSITIVE: Final = (
    "max_lots", "max_price_move_points", "max_symbol_lots", "max_currency_exposure", "max_gross_notional",
    "min_margin_level",
)  # fmt: skip
_COUNTS: Final = (
    "max_quote_age_ms", "max_positions", "max_orders_per_minute", "max_requests_per_day", "loss_streak",
)  # fmt: skip
_SHARES: Final = ("max_daily_loss", "max_drawdown")
_ENUMS: Final[dict[str, type[LossBasis] | type[BreachAction]]] = {
    "daily_loss_basis": LossBasis,
    "daily_loss_action": BreachAction,
    "drawdown_action": BreachAction,
}
_PAUSE: Final = "loss_streak_pause"
_UNMEASURED: Final = "max_correlation"
_KEYS: Final = (*_POSITIVE, "max_spread_points", *_COUNTS, *_SHARES, *_ENUMS, _PAUSE)
_MOST_COUNT: Final = 2**31 - 1


class BadLimit(ValueError):
    """A limit that isn't known or can't be what it is; the message has key, value and what it can be."""


def no_limits(account: str) -> RiskLimits:
    """Nothing limited: only what the broker asks for holds."""
    return _limits(account, {})


def limits_from_toml(told: Mapping[str, Any], account: str) -> RiskLimits:
    """RiskLimits of an account from a TOML table, see above; the chain's fields are the writer's. Raises BadLimit."""
    values = {key: _value(key, value) for key, value in told.items()}
    pause = values.pop(_PAUSE, None)
    if (pause is None) != ("loss_streak" not in values):
        missing, there = (_PAUSE, "loss_streak") if pause is None else ("loss_streak", _PAUSE)
        raise BadLimit(f'{there} needs {missing} beside it: loss_streak = 5 and loss_streak_pause = "4h", for example')
    return _limits(account, {**values, "loss_streak_pause_ms": pause or 0})


def _limits(account: str, values: Mapping[str, Any]) -> RiskLimits:
    usual = {
        "daily_loss_basis": LossBasis.BALANCE,
        "daily_loss_action": BreachAction.BLOCK,
        "drawdown_action": BreachAction.BLOCK,
        "loss_streak_pause_ms": 0,
    }
    return RiskLimits(account=account, **{**UNWRITTEN, **usual, **values})


def _value(key: str, value: object) -> Any:
    if key == _UNMEASURED:
        raise BadLimit(
            f"{key} = {value!r}: correlation can't be measured, since an account's journal needn't have a listing's "
            "quotes of the minutes before an entry: leave the key out, and limit what moves alike by "
            "max_currency_exposure, max_gross_notional or max_positions"
        )
    if key not in _KEYS:
        near = get_close_matches(key, _KEYS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_KEYS)}"
        raise BadLimit(f"unknown limit {key!r}: {hint}")
    if key in _ENUMS:
        return _choice(key, value)
    if key == _PAUSE:
        try:
            return duration_ms(value, key)
        except StrategyError as error:
            raise BadLimit(str(error)) from error
    if key in _COUNTS:
        return _count(key, value)
    if key in _SHARES:
        return _share(key, value)
    least = 0.0 if key == "max_spread_points" else math.ulp(0.0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < math.inf:
        above = "zero or above" if key == "max_spread_points" else "above zero"
        raise BadLimit(f"{key} = {value!r}: it must be a number {above}; leave the key out for no limit")
    return float(value)


def _choice(key: str, value: object) -> LossBasis | BreachAction:
    kind = _ENUMS[key]
    names = [name.value for name in kind if name.value != "UNKNOWN"]
    if not isinstance(value, str) or value.upper() not in names:
        raise BadLimit(f"{key} = {value!r}: it must be one of {', '.join(names)}")
    return kind[value.upper()]


def _count(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_COUNT:
        raise BadLimit(f"{key} = {value!r}: it must be a whole number from 1; leave the key out for no limit")
    return value


def _share(key: str, value: object) -> float:
    """`0.05` or `"5%"`."""
    share = value
    if isinstance(value, str) and value.endswith("%"):
        try:
            share = float(Decimal(value[:-1]) / 100)
        except ArithmeticError:
            share = value
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
        raise BadLimit(f'{key} = {value!r}: it must be a share above 0 and up to 1, or "5%" for 0.05')
    return float(share)
