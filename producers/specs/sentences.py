"""What a spec assumes, in sentences for the report."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from producers.specs.layers import Layer
from producers.specs.symbols import Instrument
from schemas.configuration import MarginMode, SwapMode
from streams.venue.model import VenueModel

_DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def sentences(
    spec: Mapping[str, Any], instrument: Instrument, layers: Sequence[Layer], unasked: bool, overrides: Sequence[str]
) -> tuple[str, ...]:
    """One for each thing that is assumed; the first says which spec it is.

    `spec`: of `resolve.resolved`. `layers`: the files behind it. `unasked`: nobody named a spec.
    """
    listing, account, model = spec["listing"], spec["account"], spec["model"]
    found = [
        _first(layers, unasked),
        *([layers[-1].note] if layers[-1].note else []),
        *_instrument(spec["symbol"], listing, instrument),
        _margin(listing, account),
        _commission(listing, account),
        _spread(spec["spread_points"]),
        _swap(listing, spec["told"], instrument.kind),
        _venue(model),
        f"Account: {_n(account['balance'])} {account['currency']} at 1:{_n(account['leverage'])}, "
        f"{account['position_mode'].lower()}, margin call at {_n(account['margin_call_level'])} %, stop-out at "
        f"{_n(account['stop_out_level'])} %.",
        *(
            f"1 {name} counts as {_n(rate)} {account['currency']} throughout."
            for name, rate in account["rates"].items()
        ),
        *([f"Set by hand: {', '.join(overrides)}."] if overrides else []),
    ]
    return tuple(found)


def _first(layers: Sequence[Layer], unasked: bool) -> str:
    top = layers[-1]
    if unasked:
        return f"No spec was given: {top.title} is assumed (generic); name your broker's with --spec."
    on = f" on top of {layers[-2].place}" if len(layers) > 1 and not top.title else ""
    return f"Costs by the spec {top.place}{f': {top.title}' if top.title else on}."


def _instrument(symbol: str, listing: Mapping[str, Any], instrument: Instrument) -> list[str]:
    digits = f"{listing['digits']} digits" if listing["digits"] else "digits as in the prices"
    lot = f"a lot is {_n(listing['contract_size'])} {_unit(listing)}"
    sizes = f"orders of {_n(listing['volume_min'])} to {_n(listing['volume_max'])} lots by {_n(listing['volume_step'])}"
    stops = (
        f"stops at least {listing['stops_level']} points away" if listing["stops_level"] else "stops at any distance"
    )
    known = f"{symbol} is taken as {instrument.name}" if instrument.name != symbol else symbol
    found = [f"{known}: {digits}, {lot}, {sizes}, {stops}."]
    if instrument.kind == "other":
        priced = listing["currency_profit"] or "the account's currency"
        found.append(
            f"{symbol} is no symbol that the spec knows: it is taken as priced in {priced}; tell contract, digits, "
            "currency_profit and spread_points with --set or a TOML file."
        )
    if instrument.cent:
        found.append(
            f"The ending of {symbol} is one of cent and micro accounts: check its contract with --set contract=…"
        )
    return found


def _unit(listing: Mapping[str, Any]) -> str:
    base, profit = str(listing["currency_base"]), str(listing["currency_profit"])
    if base and base != profit:
        return {"XAU": "ounces of gold", "XAG": "ounces of silver"}.get(base, base)
    return f"x the price in {profit}" if profit else "x the price"


def _margin(listing: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    rate = listing["margin_rate"]
    if listing["margin_mode"] is MarginMode.CFD:
        return f"Margin: {_n(rate * 100)} % of the value, whatever the account's leverage."
    times = "" if rate == 1 else f", times {_n(rate)}"
    return f"Margin: the value over the account's leverage of {_n(account['leverage'])}{times}."


def _commission(listing: Mapping[str, Any], account: Mapping[str, Any]) -> str:
    if not listing["commission_per_lot_side"]:
        return "No commission."
    currency = listing["commission_currency"] or account["currency"]
    return f"Commission: {_n(listing['commission_per_lot_side'])} {currency} for each side of a lot."


def _spread(spread: tuple[float, ...] | float | None) -> str:
    if spread is None:
        return "Data without ask needs a spread: --set spread_points=…"
    if isinstance(spread, float):
        return f"Where data has no ask, the spread is {_n(spread)} points at all hours."
    usual, widest = statistics.median(spread), max(range(len(spread)), key=lambda hour: spread[hour])
    more = spread[widest] > usual
    at = f", up to {_n(spread[widest])} in the server's hour {widest}" if more else " at all hours"
    return f"Where data has no ask, the spread is {_n(usual)} points{at}."


def _swap(listing: Mapping[str, Any], told: frozenset[str], kind: str) -> str:
    mode: SwapMode = listing["swap_mode"]
    if mode is SwapMode.NONE:
        way = "." if "swap_mode" in told else ": it isn't known; tell it with --set swap_long=… --set swap_short=…"
        return f"No swap is charged{way}"
    units = {SwapMode.POINTS: "points a night", SwapMode.PERCENT: "% a year", SwapMode.MONEY: "a night and lot"}
    guess = "an assumption" if kind == "crypto" else "an estimate from policy rates of November 2025"
    how = "" if told & {"swap_long", "swap_short"} else f", {guess}"
    day = _DAYS[listing["swap_triple_day"]]
    long, short = listing["swap_long"], listing["swap_short"]
    return f"Swap: long {long:+g}, short {short:+g} {units[mode]}, three nights on {day}{how}."


def _venue(model: VenueModel) -> str:
    most = model.latency_ms + model.latency_jitter_ms
    after = f"{_n(model.latency_ms)} to {_n(most)} ms" if model.latency_jitter_ms else f"{_n(model.latency_ms)} ms"
    slip = model.slippage_points + model.slippage_jitter_points
    worse = f"{_n(model.slippage_points)} to {_n(slip)} points worse" if slip else "nothing added"
    return f"An order reaches the venue after {after} and fills at the quote that is there then, {worse}."


def _n(value: Any) -> str:
    """100000.0 as 100,000; 0.01 as it is."""
    return f"{float(value):,.10g}"
