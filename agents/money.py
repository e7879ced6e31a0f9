"""Money of an account: profit, margin, swap and conversion, exact in decimal arithmetic.

Prices and lots are doubles whose shortest decimal form is what was meant; computing with that form, results don't
depend on the order of additions. Money is rounded half up, away from zero, to the account's digits when it is booked.
Formulas: MQL5 reference, OrderCalcProfit and OrderCalcMargin (FOREX: lots x contract / leverage in the base currency;
CFD: lots x contract x price in the profit currency, over leverage for CFD_LEVERAGE).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.configuration import AccountConfig, MarginMode, SwapMode
from schemas.events import ListingSpec, Side

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
_YEAR_DAYS: Final = 360


class MissingRate(ValueError):
    """A currency can't be converted: neither a fixed rate nor a quote is there; the message names both ways, where an
    account trades and in a backtest."""


class Quote(NamedTuple):
    """The newest quote of a listing: prices, and the tick that it is (-1 = unknown)."""

    bid: float
    ask: float
    n: int = -1
    time_ms: int = 0


@lru_cache(maxsize=16_384)
def exact(value: float) -> Decimal:
    """The number that the shortest form of a double says."""
    return Decimal(repr(value + 0.0))  # one zero, whatever its sign


def rounded(value: Decimal, digits: int) -> Decimal:
    """Money as it is booked."""
    return value.quantize(_step(digits), ROUND_HALF_UP)


@lru_cache(maxsize=64)
def _step(digits: int) -> Decimal:
    return Decimal(1).scaleb(-digits)


class Rates:
    """What a unit of a currency is worth in the account's currency.

    By a fixed rate, or by the quote of a listing between the two: gains are sold and losses bought at the worse side.
    `pairs`: (base, profit) currencies to a listing. Quotes are looked up in `quotes` as they are then.
    """

    def __init__(
        self,
        currency: str,
        fixed: Mapping[str, Decimal],
        pairs: Mapping[tuple[str, str], str],
        quotes: Mapping[str, Quote],
    ) -> None:
        self.currency = currency
        self._fixed, self._pairs, self._quotes = fixed, pairs, quotes

    def listing_of(self, currency: str) -> str | None:
        """The listing whose quotes convert it; None if none is needed or there is none."""
        if currency in ("", self.currency) or currency in self._fixed:
            return None
        return self._pairs.get((currency, self.currency)) or self._pairs.get((self.currency, currency))

    def rate(self, currency: str, *, gain: bool) -> Decimal:
        """For a gain or a loss in `currency`. An unknown currency, "", counts as the account's. Raises MissingRate."""
        if currency in ("", self.currency):
            return ONE
        if currency in self._fixed:
            return self._fixed[currency]
        for pair, direct in (((currency, self.currency), True), ((self.currency, currency), False)):
            quote = self._quotes.get(self._pairs.get(pair, ""))
            if quote is not None:
                if direct:
                    return exact(quote.bid if gain else quote.ask)
                return ONE / exact(quote.ask if gain else quote.bid)
        by = self.listing_of(currency)
        missing = (
            f"record a symbol of {self.currency}{currency} or {currency}{self.currency} (recorder.symbols)"
            if by is None
            else f"{by} has no quote yet; wait for one"
        )
        raise MissingRate(
            f"{currency} can't be converted into {self.currency}: {missing}, or give rate_{currency} in the spec file "
            f"(terminal.spec); in a backtest --convert FILE, or --set rate_{currency}=…"
        )


def rates_by(account: AccountConfig, specs: Mapping[str, ListingSpec], quotes: Mapping[str, Quote]) -> Rates:
    """Conversion as an account is configured: its fixed rates, and all pairs of currencies that `specs` has; of several
    listings of a pair the account's conversion listings count."""
    fixed = {name: exact(rate) for name, rate in zip(account.rate_currencies, account.rates, strict=True)}
    named = [name for name in account.conversion_listings if name in specs]
    pairs = {(specs[name].currency_base, specs[name].currency_profit): name for name in (*sorted(specs), *named)}
    return Rates(account.currency, fixed, pairs, quotes)


def profit(spec: ListingSpec, side: Side, volume: float, opened: float, closed: float, rates: Rates) -> Decimal:
    """Of `volume` lots from one price to another, before costs, in the account's currency, not rounded."""
    move = exact(closed) - exact(opened)
    own = (move if side is Side.LONG else -move) * exact(volume) * contract(spec)
    return own * rates.rate(spec.currency_profit, gain=own >= ZERO)


def notional(spec: ListingSpec, volume: float, price: float, rates: Rates) -> Decimal:
    """Value of `volume` lots in the account's currency, not rounded."""
    return exact(volume) * contract(spec) * exact(price) * rates.rate(spec.currency_profit, gain=False)


def margin(spec: ListingSpec, volume: float, price: float, leverage: float, rates: Rates) -> Decimal:
    """What `volume` lots at `price` bind, in the account's currency, not rounded."""
    lots = exact(volume) * contract(spec) * exact(spec.margin_rate)
    if spec.margin_mode is MarginMode.CFD:
        return lots * exact(price) * rates.rate(spec.currency_profit, gain=False)
    if spec.margin_mode is MarginMode.CFD_LEVERAGE or spec.currency_base in ("", spec.currency_profit):
        return lots * exact(price) * rates.rate(spec.currency_profit, gain=False) / exact(leverage)
    try:
        return lots * rates.rate(spec.currency_base, gain=False) / exact(leverage)
    except MissingRate:
        # The listing's own price converts the base currency where nothing else does.
        return lots * exact(price) * rates.rate(spec.currency_profit, gain=False) / exact(leverage)


def commission(spec: ListingSpec, volume: float, rates: Rates) -> Decimal:
    """Of one side, negative, in the account's currency, not rounded."""
    own = exact(spec.commission_per_lot_side) * exact(volume)
    return -own * rates.rate(spec.commission_currency, gain=False) if own else ZERO


def swap(spec: ListingSpec, side: Side, volume: float, price: float, nights: int, rates: Rates) -> Decimal:
    """Of so many nights (a triple one counts three), in the account's currency, not rounded; negative is paid."""
    rate = exact(spec.swap_long if side is Side.LONG else spec.swap_short)
    if not rate or spec.swap_mode in (SwapMode.UNKNOWN, SwapMode.NONE):
        return ZERO
    lots = exact(volume) * nights
    if spec.swap_mode is SwapMode.MONEY:
        return rate * lots * rates.rate(spec.commission_currency, gain=rate > ZERO)
    if spec.swap_mode is SwapMode.POINTS:
        own = rate.scaleb(-spec.digits) * lots * contract(spec)
    else:
        own = rate / 100 / _YEAR_DAYS * exact(price) * lots * contract(spec)
    return own * rates.rate(spec.currency_profit, gain=rate > ZERO)


def nights(spec: ListingSpec, day: int) -> int:
    """How often the night after server day `day` (counted from 1970-01-01, a Thursday) is charged: 0, 1 or 3.

    Saturday and Sunday nights are in the triple one.
    """
    weekday = (day + 4) % 7
    if weekday in (0, 6):
        return 0
    return 3 if weekday == spec.swap_triple_day else 1


def contract(spec: ListingSpec) -> Decimal:
    """Units in a lot; a listing that doesn't tell counts as 1."""
    return exact(spec.contract_size) if spec.contract_size else ONE
