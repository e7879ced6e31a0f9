"""The account's book in MetaTrader 5's terms: open orders, positions and history, as the venue changes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agents.money import Quote
from producers.terminal import constants as mt5
from producers.terminal.groups import in_group
from producers.terminal.history import Row, past_deals, past_orders
from producers.terminal.market_view import MarketView
from schemas.events import Side
from schemas.executions import DealEntry, DealReason
from streams.venue.book import Changed, Deal, Event, Lapsed, Order, Placed, Position, Removed, closing_price
from streams.venue.engine import Engine

_ENTRIES: Final = {
    DealEntry.IN: mt5.DEAL_ENTRY_IN,
    DealEntry.OUT: mt5.DEAL_ENTRY_OUT,
    DealEntry.INOUT: mt5.DEAL_ENTRY_INOUT,
    DealEntry.OUT_BY: mt5.DEAL_ENTRY_OUT_BY,
}
_REASONS: Final = {
    DealReason.EXPERT: mt5.DEAL_REASON_EXPERT,
    DealReason.SL: mt5.DEAL_REASON_SL,
    DealReason.TP: mt5.DEAL_REASON_TP,
    DealReason.SO: mt5.DEAL_REASON_SO,
}
"""Reasons of deals and of orders have the same numbers."""


@dataclass(slots=True, kw_only=True)
class OrderNote:
    """Of an order: fields of TradeOrder that the engine doesn't keep, or forgets once it is done. Server's clock."""

    ticket: int = 0
    """0 until the engine has given it one."""
    setup_msc: int
    type: int
    magic: int
    symbol: str
    volume: float
    reason: int
    comment: str
    type_time: int = mt5.ORDER_TIME_GTC
    type_filling: int = mt5.ORDER_FILLING_FOK
    expiration: int = 0
    position_id: int = 0
    position_by_id: int = 0
    price: float = 0.0
    sl: float = 0.0
    tp: float = 0.0

    def row(self, state: int, left: float, price_current: float, done_msc: int = 0) -> Row:
        """As TradeOrder; `left`: lots that aren't filled."""
        return (
            self.ticket, self.setup_msc // 1000, self.setup_msc, done_msc // 1000, done_msc, self.expiration, self.type,
            self.type_time, self.type_filling, state, self.magic, self.position_id, self.position_by_id, self.reason,
            self.volume, left, self.price, self.sl, self.tp, price_current, 0.0, self.symbol, self.comment, "",
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class PositionNote:
    """Of a position. Its ticket is its number, or on a netting account the order's that turned it over last."""

    ticket: int
    opened_msc: int
    updated_msc: int
    comment: str


class Book:
    """All that MetaTrader 5 tells of an account's orders, positions and deals."""

    def __init__(self, market: MarketView, engine: Engine) -> None:
        self._market, self._engine = market, engine
        self._orders: dict[int, OrderNote] = {}
        self._positions: dict[int, PositionNote] = {}
        self._levels: dict[int, tuple[float, float]] = {}
        """Stop and target of the open positions as the engine had them last: it forgets a position that it closes."""
        self.past_orders, self.past_deals = past_orders(), past_deals()

    # -- what happens --------------------------------------------------------------------------------------------------

    def book_balance(self, at_ms: int) -> None:
        """The account's first deal: what it starts with."""
        self._engine.deals += 1
        at_msc = self.stamp_msc(at_ms)
        self.past_deals.add(
            (
                self._engine.deals, 0, at_msc // 1000, at_msc, mt5.DEAL_TYPE_BALANCE, mt5.DEAL_ENTRY_IN, 0, 0,
                mt5.DEAL_REASON_CLIENT, 0.0, 0.0, 0.0, 0.0, float(self._engine.ledger.balance), 0.0, "", "", "",
            )
        )  # fmt: skip

    def note(self, events: Iterable[Event], at_ms: int, new: OrderNote | None = None) -> None:
        """What has happened at a time in UTC. `new`: the order that the first of it is about, if it is a new one."""
        for event in events:
            match event:
                case Placed():
                    assert new is not None, "an order is placed by a request"
                    new.ticket, new.sl, new.tp = event.ticket, event.sl or 0.0, event.tp or 0.0
                    new.price = self._engine.orders[event.ticket].price
                    self._orders[event.ticket] = new
                case Deal():
                    self._note_deal(event, self.stamp_msc(at_ms), new)
                case Changed():
                    self._note_change(event, self.stamp_msc(at_ms))
                case Removed():
                    self._done(event.ticket, mt5.ORDER_STATE_CANCELED, event.remaining, self.stamp_msc(at_ms))
                case Lapsed():
                    done_msc = self.stamp_msc(event.expires_ms)
                    self._done(event.ticket, mt5.ORDER_STATE_EXPIRED, event.remaining, done_msc)
        self._keep_levels()

    def amend(self, ticket: int, type_time: int, expiration: int) -> None:
        """A pending order's time, as it has been asked for."""
        note = self._orders[ticket]
        note.type_time, note.expiration = type_time, expiration

    def stamp_msc(self, time_ms: int) -> int:
        """A time in UTC as the server's clock shows it."""
        return time_ms + self._market.offset_s(time_ms) * 1000

    # -- what is there -------------------------------------------------------------------------------------------------

    def number(self, ticket: int) -> int:
        """The engine's number of the position with a ticket; the ticket itself if there is none."""
        return next((number for number, note in self._positions.items() if note.ticket == ticket), ticket)

    def positions(self, ticket: int | None, symbol: str | None, group: str | None) -> tuple[Row, ...]:
        """TradePosition of each open one that is asked for, oldest first."""
        held = self._engine.ledger.positions.values()
        return tuple(
            self._position_row(position, self._positions[position.number])
            for position in held
            if _wanted(self._positions[position.number].ticket, position.listing, ticket, symbol, group)
        )

    def orders(self, ticket: int | None, symbol: str | None, group: str | None) -> tuple[Row, ...]:
        """TradeOrder of each open one that is asked for, oldest first."""
        return tuple(
            self._order_row(order)
            for order in self._engine.orders.values()
            if _wanted(order.ticket, order.listing, ticket, symbol, group)
        )

    # -- state ---------------------------------------------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """Open orders and positions; history has a text of its own."""
        return {
            "orders": [dataclasses.asdict(note) for note in self._orders.values()],
            "positions": {str(number): dataclasses.asdict(note) for number, note in self._positions.items()},
        }

    def load(self, kept: Mapping[str, Any]) -> None:
        """Goes on from a dump that has history's rows in it. Raises KeyError, TypeError, ValueError."""
        self._orders = {note["ticket"]: OrderNote(**note) for note in kept["orders"]}
        self._positions = {int(number): PositionNote(**note) for number, note in kept["positions"].items()}
        self.past_orders.fill(kept["past_orders"])
        self.past_deals.fill(kept["past_deals"])
        self._keep_levels()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _note_deal(self, deal: Deal, at_msc: int, new: OrderNote | None) -> None:
        note = self._orders.get(deal.ticket)
        if note is None:
            if new is None or new.ticket:
                new = self._venues_own(deal, at_msc)
            note = self._orders[deal.ticket] = new
            note.ticket, note.price = deal.ticket, deal.price
        if deal.entry is not DealEntry.OUT_BY or not note.position_id:
            note.position_id = deal.position
        self.past_deals.add(
            (
                deal.deal, deal.ticket, at_msc // 1000, at_msc, type_of(deal.side), _ENTRIES[deal.entry], note.magic,
                deal.position, note.reason, deal.volume, deal.price, float(deal.commission), float(deal.swap),
                float(deal.profit), 0.0, deal.listing, note.comment, "",
            )
        )  # fmt: skip
        self._note_position(deal, at_msc, note)
        self._note_levels(deal, note)
        if not deal.remaining and deal.entry is not DealEntry.OUT_BY:
            self._done(deal.ticket, mt5.ORDER_STATE_FILLED, 0.0, at_msc, deal.price)

    def note_close_by(self, deals: Iterable[Deal], at_ms: int, new: OrderNote) -> None:
        """Two deals of one order."""
        self.note(deals, at_ms, new)
        self._done(new.ticket, mt5.ORDER_STATE_FILLED, 0.0, self.stamp_msc(at_ms), new.price)

    def _note_position(self, deal: Deal, at_msc: int, order: OrderNote) -> None:
        held = self._positions.get(deal.position)
        if held is None or deal.entry is DealEntry.INOUT:
            self._positions[deal.position] = PositionNote(
                ticket=deal.ticket, opened_msc=at_msc, updated_msc=at_msc, comment=order.comment
            )
        else:
            held.updated_msc = at_msc
        if deal.position not in self._engine.ledger.positions:
            del self._positions[deal.position]

    def _note_levels(self, deal: Deal, order: OrderNote) -> None:
        """What the deal makes of the levels, for a position that is opened and closed within one tick."""
        if deal.entry in (DealEntry.IN, DealEntry.INOUT):
            sl, tp = self._levels.get(deal.position, (0.0, 0.0)) if deal.entry is DealEntry.IN else (0.0, 0.0)
            self._levels[deal.position] = order.sl or sl, order.tp or tp

    def _keep_levels(self) -> None:
        held = self._engine.ledger.positions
        self._levels = {number: (position.sl or 0.0, position.tp or 0.0) for number, position in held.items()}

    def _venues_own(self, deal: Deal, at_msc: int) -> OrderNote:
        """The order by which the venue itself closes a position; its comment has the level, at a stop-out the price."""
        reason = _REASONS[deal.reason]
        digits = self._engine.ledger.specs[deal.listing].digits
        sl, tp = self._levels[deal.position]
        level = {DealReason.SL: sl, DealReason.TP: tp}.get(deal.reason, deal.price)
        return OrderNote(
            setup_msc=at_msc, type=type_of(deal.side), magic=deal.order_no, symbol=deal.listing, volume=deal.volume,
            reason=reason, comment=f"[{deal.reason.value.lower()} {level:.{digits}f}]",
        )  # fmt: skip

    def _note_change(self, change: Changed, at_msc: int) -> None:
        if change.position:
            self._positions[change.position].updated_msc = at_msc
            return
        note, order = self._orders[change.ticket], self._engine.orders[change.ticket]
        note.price, note.sl, note.tp = order.price, change.sl or 0.0, change.tp or 0.0

    def _done(self, ticket: int, state: int, left: float, done_msc: int, price: float | None = None) -> None:
        note = self._orders.pop(ticket)
        current = self._current(note.symbol, note.type) if price is None else price
        self.past_orders.add(note.row(state, left, current, done_msc))

    def _position_row(self, position: Position, note: PositionNote) -> Row:
        ledger = self._engine.ledger
        price = closing_price(position.side, ledger.quotes[position.listing])
        return (
            note.ticket, note.opened_msc // 1000, note.opened_msc, note.updated_msc // 1000, note.updated_msc,
            type_of(position.side), position.order_no, position.number, mt5.POSITION_REASON_EXPERT,
            float(position.volume), position.price, position.sl or 0.0, position.tp or 0.0, price,
            float(position.swap), float(ledger.profit(position, position.volume, price)), position.listing,
            note.comment, "",
        )  # fmt: skip

    def _order_row(self, order: Order) -> Row:
        note = self._orders[order.ticket]
        state = mt5.ORDER_STATE_PARTIAL if order.deals else mt5.ORDER_STATE_PLACED
        return note.row(state, float(order.volume), self._current(order.listing, note.type))

    def _current(self, symbol: str, type: int) -> float:
        quote = self._market.quote(symbol) or Quote(0.0, 0.0)
        return quote.ask if type % 2 == mt5.ORDER_TYPE_BUY else quote.bid


def type_of(side: Side) -> int:
    """ORDER_TYPE, DEAL_TYPE or POSITION_TYPE of a side."""
    return mt5.ORDER_TYPE_BUY if side is Side.LONG else mt5.ORDER_TYPE_SELL


def _wanted(own: int, name: str, ticket: int | None, symbol: str | None, group: str | None) -> bool:
    if ticket is not None:
        return own == ticket
    if symbol is not None:
        return name == symbol
    return group is None or in_group(group, name)
