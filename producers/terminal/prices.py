"""Symbols, ticks and bars as the simulated terminal answers for them: what it knows over its line to the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from agents.money import MissingRate, Quote, Rates, rates_by
from producers.terminal import constants as mt5
from producers.terminal.failure import call_failed, invalid_params, not_found
from producers.terminal.faults import Faults
from producers.terminal.groups import in_group
from producers.terminal.market import Market
from producers.terminal.rates import RateHistory
from producers.terminal.rates import Rates as Bars
from producers.terminal.structures import SymbolInfo
from producers.terminal.symbols import SymbolDefinition
from producers.terminal.ticks import CACHED_ROWS, Rows, TickHistory, wanted
from schemas.configuration import AccountConfig

_FIELDS: Final = SymbolInfo.names()
_DAY_MS: Final = 86_400_000
_TEXTS: Final = frozenset(_FIELDS[_FIELDS.index("basis") :])
_FLAGS: Final = frozenset(("custom", "select", "visible", "spread_float", "margin_hedged_use_leg"))
_WHOLE: Final = frozenset(_FIELDS[: _FIELDS.index("bid")]) - _FLAGS


class Prices:
    """Answers calls about symbols and prices; all raise TerminalFailure. Not thread-safe."""

    def __init__(self, market: Market, faults: Faults, account: AccountConfig) -> None:
        self._market, self._faults, self._account = market, faults, account
        self._bars = {
            name: RateHistory(market.histories[name], symbol.point) for name, symbol in market.symbols.items()
        }

    # -- symbols -------------------------------------------------------------------------------------------------------

    def symbols_total(self) -> int:
        return len(self._market.symbols)

    def symbols_get(self, *, group: str | None = None) -> tuple[tuple[Any, ...], ...]:
        rates = self._rates()
        found = [s for name, s in self._market.symbols.items() if group is None or in_group(group, name)]
        return tuple(self._info(symbol, rates) for symbol in found)

    def symbol_info(self, symbol: str) -> tuple[Any, ...]:
        return self._info(self._symbol(symbol), self._rates())

    def symbol_info_tick(self, symbol: str) -> tuple[Any, ...]:
        row = self._newest(self._known(symbol))
        if row is None:
            raise not_found()
        return tuple(row)

    def symbol_select(self, symbol: str, enable: bool) -> bool:
        if symbol not in self._market.symbols:
            raise call_failed()
        if enable:
            self._market.watched[symbol] = None
        else:
            self._market.watched.pop(symbol, None)
        return True

    # -- ticks and bars ------------------------------------------------------------------------------------------------

    def copy_ticks_from(self, symbol: str, date_from: int, count: int, flags: int) -> Rows:
        """At most `count` ticks from a second of the server's clock on."""
        history = self._known(symbol)
        if count < 0:
            raise invalid_params()
        seen = self._seen(history)
        start = min(history.at_or_after(date_from * 1000), seen)
        # Rows that are not asked for, or withheld, make room for later ones.
        whole = flags == mt5.COPY_TICKS_ALL and self._hidden(history, start, seen) is None
        return self._rows(history, start, min(seen, start + count) if whole else seen, flags)[:count]

    def copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int) -> Rows:
        """The ticks from a second of the server's clock to another, whose first millisecond is in it."""
        history = self._known(symbol)
        seen = self._seen(history)
        start = min(history.at_or_after(date_from * 1000), seen)
        return self._rows(history, start, max(start, min(seen, history.after(date_to * 1000))), flags)

    def copy_rates_from(self, symbol: str, timeframe: int, date_from: int, count: int) -> Bars:
        seen = self._seen_of_bars(symbol)
        return self._bars[symbol].copy_from(seen, timeframe, date_from, count)

    def copy_rates_from_pos(self, symbol: str, timeframe: int, position: int, count: int) -> Bars:
        seen = self._seen_of_bars(symbol)
        return self._bars[symbol].copy_from_pos(seen, timeframe, position, count)

    def copy_rates_range(self, symbol: str, timeframe: int, date_from: int, date_to: int) -> Bars:
        seen = self._seen_of_bars(symbol)
        return self._bars[symbol].copy_range(seen, timeframe, date_from, date_to)

    # -- the depth of market, which this broker has not ----------------------------------------------------------------

    def market_book_add(self, symbol: str) -> bool:
        self._symbol(symbol)
        return True

    def market_book_release(self, symbol: str) -> bool:
        self._symbol(symbol)
        return True

    def market_book_get(self, symbol: str) -> tuple[()]:
        self._symbol(symbol)
        return ()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _symbol(self, name: str) -> SymbolDefinition:
        found = self._market.symbols.get(name)
        if found is None:
            raise not_found()
        return found

    def _known(self, symbol: str) -> TickHistory:
        """Its history; a symbol has to be in the market watch for its prices to be known."""
        self._symbol(symbol)
        if not self._market.selected(symbol):
            raise not_found()
        return self._market.histories[symbol]

    def _seen(self, history: TickHistory) -> int:
        return self._faults.seen(history, self._market.now_us())

    def _seen_of_bars(self, symbol: str) -> int:
        """Its ticks that bars are made of; for bars the terminal doesn't say that the symbol isn't there."""
        if symbol not in self._market.symbols or not self._market.selected(symbol):
            raise call_failed()
        return self._seen(self._market.histories[symbol])

    def _hidden(self, history: TickHistory, start: int, end: int) -> Any:
        return self._faults.withheld(history, start, end, self._market.now_us())

    def _rows(self, history: TickHistory, start: int, end: int, flags: int) -> Rows:
        rows, hidden = history.rows(start, end), self._hidden(history, start, end)
        return wanted(rows if hidden is None else rows[~hidden], flags)

    def _newest(self, history: TickHistory) -> Any:
        """The last row that the terminal has; None if it has none."""
        seen = self._seen(history)
        start = max(0, seen - CACHED_ROWS)
        if self._hidden(history, start, seen) is None:
            start = max(start, seen - 1)
        rows = self._rows(history, start, seen, mt5.COPY_TICKS_ALL)
        return rows[-1].item() if len(rows) else None

    def _rates(self) -> Rates:
        specs = {name: symbol.spec for name, symbol in self._market.symbols.items()}
        return rates_by(self._account, specs, _Quotes(self._market))

    def _info(self, symbol: SymbolDefinition, rates: Rates) -> tuple[Any, ...]:
        spec, name = symbol.spec, symbol.name
        history = self._market.histories[name]
        values: dict[str, Any] = {
            field: "" if field in _TEXTS else False if field in _FLAGS else 0 if field in _WHOLE else 0.0
            for field in _FIELDS
        }
        selected = self._market.selected(name)
        contract, size = spec.contract_size, symbol.point
        values |= {
            "select": selected, "visible": selected, "digits": spec.digits, "spread_float": True,
            "trade_calc_mode": symbol.calc_mode, "trade_mode": symbol.trade_mode,
            "trade_stops_level": spec.stops_level, "trade_freeze_level": spec.freeze_level,
            "trade_exemode": symbol.trade_exemode, "swap_mode": symbol.swap_mode,
            "swap_rollover3days": spec.swap_triple_day, "expiration_mode": symbol.expiration_mode,
            "filling_mode": symbol.filling_mode, "order_mode": symbol.order_mode, "point": size,
            "trade_tick_value": _tick_value(symbol, rates, gain=True),
            "trade_tick_value_profit": _tick_value(symbol, rates, gain=True),
            "trade_tick_value_loss": _tick_value(symbol, rates, gain=False), "trade_tick_size": size,
            "trade_contract_size": contract, "volume_min": spec.volume_min, "volume_max": spec.volume_max,
            "volume_step": spec.volume_step, "volume_limit": symbol.volume_limit, "swap_long": spec.swap_long,
            "swap_short": spec.swap_short, "margin_hedged": 2 * contract, "currency_base": spec.currency_base,
            "currency_profit": spec.currency_profit, "currency_margin": spec.currency_base or spec.currency_profit,
            "description": symbol.description, "name": name, "path": symbol.path,
        }  # fmt: skip
        row = self._newest(history)
        if row is not None:
            seconds, bid, ask, last, volume, stamp_ms, _, real = row
            values |= {
                "time": seconds, "bid": bid, "ask": ask, "last": last, "volume": volume, "volume_real": real,
                "spread": round((ask - bid) / size),
                **_day(history, stamp_ms // _DAY_MS * _DAY_MS, self._seen(history)),
            }  # fmt: skip
        return tuple(values[field] for field in _FIELDS)


class _Quotes(Mapping[str, Quote]):
    """The newest quotes of all symbols that have one."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def __getitem__(self, symbol: str) -> Quote:
        quote = self._market.quote(symbol)
        if quote is None:
            raise KeyError(symbol)
        return quote

    def __iter__(self) -> Any:
        return iter(self._market.symbols)

    def __len__(self) -> int:
        return len(self._market.symbols)


def _tick_value(symbol: SymbolDefinition, rates: Rates, *, gain: bool) -> float:
    """Of a point of one lot in the account's currency; 0 as long as it can't be converted."""
    try:
        rate = rates.rate(symbol.spec.currency_profit, gain=gain)
    except MissingRate:
        return 0.0
    return float(rate) * symbol.point * symbol.spec.contract_size


def _day(history: TickHistory, day_ms: int, seen: int) -> dict[str, float]:
    """What the terminal shows of the day so far, which begins at `day_ms` of the server's clock."""
    start = history.at_or_after(day_ms)
    ticks = history.ticks.part(start, seen)
    opened, closed = float(ticks.bid[0]), float(history.ticks.bid[start - 1]) if start else 0.0
    newest = float(ticks.bid[-1])
    return {
        "bidhigh": float(np.max(ticks.bid)), "bidlow": float(np.min(ticks.bid)),
        "askhigh": float(np.max(ticks.ask)), "asklow": float(np.min(ticks.ask)),
        "lasthigh": float(np.max(ticks.last)), "lastlow": float(np.min(ticks.last)),
        "session_open": opened, "session_close": closed,
        "price_change": (newest / closed - 1) * 100 if closed else 0.0,
    }  # fmt: skip
