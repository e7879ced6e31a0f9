"""From the merged values of a spec to its parts: listing, account, venue model and spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any, Final

from producers.clocks import ServerClock, UnknownClock
from producers.specs.keys import KEYS, RATE, BadValue
from producers.specs.layers import Values
from producers.specs.symbols import Instrument
from schemas.configuration import MarginMode, PositionMode, SwapMode
from streams.venue.model import VenueModel

_LISTING: Final = tuple(name for name, key in KEYS.items() if key.group == "listing")
_ACCOUNT: Final = ("balance", "leverage", "margin_call_level", "stop_out_level")
_MODEL: Final = tuple(field.name for field in fields(VenueModel))
_NO_CENTS: Final = frozenset({"JPY", "KRW", "HUF", "CLP", "IDR"})
_POINTS: Final = ("spread_points", "stops_level", "freeze_level", "slippage_points", "slippage_jitter_points")


def overlaid(values: Values, told: Values) -> Values:
    """`told` by a user over what was there: what belongs together is replaced together. Raises BadValue."""
    values = dict(values)
    if "spread_points" in told and "spread_hours" not in told:
        values.pop("spread_hours", None)
    if "commission_per_lot_side" in told:
        values.pop("commission_by_currency", None)
        values.pop("commission_currency", None)
    if "commission_by_currency" in told:
        values.pop("commission_per_lot_side", None)
        values.pop("commission_currency", None)
    if "volume_step" in told and "volume_min" not in told:
        values["volume_min"] = max(values.get("volume_min", 0.0), told["volume_step"])
    swaps = [key for key in ("swap_long", "swap_short") if key in told]
    if len(swaps) == 1:
        other = "swap_short" if swaps == ["swap_long"] else "swap_long"
        raise BadValue(f"{swaps[0]} = {told[swaps[0]]!r}: tell {other} as well; 0 for none")
    if swaps:
        values.pop("swap_markup", None)
        values["swap_mode"] = "POINTS"
    elif "swap_markup" in told:
        for key in ("swap_mode", "swap_long", "swap_short"):
            values.pop(key, None)
    elif "swap_mode" in told and told["swap_mode"] != "NONE":
        raise BadValue(f"swap_mode = {told['swap_mode']!r}: tell swap_long and swap_short as well")
    return values | told


def check(values: Values) -> None:
    """What values have to be to each other, and the clocks. Raises BadValue."""
    _clocked(values)
    least, most, step = (values.get(key) for key in ("volume_min", "volume_max", "volume_step"))
    if least is not None and most is not None and least > most:
        raise BadValue(f"volume_min = {least} is above volume_max = {most}: correct one of them")
    if least is not None and step is not None and Decimal(repr(least)) % Decimal(repr(step)):
        raise BadValue(f"volume_min = {least} is no multiple of volume_step = {step}: correct one of them")
    call, out = values.get("margin_call_level"), values.get("stop_out_level")
    if call is not None and out is not None and out > call:
        raise BadValue(f"stop_out_level = {out} is above margin_call_level = {call}: correct one of them")
    own = values.get("account_currency")
    if own and values.get(f"rate_{own}", 1.0) != 1.0:
        raise BadValue(f"rate_{own} = {values[f'rate_{own}']}: the account is in {own} itself")


def resolved(
    instrument: Instrument,
    symbol: str,
    values: Values,
    interest: Mapping[str, float],
    told: frozenset[str],
    digits: int,
) -> dict[str, Any]:
    """LabSpec's fields but name, sources and assumptions. `digits`: those that the presets' points are in."""
    values = _clocked(values)
    if values.get("digits", digits) != digits and digits:
        values |= rescaled(values, values["digits"] - digits, told)
    currency = values["account_currency"]
    listing = _listing(instrument, values, interest, currency)
    return {
        "symbol": symbol,
        "kind": instrument.kind,
        "listing": listing,
        "account": {
            "currency": currency,
            "currency_digits": values.get("currency_digits", 0 if currency in _NO_CENTS else 2),
            **{key: values[key] for key in _ACCOUNT},
            "balance": Decimal(repr(values["balance"])),
            "position_mode": PositionMode(values["position_mode"]),
            "day_clock": values["day_clock"],
            "rates": {key[5:]: rate for key, rate in sorted(values.items()) if RATE.fullmatch(key)},
        },
        "model": VenueModel(**{key: values[key] for key in _MODEL if key in values}),
        "spread_points": spread_of(values),
        "server_clock": values["server_clock"],
        "told": told,
    }


def spread_of(values: Mapping[str, Any]) -> tuple[float, ...] | float | None:
    """By hour, in whole points, where there are factors for hours; None = not known."""
    spread, hours = values.get("spread_points"), values.get("spread_hours")
    if spread is None or isinstance(spread, tuple):
        return spread
    return spread if hours is None else tuple(float(math.floor(spread * factor + 0.5)) for factor in hours)


def rescaled(values: Mapping[str, Any], more_digits: int, told: frozenset[str]) -> Values:
    """What is in points of the presets' digits, in points of so many more digits; what a user told stays as it is."""
    factor = 10.0**more_digits
    keys = [key for key in _POINTS if key in values and key not in told]
    if values.get("swap_mode") == SwapMode.POINTS:
        keys += [key for key in ("swap_long", "swap_short") if key in values and key not in told]
    return {key: _scaled(values[key], factor) for key in keys}


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, tuple):
        return tuple(_scaled(one, factor) for one in value)
    if isinstance(value, int):
        return math.ceil(round(value * factor, 6))
    return None if value is None else round(value * factor, 6)


