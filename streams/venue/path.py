"""What one tick does at the venue: nights, expiries, stops, targets, pending orders, the stop-out, orders at work.

A tick that was made from a bar, and isn't the bar's first, is the end of a straight path from the tick before it. On
the path a level acts where it lies, in the order in which the path passes them; any other tick is a point, and all
that it reaches acts at its quote, stops first.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from agents.money import ZERO, Quote, exact
from schemas.events import Side
from schemas.executions import DealReason
from schemas.trading import OrderType
from streams.venue import checks
from streams.venue.book import Event, Order, Position, closing_price, opposite
from streams.venue.draws import Draw
from streams.venue.engine import Engine, Moment
from streams.venue.retcodes import Refusal
from streams.venue.watch import ASK_FALLS, BID_FALLS, BID_RISES, kind_of_level, kind_of_order


class Tick(NamedTuple):
    """A good tick of a listing. `continuous`: a path leads to it from `before`, the good tick before it."""

    listing: str
    quote: Quote
    server_offset_s: int
    continuous: bool
    before: Quote | None


class Reached(NamedTuple):
    """A level that the tick reaches: how far before the path's end it lies (price; 0 without a path), and what it is.

    `now`: the position has only just been opened, and where we are its level is reached already.
    """

    distance: Decimal
    rank: int
    number: int
    thing: Order | Position
    level: float
    kind: int
    now: bool


def take_tick(engine: Engine, tick: Tick) -> list[Event]:
    """All that happens at the tick, in order."""
    at_us = tick.quote.time_ms * 1000
    day = checks.server_day(tick.quote.time_ms, tick.server_offset_s)
    engine.quote(tick.listing, tick.quote)
    engine.roll(tick.listing, day)
    events: list[Event] = [
        engine.lapse(order)
        for order in engine.orders_of(tick.listing)
        if order.expires_ms and tick.quote.time_ms >= order.expires_ms
    ]
    at_work = [order for order in engine.orders_of(tick.listing) if order.working and order.after_us < at_us]
    # Deals of this tick leave positions and rests that live from the next tick on, even if that has the same time;
    # stops and targets of a position are looked at on this one still.
    moment = Moment(at_us - 1, tick.quote, day)
    events += _Path(engine, tick, moment).walk()
    for order in at_work:
        events += _work(engine, order, moment)
    if at_work:  # The levels of what they have opened, where we are now.
        events += _Path(engine, tick._replace(continuous=False), moment).walk()
    events += _stop_out(engine, moment)
    events += engine.drop_orphans()
    engine.changed()
    return events


class _Path:
    """The way through one tick; `here`: how far before its end we are (None: at its beginning, wherever that was)."""

    def __init__(self, engine: Engine, tick: Tick, moment: Moment) -> None:
        self.engine, self.tick, self.moment = engine, tick, moment
        self.born: set[int] = set()
        self.here: Decimal | None = None if tick.continuous else ZERO
        self.slope = 0
        if tick.continuous and tick.before is not None:
            bid, ask = exact(tick.quote.bid) - exact(tick.before.bid), exact(tick.quote.ask) - exact(tick.before.ask)
            self.here = max(abs(bid), abs(ask))
            self.slope = (bid > 0) - (bid < 0) or (ask > 0) - (ask < 0)

    def walk(self) -> list[Event]:
        events: list[Event] = []
        while True:
            reached = min(self._reached(), key=lambda r: (-r.distance, r.rank, r.number), default=None)
            out = self._stop_out_before(reached)
            if out is not None:
                self._go(out, self.slope)
                events += _close_worst(self.engine, self.moment)
            elif reached is not None:
                if not reached.now:
                    self._go(reached.distance, -1 if reached.kind in (BID_FALLS, ASK_FALLS) else 1)
                events += self._act(reached)
            else:
                break
        self.engine.quote(self.tick.listing, self.tick.quote)
        return events

    def _reached(self) -> list[Reached]:
        """Levels that the rest of the path reaches."""
        engine, at_us = self.engine, self.moment.at_us
        found = []
        for position in engine.positions_of(self.tick.listing):
            for level, is_stop in ((position.sl, True), (position.tp, False)):
                if level is not None and position.after_us <= at_us:
                    kind = kind_of_level(position.side, is_stop=is_stop)
                    found.append(self._reach(position, level, kind, 0 if is_stop else 1, position.number))
        for order in engine.orders_of(self.tick.listing):
            if not order.working and order.after_us <= at_us:
                found.append(self._reach(order, order.price, kind_of_order(order), 2, order.ticket))
        return [reached for reached in found if reached is not None]

    def _reach(self, thing: Order | Position, level: float, kind: int, rank: int, number: int) -> Reached | None:
        """None if the level isn't reached."""
        here, passed = self.here, _beyond(level, self.tick.quote, kind)
        now = (
            isinstance(thing, Position)
            and thing.number in self.born
            and _beyond(level, self.engine.ledger.quotes[self.tick.listing], kind) >= 0
        )
        if not now and passed < 0:
            return None
        if not self.tick.continuous:
            distance = ZERO
        elif now and here is not None:
            distance = here
        else:
            distance = passed if here is None else min(passed, here)
        return Reached(distance, rank, number, thing, level, kind, now)

    def _act(self, reached: Reached) -> list[Event]:
        engine, thing, kind = self.engine, reached.thing, reached.kind
        price = reached.level
        if reached.now or not self.tick.continuous:
            price = _side(engine.ledger.quotes[self.tick.listing], kind)
        if isinstance(thing, Position):
            is_stop = reached.rank == 0
            if is_stop:
                price = engine.slipped(thing.listing, opposite(thing.side), price, thing.order_no, Draw.STOP_SLIPPAGE)
            return [engine.close(thing, price, self.moment, DealReason.SL if is_stop else DealReason.TP)]
        if thing.type is OrderType.STOP:
            price = engine.slipped(thing.listing, thing.side, price, thing.order_no, Draw.SLIPPAGE)
        try:
            engine.affordable(thing, price)
        except Refusal as refusal:
            return [engine.drop(thing, f"no money: {refusal.why}")]
        deal = engine.fill(thing, price, self.moment)
        self.born.add(deal.position)
        return [deal]

    def _stop_out_before(self, reached: Reached | None) -> Decimal | None:
        """Where on the path, before what is reached next, the margin level falls below the stop-out level; to a point.

        Between two events equity changes in one direction: halving finds the first point.
        """
        if self.here is None or not self.slope or not self.engine.ledger.positions:
            return None
        point = Decimal(1).scaleb(-self.engine.ledger.specs[self.tick.listing].digits)
        here, last = self.here, ZERO if reached is None else reached.distance + point
        if last > here:
            return None
        if self._is_out(here):
            return here
        if not self._is_out(last):
            return None
        good, bad = -1, int(((here - last) / point).to_integral_value(ROUND_FLOOR))
        if not self._is_out(here - bad * point):
            return last
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (good, middle) if self._is_out(here - middle * point) else (middle, bad)
        return here - bad * point

    def _is_out(self, distance: Decimal) -> bool:
        ledger, listing = self.engine.ledger, self.tick.listing
        now = ledger.quotes[listing]
        ledger.quotes[listing] = self._at(distance, self.slope)
        out = ledger.below(self.engine.account.stop_out_level)
        ledger.quotes[listing] = now
        return out

    def _go(self, distance: Decimal, slope: int) -> None:
        """To a point of the path; its quote prevails."""
        self.here = distance
        if self.tick.continuous:
            self.engine.quote(self.tick.listing, self._at(distance, slope))

    def _at(self, distance: Decimal, slope: int) -> Quote:
        end, back = self.tick.quote, -slope * distance
        return end._replace(bid=float(exact(end.bid) + back), ask=float(exact(end.ask) + back))


