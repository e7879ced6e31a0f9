"""Which instrument a broker's symbol is: `EURUSD+`, `EURUSD.raw`, `mEURUSD` and `EUR/USD` are all EURUSD.

Names are only matched here; a listing keeps the broker's own spelling.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

CURRENCIES: Final = frozenset(
    [
        "AUD",
        "BGN",
        "BRL",
        "CAD",
        "CHF",
        "CLP",
        "CNH",
        "CNY",
        "CZK",
        "DKK",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "JPY",
        "KRW",
        "MXN",
        "NOK",
        "NZD",
        "PLN",
        "RON",
        "RUB",
        "SEK",
        "SGD",
        "THB",
        "TRY",
        "TWD",
        "USD",
        "ZAR",
    ]
)
_METALS: Final = {"XAU": "gold", "XAG": "silver"}
_COINS: Final = frozenset(["ADA", "BCH", "BNB", "BTC", "DOG", "DOT", "EOS", "ETH", "LTC", "SOL", "XLM", "XMR", "XRP"])
_METAL_NAMES: Final = {"GOLD": "XAUUSD", "SILVER": "XAGUSD"}
_INDICES: Final = {
    "US30": ("USD", "US30 DJ30 DJI30 WS30 DOW30 USA30 WALLSTREET30"),
    "US500": ("USD", "US500 SP500 SPX500 USA500 SPX"),
    "NAS100": ("USD", "NAS100 USTEC USTECH100 US100 NDX100 NASDAQ100 USA100 TECH100"),
    "US2000": ("USD", "US2000 RUSSELL2000 RTY2000"),
    "DE40": ("EUR", "DE40 GER40 GER30 DE30 DAX40 DAX30 DEU40 DAX"),
    "EU50": ("EUR", "EU50 EUSTX50 STOXX50 ESTX50 EUR50"),
    "FRA40": ("EUR", "FRA40 F40 CAC40"),
    "ES35": ("EUR", "ES35 ESP35 IBEX35 SPA35"),
    "UK100": ("GBP", "UK100 FTSE100 GBR100"),
    "JP225": ("JPY", "JP225 JPN225 JPX225 NIKKEI225"),
    "HK50": ("HKD", "HK50 HKG33 HSI50"),
    "AUS200": ("AUD", "AUS200 ASX200 SPI200"),
}
_INDEX_OF: Final = {name: index for index, (_, names) in _INDICES.items() for name in names.split()}
_SUFFIX: Final = re.compile(r"(?:[^A-Z0-9].*|M|C|R|Z|I|X|PRO|RAW|ECN|STP|CENT|MICRO|MINI|CASH|SPOT|FT)?", re.ASCII)
_CENT: Final = re.compile(r"[^A-Z0-9]?(?:C|CENT|MICRO)", re.ASCII)


class Instrument(NamedTuple):
    """What a symbol stands for."""

    name: str
    """Its usual name: EURUSD, XAUUSD, US30, BTCUSD; of an unknown one, the symbol itself."""
    kind: str
    """forex, forex_jpy, gold, silver, index, crypto or other."""
    base: str
    """Currency bought; of an index the same as `profit`; "" = unknown."""
    profit: str
    """Currency of the price; "" = unknown."""
    cent: bool = False
    """Its suffix is used for cent or micro accounts, whose lots are smaller."""


def instrument_of(symbol: str) -> Instrument:
    """The instrument behind a broker's symbol."""
    name = symbol.upper()
    for start in (name, name[1:] if symbol[:1] in ("m", "@", "#", "_", ".") else ""):
        found = _pair(start) or _named(start)
        if found is not None:
            return found
    return Instrument(symbol, "other", "", "")


def _pair(name: str) -> Instrument | None:
    base, rest = name[:3], name[3:].lstrip("/_-")
    profit, suffix = rest[:3], rest[3:]
    if profit not in CURRENCIES or not _SUFFIX.fullmatch(suffix):
        return None
    cent = bool(_CENT.fullmatch(suffix))
    if base in CURRENCIES and base != profit:
        return Instrument(base + profit, "forex_jpy" if profit == "JPY" else "forex", base, profit, cent)
    if base in _METALS:
        return Instrument(base + profit, _METALS[base], base, profit, cent)
    if base in _COINS:
        return Instrument(base + profit, "crypto", base, profit, cent)
    return None


def _named(name: str) -> Instrument | None:
    """Longest first: US2000 is no US200 with a suffix 0."""
    for known in sorted((*_INDEX_OF, *_METAL_NAMES), key=len, reverse=True):
        suffix = name[len(known) :]
        if not name.startswith(known) or not _SUFFIX.fullmatch(suffix):
            continue
        if known in _METAL_NAMES:
            return _pair(_METAL_NAMES[known] + suffix)
        currency = _INDICES[_INDEX_OF[known]][0]
        return Instrument(_INDEX_OF[known], "index", currency, currency)
    return None
