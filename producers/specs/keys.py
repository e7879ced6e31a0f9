"""The keys of a spec: what each may be, in a TOML file and behind `--set` alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from schemas.configuration import MarginMode, SwapMode

HOURS: Final = 24
RATE: Final = re.compile(r"rate_([A-Z]{3})")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_MOST: Final = 1e12
_LARGE: Final = 1e9
"""A bound from here on is only there to keep nonsense out; no message names it."""


class BadValue(ValueError):
    """A key or a value that can't be; the message has no place yet."""


class Key(NamedTuple):
    """What a key takes: `kind` is number, whole, text, currency, hours, spread, or the names of an enum."""

    group: str
    """listing, spread, account or model."""
    kind: str | tuple[str, ...]
    least: float = 0.0
    most: float = _MOST
    hint: str = ""
    """What is usual, for messages."""


_LOTS: Final = "0.01 is usual"
KEYS: Final[dict[str, Key]] = {
    "digits": Key("listing", "whole", 0, 8, "EURUSD has 5, USDJPY 3, gold 2"),
    "contract_size": Key("listing", "number", 1e-8, hint="100000 for a currency pair, 100 for gold, 1 for an index"),
    "volume_min": Key("listing", "number", 1e-8, hint=_LOTS),
    "volume_max": Key("listing", "number", 1e-8, hint="100 is usual"),
    "volume_step": Key("listing", "number", 1e-8, hint=_LOTS),
    "stops_level": Key("listing", "whole", 0, 1e9),
    "freeze_level": Key("listing", "whole", 0, 1e9),
    "commission_per_lot_side": Key("listing", "number", 0, hint="3.5 for one side of one lot, for example"),
    "commission_currency": Key("listing", "currency"),
    "currency_base": Key("listing", "currency"),
    "currency_profit": Key("listing", "currency"),
    "description": Key("listing", "text"),
    "margin_mode": Key("listing", tuple(mode.value for mode in MarginMode if mode is not MarginMode.UNKNOWN)),
    "margin_rate": Key("listing", "number", 0, 1e6, "1 is the full margin; 0.05 with margin_mode CFD is 1:20"),
    "swap_mode": Key("listing", tuple(mode.value for mode in SwapMode if mode is not SwapMode.UNKNOWN)),
    "swap_long": Key("listing", "number", -_MOST),
    "swap_short": Key("listing", "number", -_MOST),
    "swap_triple_day": Key("listing", "whole", 0, 6, "0 is Sunday, 3 Wednesday, 5 Friday"),
    "spread_points": Key("spread", "spread", 0, 1e9),
    "spread_hours": Key("spread", "hours", 0, 1e6),
    "swap_markup": Key("spread", "number", 0, 1000, "percent a year that the broker keeps of the interest"),
    "commission_by_currency": Key("spread", "money"),
    "account_currency": Key("account", "currency"),
    "currency_digits": Key("account", "whole", 0, 8),
    "balance": Key("account", "number", 0.01),
    "leverage": Key("account", "number", 1, 1e5, "100 for 1:100"),
    "margin_call_level": Key("account", "number", 0, 1e5, "percent: 100"),
    "stop_out_level": Key("account", "number", 0, 1e5, "percent: 50"),
    "position_mode": Key("account", ("HEDGING", "NETTING")),
    "day_clock": Key("account", "text"),
    "server_clock": Key("account", "text"),
    "latency_ms": Key("model", "number", 0, 6e5),
    "latency_jitter_ms": Key("model", "number", 0, 6e5),
    "slippage_points": Key("model", "number", 0, 1e9),
    "slippage_jitter_points": Key("model", "number", 0, 1e9),
    "reject_share": Key("model", "number", 0, 1),
    "requote_share": Key("model", "number", 0, 1),
    "partial_share": Key("model", "number", 0, 1),
    "max_deal_lots": Key("model", "number", 0, 1e9),
    "seed": Key("model", "whole", 0, 2**63 - 1),
}
ALIASES: Final = {"contract": "contract_size"}
COSTS: Final = frozenset(name for name, key in KEYS.items() if key.group != "listing")
"""What isn't told of a listing: keys of the account, the venue, and of data without an ask."""


