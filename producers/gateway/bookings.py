"""Money that the broker books without a trade: deposits, withdrawals, fees, interest, dividends.

The log has no record of it, and the desk's balance is what its account began with and what its deals made of that. So
people are told of each booking, and once that the balance at the terminal is another one.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from producers.gateway.alarms import Alarms
from producers.gateway.book import ZERO
from producers.gateway.chain import Chain
from producers.gateway.codes import Booking, Traded
from producers.gateway.venue import Venue
from producers.mt5 import TradeDeal
from schemas.configuration import AccountConfig
from schemas.events import Severity

TOLERATED: Final = Decimal("0.0001")
"""Of the balance: a difference that matters for nothing is no alert."""
_WORDS: Final = {
    Booking.BALANCE: "a deposit or withdrawal",
    Booking.CREDIT: "credit",
    Booking.CHARGE: "a charge",
    Booking.CORRECTION: "a correction",
    Booking.BONUS: "a bonus",
    Booking.COMMISSION: "commission",
    Booking.COMMISSION_DAILY: "commission of the day",
    Booking.COMMISSION_MONTHLY: "commission of the month",
    Booking.COMMISSION_AGENT_DAILY: "an agent's commission of the day",
    Booking.COMMISSION_AGENT_MONTHLY: "an agent's commission of the month",
    Booking.INTEREST: "interest",
    Booking.BUY_CANCELED: "a canceled buy",
    Booking.SELL_CANCELED: "a canceled sell",
    Booking.DIVIDEND: "a dividend",
    Booking.DIVIDEND_FRANKED: "a franked dividend",
    Booking.TAX: "tax",
}


class Bookings:
    """What an account's money does without a trade."""

    def __init__(self, config: AccountConfig, venue: Venue, chain: Chain, alarms: Alarms) -> None:
        self._config, self._venue, self._book, self._alarms = config, venue, chain.book, alarms
        self._cent = Decimal(1).scaleb(-config.currency_digits)
        self._gap = ZERO
        self._told = ""

    def tell(self, deal: TradeDeal) -> None:
        """Tells of a booking, unless it is of before the chain: then the account began with it."""
        if not self._is_since(deal):
            return
        what = _WORDS[Booking(deal.type)] if deal.type in set(Booking) else f"a booking of type {deal.type}"
        what += f", {deal.comment}" if deal.comment else ""
        self._alarms.tell(
            "money_booked", Severity.WARNING, str(deal.ticket),
            f"deal {deal.ticket} at the terminal books {self._amount(deal):+} {self._config.currency} ({what}) "
            "without a trade: the log has no record of such money, so the desk's balance, sizes and drawdown go on "
            "without it",
        )  # fmt: skip

    def compare(self) -> None:
        """Holds the terminal's balance against the log's; all deals of the terminal are on it. Raises NoAnswer."""
        found = self._rounded(self._venue.balance())
        known = self._rounded(self._config.balance + self._book.money)
        before, self._gap = self._gap, found - known
        if abs(self._gap) <= TOLERATED * abs(found):
            self._alarms.over("balance_differs", self._told)
            self._told = ""
        elif self._gap == before and not self._told:
            # A deal may have come between two calls; the next look then finds something else.
            self._told = f"{self._gap:+}"
            deals = self._venue.deals_since(self._book.since_ms)
            booked = sum((self._amount(deal) for deal in deals if self._counts(deal)), self._rounded(ZERO))
            currency = self._config.currency
            self._alarms.tell(
                "balance_differs", Severity.CRITICAL, self._told,
                f"the terminal's balance is {found} {currency}, by the log it is {known}: the desk sizes and judges "
                f"drawdown by the log's. What was booked without a trade since the log began comes to {booked} "
                f"{currency}; the rest, if any, is what the account began with otherwise than configured. Have the "
                "difference booked back, or set the account up under another name with the terminal's balance; until "
                "then see whether sizes and limits are still what you want",
            )  # fmt: skip

    def _counts(self, deal: TradeDeal) -> bool:
        """Whether a booking since the chain's beginning is in the balance; credit is apart from it."""
        return deal.type not in (*Traded, Booking.CREDIT) and self._is_since(deal)

    def _is_since(self, deal: TradeDeal) -> bool:
        return self._venue.utc_ms(deal.time_msc) > self._book.since_ms

    def _amount(self, deal: TradeDeal) -> Decimal:
        return self._rounded(sum((Decimal(repr(float(one))) for one in _parts(deal)), ZERO))

    def _rounded(self, amount: Decimal) -> Decimal:
        return amount.quantize(self._cent, ROUND_HALF_UP)


def _parts(deal: TradeDeal) -> tuple[float, ...]:
    return deal.profit, deal.commission, deal.swap, deal.fee