def _clocked(values: Values) -> Values:
    """With both clocks checked and named as they are kept. Raises BadValue."""
    clocks = {}
    for key in ("server_clock", "day_clock"):
        try:
            clocks[key] = ServerClock(str(values.get(key, values["server_clock"]))).name
        except UnknownClock as error:
            raise BadValue(f"{key}: {str(error).replace('--server-clock', key)}") from error
    return values | clocks


def _listing(
    instrument: Instrument, values: Values, interest: Mapping[str, float], account_currency: str
) -> dict[str, Any]:
    known: Values = {
        "digits": 0,
        "contract_size": 1.0,
        "stops_level": 0,
        "freeze_level": 0,
        "currency_base": instrument.base,
        "currency_profit": instrument.profit,
        "description": "",
        "commission_currency": "",
        "commission_per_lot_side": 0.0,
        "margin_rate": 1.0,
        "swap_triple_day": 3,
    }
    listing = known | {key: values[key] for key in _LISTING if key in values}
    listing |= _commission(values, account_currency)
    listing |= _swap(listing, values, interest)
    listing["margin_mode"] = MarginMode(listing["margin_mode"])
    listing["server_clock"] = values["server_clock"]
    return listing


def _commission(values: Values, account_currency: str) -> Values:
    """Of a broker's table by account currency: USD's where the account's own isn't in it."""
    table = values.get("commission_by_currency")
    if table is None:
        return {}
    currency = account_currency if account_currency in table else "USD" if "USD" in table else next(iter(table), "")
    return {"commission_per_lot_side": table.get(currency, 0.0), "commission_currency": currency}


def _swap(listing: Values, values: Values, interest: Mapping[str, float]) -> Values:
    """As told, or by the interest of both currencies less the broker's mark-up, percent a year.

    Metals, indices and coins bear no interest of their own. Without the interest of a currency there is no estimate.
    """
    if "swap_mode" in values:
        mode = SwapMode(values["swap_mode"])
        told = {} if mode is SwapMode.NONE else {key: values[key] for key in ("swap_long", "swap_short")}
        return {"swap_long": 0.0, "swap_short": 0.0, **told, "swap_mode": mode}
    base, profit = listing["currency_base"], listing["currency_profit"]
    earned = interest.get(base) if base != profit else 0.0
    paid = interest.get(profit)
    if "swap_markup" not in values or earned is None or paid is None:
        return {"swap_long": 0.0, "swap_short": 0.0, "swap_mode": SwapMode.NONE}
    carry, markup = earned - paid, values["swap_markup"]
    return {
        "swap_long": round(carry - markup, 6),
        "swap_short": round(-carry - markup, 6),
        "swap_mode": SwapMode.PERCENT,
    }