def key_of(name: str) -> str:
    """The key that a name stands for; `rate_EUR` is one too. Raises BadValue with what is near."""
    name = ALIASES.get(name, name)
    if name in KEYS or RATE.fullmatch(name):
        return name
    if name[:5].lower() == "rate_" and RATE.fullmatch(rate := f"rate_{name[5:].upper()}"):
        raise BadValue(f"unknown key {name!r}: did you mean {rate}?")
    near = get_close_matches(name, (*KEYS, *ALIASES), n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}, and rate_EUR for a fixed rate"
    raise BadValue(f"unknown key {name!r}: {hint}")


def value_of(name: str, value: object) -> Any:
    """A value of a TOML file, checked. Raises BadValue."""
    key = _RATE if RATE.fullmatch(name) else KEYS[name]
    if isinstance(key.kind, tuple):
        return _choice(name, value, key.kind)
    return _CHECKS[key.kind](name, value, key)


def value_of_text(name: str, text: str) -> Any:
    """The same of what was typed behind `--set name=`. Raises BadValue."""
    kind = _RATE.kind if RATE.fullmatch(name) else KEYS[name].kind
    if kind in ("hours", "money"):
        raise BadValue(f"{name} is a table: write it into a TOML file and name that with --spec")
    if kind not in ("number", "whole", "spread"):
        return value_of(name, text)
    for read in (int, float):
        try:
            return value_of(name, read(text))
        except (ValueError, OverflowError) as error:
            if isinstance(error, BadValue):
                raise
    hint = ": write it with a point, not a comma" if "," in text else ""
    raise BadValue(f"{name} = {text!r}: it must be a number{hint}")


_RATE: Final = Key("account", "number", 1e-12, hint="what one unit is worth in the account's currency")


def _number(name: str, value: object, key: Key) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not key.least <= value <= key.most:
        raise BadValue(f"{name} = {value!r}: it must be a number {_range(key)}{_hint(key)}")
    return float(value)


def _whole(name: str, value: object, key: Key) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not key.least <= value <= key.most:
        raise BadValue(f"{name} = {value!r}: it must be a whole number {_range(key)}{_hint(key)}")
    return value


def _text(name: str, value: object, _: Key) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise BadValue(f"{name} = {value!r}: it must be a text of at most 200 printable characters")
    return value


def _currency(name: str, value: object, _: Key) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value.upper()):
        raise BadValue(f"{name} = {value!r}: it must be a currency's three letters, such as USD")
    return value.upper()


def _choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value.upper() not in choices:
        raise BadValue(f"{name} = {value!r}: it must be one of {', '.join(choices)}")
    return value.upper()


def _hours(name: str, value: object, key: Key) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != HOURS:
        raise BadValue(f"{name}: it must be a list of {HOURS} numbers, one an hour of the server's clock from 0")
    return tuple(_number(f"{name}[{hour}]", one, key) for hour, one in enumerate(value))


def _spread(name: str, value: object, key: Key) -> float | tuple[float, ...]:
    return _hours(name, value, key) if isinstance(value, list) else _number(name, value, key)


def _money(name: str, value: object, key: Key) -> dict[str, float]:
    if not isinstance(value, dict):
        raise BadValue(f"{name} = {value!r}: it must be a table such as {{USD = 3.5, EUR = 2.75}}")
    return {_currency(name, currency, key): _number(f"{name}.{currency}", one, key) for currency, one in value.items()}


def _range(key: Key) -> str:
    if key.most < _LARGE and key.least > -_MOST:
        return f"from {key.least:g} to {key.most:g}"
    if key.least <= -_MOST:
        return "that is finite"
    return "zero or above" if key.least == 0 else "above zero" if key.least < 0.01 else f"from {key.least:g}"


def _hint(key: Key) -> str:
    return f" ({key.hint})" if key.hint else ""


_CHECKS: Final[dict[str, Callable[[str, object, Key], Any]]] = {
    "number": _number,
    "whole": _whole,
    "text": _text,
    "currency": _currency,
    "hours": _hours,
    "spread": _spread,
    "money": _money,
}