def _work(engine: Engine, order: Order, moment: Moment) -> list[Event]:
    """The next deal of an order that is being filled."""
    if order.ticket not in engine.orders:
        return []
    if engine.is_orphan(order):
        return [engine.drop(order, "its position is closed")]
    position = engine.ledger.positions.get(order.position)
    if position is not None and position.side is not order.side:
        order.volume = min(order.volume, position.volume)
    if order.type is OrderType.LIMIT and _beyond(order.price, moment.quote, kind_of_order(order)) < 0:
        return []
    price = moment.quote.ask if order.side is Side.LONG else moment.quote.bid
    if order.type is not OrderType.LIMIT:
        price = engine.slipped(order.listing, order.side, price, order.order_no, Draw.SLIPPAGE, order.deals)
    return [engine.fill(order, price, moment)]


def _stop_out(engine: Engine, moment: Moment) -> list[Event]:
    """Closes positions, the largest loss first, until the margin level is no longer below the stop-out level."""
    engine.note_margin_call(moment.at_us + 1)
    events: list[Event] = []
    while engine.ledger.below(engine.account.stop_out_level):
        events += _close_worst(engine, moment)
    return events


def _close_worst(engine: Engine, moment: Moment) -> list[Event]:
    engine.note_margin_call(moment.at_us + 1)
    ledger = engine.ledger
    worst = min(ledger.positions.values(), key=lambda p: (ledger.floating(p), p.number))
    quote = ledger.quotes[worst.listing]
    price = closing_price(worst.side, quote)
    price = engine.slipped(worst.listing, opposite(worst.side), price, worst.order_no, Draw.STOP_SLIPPAGE)
    if quote.n != moment.quote.n:  # Another listing's: its own newest tick.
        moment = moment._replace(quote=quote)
    return [engine.close(worst, price, moment, DealReason.SO)]


def _side(quote: Quote, kind: int) -> float:
    return quote.bid if kind in (BID_FALLS, BID_RISES) else quote.ask


def _beyond(level: float, quote: Quote, kind: int) -> Decimal:
    """How far the quote is beyond the level; negative: not reached."""
    gap = exact(level) - exact(_side(quote, kind))
    return gap if kind in (BID_FALLS, ASK_FALLS) else -gap
