"""What a symbol is, from the terminal: the part of a ListingSpec that `symbol_info` tells.

It tells no commission and no margin rate: those stay as the listing has them on `reference`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from infra.errors import TickledgerError
from producers.listing_spec import MAX_DIGITS, unknown_spec
from producers.mt5 import SymbolInfo
from producers.terminal import constants as mt5
from schemas.configuration import MarginMode, SwapMode
from schemas.events import ListingSpec

MARGIN_MODES: Final = {
    mt5.SYMBOL_CALC_MODE_FOREX: MarginMode.FOREX,
    mt5.SYMBOL_CALC_MODE_CFD: MarginMode.CFD,
    mt5.SYMBOL_CALC_MODE_CFDINDEX: MarginMode.CFD,
    mt5.SYMBOL_CALC_MODE_CFDLEVERAGE: MarginMode.CFD_LEVERAGE,
}
SWAP_MODES: Final = {
    mt5.SYMBOL_SWAP_MODE_DISABLED: SwapMode.NONE,
    mt5.SYMBOL_SWAP_MODE_POINTS: SwapMode.POINTS,
    mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT: SwapMode.MONEY,
    mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT: SwapMode.PERCENT,
    mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN: SwapMode.PERCENT,
}
"""Swaps in other money than the account's, and those that reopen a position, are none of ours: UNKNOWN."""


class Unusable(TickledgerError):
    """A symbol that can't be recorded as the terminal has it; the message says what is wrong and what to do."""


def spec_of_symbol(listing: str, info: SymbolInfo, now: ListingSpec | None, server_clock: str) -> ListingSpec:
    """The ListingSpec of a symbol; `now`: the one that holds. Raises Unusable for one that nobody can reckon with."""
    positive = {
        "trade_tick_value": info.trade_tick_value,
        "trade_tick_size": info.trade_tick_size,
        "trade_contract_size": info.trade_contract_size,
        "point": info.point,
        "volume_min": info.volume_min,
        "volume_max": info.volume_max,
        "volume_step": info.volume_step,
    }
    for name, value in positive.items():
        if not (math.isfinite(value) and value > 0):
            raise Unusable(
                f"{listing} isn't recorded: the terminal says {name} = {value!r}, with which no size, stop or profit "
                "can be reckoned. Open the symbol's specification in the terminal: it may not have loaded yet (a "
                "recorder looks at it again by itself), or the broker has to correct it"
            )
    if not 0 <= info.digits <= MAX_DIGITS:
        raise Unusable(f"{listing} isn't recorded: the terminal says digits = {info.digits}, not 0 to {MAX_DIGITS}")
    swaps = (info.swap_long, info.swap_short)
    swap_mode = SWAP_MODES.get(info.swap_mode, SwapMode.UNKNOWN) if all(map(math.isfinite, swaps)) else SwapMode.UNKNOWN
    known = swap_mode not in (SwapMode.UNKNOWN, SwapMode.NONE)
    return replace(
        unknown_spec(listing) if now is None else now,
        digits=int(info.digits),
        digits_inferred=False,
        contract_size=float(info.trade_contract_size),
        volume_min=float(info.volume_min),
        volume_max=float(info.volume_max),
        volume_step=float(info.volume_step),
        stops_level=max(0, int(info.trade_stops_level)),
        freeze_level=max(0, int(info.trade_freeze_level)),
        currency_base=str(info.currency_base),
        currency_profit=str(info.currency_profit),
        server_clock=server_clock,
        description=_printable(info.description),
        margin_mode=MARGIN_MODES.get(info.trade_calc_mode, MarginMode.UNKNOWN),
        swap_mode=swap_mode,
        swap_long=float(info.swap_long) if known else 0.0,
        swap_short=float(info.swap_short) if known else 0.0,
        swap_triple_day=int(info.swap_rollover3days) if 0 <= info.swap_rollover3days <= 6 else 3,
    )


def _printable(text: str) -> str:
    return "".join(c for c in str(text) if c.isprintable())[:200]
