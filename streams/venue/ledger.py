"""The account's side of the venue: balance, open positions, equity, margin, and how far prices are from a stop-out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from agents import money
from agents.money import ZERO, Quote, Rates, exact, rounded
from schemas.configuration import AccountConfig
from schemas.events import ListingSpec, Side
from streams.venue.book import Order, Position, closing_price

_WIDEST: Final = 0.99
_HALVINGS: Final = 40


class Ledger:
    """Money and positions of one account. `quotes` are the newest that were told, by listing."""

    def __init__(self, specs: Mapping[str, ListingSpec], account: AccountConfig) -> None:
        self.specs = dict(specs)
        self.account = account
        self.digits = account.currency_digits
        self.balance = account.balance
        self.positions: dict[int, Position] = {}
        self.quotes: dict[str, Quote] = {}
        self.rates = self._rates()
        self._band: dict[str, tuple[float, float]] | None = None

    def floating(self, position: Position) -> Decimal:
        """What closing it now would book before commission: profit and swap."""
        price = closing_price(position.side, self.quotes[position.listing])
        return self.profit(position, position.volume, price) + position.swap

    def profit(self, position: Position, volume: Decimal, price: float) -> Decimal:
        """Of closing so many lots of it at a price, as booked."""
        spec = self.specs[position.listing]
        return self.booked(money.profit(spec, position.side, float(volume), position.price, price, self.rates))

    def margin_of(self, listing: str, volume: Decimal, price: float) -> Decimal:
        """What so many lots bind, as booked."""
        return self.booked(money.margin(self.specs[listing], float(volume), price, self.account.leverage, self.rates))

    def open(self, number: int, order: Order, volume: Decimal, price: float, after_us: int, day: int) -> Position:
        """A new position with the order's levels."""
        position = self.positions[number] = Position(
            number=number, order_no=order.order_no, listing=order.listing, side=order.side, volume=volume,
            price=price, sl=order.sl, tp=order.tp, after_us=after_us, day=day,
            margin=self.margin_of(order.listing, volume, price), swap=self.booked(ZERO),
        )  # fmt: skip
        return position

    def add(self, position: Position, order: Order, volume: Decimal, price: float) -> None:
        """More of a position, at the weighted price, which is a double again."""
        total = position.volume + volume
        position.price = float((exact(position.price) * position.volume + exact(price) * volume) / total)
        position.volume = total
        position.margin += self.margin_of(order.listing, volume, price)
        if not order.working:  # A later order's levels take the place of the earlier one's.
            position.sl = position.sl if order.sl is None else order.sl
            position.tp = position.tp if order.tp is None else order.tp

    def reduce(self, position: Position, volume: Decimal, price: float) -> tuple[Decimal, Decimal]:
        """Less of a position, or none; returns the profit and the swap to book."""
        profit, whole = self.profit(position, volume, price), position.volume
        if volume == whole:
            del self.positions[position.number]
            return profit, position.swap
        swap, margin = self.booked(position.swap * volume / whole), self.booked(position.margin * volume / whole)
        position.swap -= swap
        position.margin -= margin
        position.volume -= volume
        return profit, swap

    def roll(self, position: Position, day: int) -> None:
        """Charges the nights up to a server day."""
        spec = self.specs[position.listing]
        nights = sum(money.nights(spec, night) for night in range(position.day, day))
        position.day = max(position.day, day)
        if nights:
            price = closing_price(position.side, self.quotes[position.listing])
            position.swap += self.booked(
                money.swap(spec, position.side, float(position.volume), price, nights, self.rates)
            )

    def booked(self, amount: Decimal) -> Decimal:
        return rounded(amount, self.digits)

    @property
    def equity(self) -> Decimal:
        """Balance, floating profit and swap at the newest quotes."""
        return self.balance + sum(map(self.floating, self.positions.values()), ZERO)

    @property
    def margin(self) -> Decimal:
        """What all positions bind; opposite ones give no relief."""
        return sum([p.margin for p in self.positions.values()], ZERO)

    def below(self, level: float) -> bool:
        """Whether the margin level is below so many percent; never when nothing is open."""
        return bool(self.positions) and self.equity < exact(level) * self.margin / 100

    def changed(self) -> None:
        """Money or positions have changed: the distance to a stop-out is to be measured anew."""
        self._band = None

    def band(self, level: float) -> Mapping[str, tuple[float, float]]:
        """By listing a bid and an ask: while no bid falls to or below its own, and no ask rises to or above its own,
        the margin level can't be below `level` percent.

        Bids down and asks up only make equity worse, conversion included; so all are moved by one share s, and the
        greatest s at which equity still suffices is found. Doubles, with room for their error and for rounding.
        """
        if self._band is None:
            self._band = self._measured(level)
        return self._band

    def watched(self) -> list[str]:
        """Listings whose quotes move equity: the positions' own, and those that convert their profit."""
        names = {}
        for position in self.positions.values():
            names[position.listing] = True
            converting = self.rates.listing_of(self.specs[position.listing].currency_profit)
            if converting is not None:
                names[converting] = True
        return sorted(names)

    def _measured(self, level: float) -> dict[str, tuple[float, float]]:
        terms = [self._term(position) for position in self.positions.values()]
        size = float(abs(self.balance) + self.margin) + sum([abs(term(0.0)) for term in terms])
        slack = (len(terms) + 1) * 10.0**-self.digits + 1e-9 * size
        room = float(self.balance - exact(level) * self.margin / 100) - slack
        share = _reach(terms, room)
        return {name: self._bounds(name, share) for name in self.watched()}

    def _bounds(self, listing: str, share: float) -> tuple[float, float]:
        """The bid and the ask of a listing moved by a share; where one of them moves no equity, none is in reach."""
        own = [p.side for p in self.positions.values() if p.listing == listing]
        converts = any(
            self.rates.listing_of(self.specs[p.listing].currency_profit) == listing for p in self.positions.values()
        )
        quote = self.quotes[listing]
        return (
            quote.bid * (1 - share) if converts or Side.LONG in own else -math.inf,
            quote.ask * (1 + share) if converts or Side.SHORT in own else math.inf,
        )

    def _term(self, position: Position) -> Callable[[float], float]:
        """What the position adds to equity when all bids fall and all asks rise by a share."""
        spec, quote = self.specs[position.listing], self.quotes[position.listing]
        units, swap = float(position.volume * money.contract(spec)), float(position.swap)
        opened, long = position.price, position.side is Side.LONG
        rate = float(self.rates.rate(spec.currency_profit, gain=True))
        converting = self.rates.listing_of(spec.currency_profit)
        by = self.quotes[converting] if converting is not None else None
        direct = converting is not None and self.specs[converting].currency_base == spec.currency_profit

        def value(share: float) -> float:
            own = (quote.bid * (1 - share) - opened) * units if long else (opened - quote.ask * (1 + share)) * units
            if by is None:
                return own * rate + swap
            bid, ask = by.bid * (1 - share), by.ask * (1 + share)
            if direct:
                return own * (bid if own >= 0 else ask) + swap
            return own / (ask if own >= 0 else bid) + swap

        return value

    def _rates(self) -> Rates:
        account = self.account
        fixed = {c: exact(r) for c, r in zip(account.rate_currencies, account.rates, strict=True)}
        pairs = {}
        for listing in account.conversion_listings:
            if listing in self.specs:
                spec = self.specs[listing]
                pairs[spec.currency_base, spec.currency_profit] = listing
        # A listing on the account's own currency (USDJPY of a dollar account) converts its profit by itself.
        for listing, spec in sorted(self.specs.items()):
            if spec.currency_base == account.currency != "":
                pairs.setdefault((spec.currency_base, spec.currency_profit), listing)
        return Rates(account.currency, fixed, pairs, self.quotes)


def _reach(terms: Sequence[Callable[[float], float]], room: float) -> float:
    """The greatest share at which `room` and the terms are still not below zero, or a little less."""

    def left(share: float) -> float:
        return room + sum([term(share) for term in terms])

    end = left(_WIDEST)
    if end >= 0.0:
        return _WIDEST
    start = left(0.0)
    if start <= 0.0:
        return 0.0
    # Without conversion it is a line; where it isn't, the line's zero only narrows the search.
    guess = start / (start - end) * _WIDEST * (1 - 1e-12)
    low, high = (guess, _WIDEST) if left(guess) >= 0.0 else (0.0, guess)
    if left(min(low * (1 + 1e-9), _WIDEST)) < 0.0:
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) >= 0.0 else (low, middle)
    return low
