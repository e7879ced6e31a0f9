"""The laboratory's face of the engine: orders of the desk in, records of `executions` out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from agents.money import Quote
from schemas.configuration import AccountConfig, SessionTable
from schemas.events import ListingSpec
from schemas.executions import (
    Accepted,
    Canceled,
    DealReason,
    Execution,
    Expired,
    Filled,
    OrderRequest,
    PartiallyFilled,
    Rejected,
)
from schemas.integrity import ZERO_MAC, ZERO_NONCE
from schemas.trading import CancelRequested, ModifyRequested, Submitted
from streams.venue import state
from streams.venue.book import (
    Changed,
    Deal,
    Event,
    Lapsed,
    MarginCall,
    Placed,
    Position,
    Refused,
    Removed,
    Request,
    closing_price,
)
from streams.venue.checks import server_day
from streams.venue.draws import Draw, draw
from streams.venue.engine import Engine, Moment
from streams.venue.follower import Follower
from streams.venue.model import VenueModel
from streams.venue.watch import Columns


class Venue:
    """One account at a venue.

    The driver calls in the order of time; everything happens at the time that a call names. `specs` has every listing
    that is traded or converts money. Before `place`, `modify`, `find` and `apply` the driver tells by `quote` the
    prevailing quotes of the other `open_listings`, and where a window begins, that of the last good tick before it.
    Raises MissingRate where money can't be converted.
    """

    def __init__(
        self,
        specs: Mapping[str, ListingSpec],
        account: AccountConfig,
        model: VenueModel,
        sessions: Mapping[str, SessionTable] | None = None,
    ) -> None:
        self.engine = Engine(specs, account, model, sessions)
        self._seq = 0
        self._follower = Follower(self.engine)

    # -- requests ------------------------------------------------------------------------------------------------------

    def arrival_us(self, order_no: int, taken_us: int) -> int:
        """When a request about an order, decided at `taken_us`, is at the venue."""
        model = self.engine.model
        jitter = model.latency_jitter_ms * draw(model.seed, order_no, Draw.LATENCY) if model.latency_jitter_ms else 0.0
        return taken_us + int((model.latency_ms + jitter) * 1000)

    def place(self, at_us: int, order: Submitted, quote: Quote, server_offset_s: int = 0) -> list[Execution]:
        """An order at its arrival; `quote` and the server's offset from UTC prevail then. Market orders fill now."""
        request = Request(
            order.order_no, order.listing, order.type, order.side, order.volume, order.price, order.sl, order.tp,
            order.position, order.expires_ms,
        )  # fmt: skip
        return self._said(at_us, self.engine.send(at_us, request, quote, server_offset_s))

    def modify(
        self, at_us: int, request: ModifyRequested, quote: Quote | None, server_offset_s: int = 0
    ) -> list[Execution]:
        """Stop and target as the request has them, None = none, if the levels allow it against `quote`."""
        events = self.engine.modify(
            at_us, request.order_no, request.position, request.sl, request.tp, quote, server_offset_s
        )
        return self._said(at_us, events)

    def cancel(
        self, at_us: int, request: CancelRequested, quote: Quote | None = None, server_offset_s: int = 0
    ) -> list[Execution]:
        """Takes an order's rest back, unless it is frozen at `quote`."""
        return self._said(at_us, self.engine.remove(at_us, request.order_no, quote, server_offset_s))

    def close_all(
        self, at_us: int, quotes: Mapping[str, Quote], server_offset_s: int = 0, why: str = "end of the data"
    ) -> list[Execution]:
        """Takes all orders back and closes all positions at these quotes, without slippage; reason CLIENT."""
        engine = self.engine
        for listing, quote in quotes.items():
            engine.quote(listing, quote)
        events: list[Event] = [engine.drop(order, why) for order in list(engine.orders.values())]
        for position in list(engine.ledger.positions.values()):
            quote = engine.ledger.quotes[position.listing]
            price = closing_price(position.side, quote)
            moment = Moment(at_us, quote, server_day(at_us // 1000, server_offset_s))
            events.append(engine.close(position, price, moment, DealReason.CLIENT))
        return self._said(at_us, events)

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def quote(self, listing: str, quote: Quote) -> None:
        """The newest quote of a listing that is open here, converts money, or begins a new window."""
        self._follower.quote(listing, quote)

    def find(self, listing: str, columns: Columns, start: int, end: int) -> int:
        """Index of the first good tick in [start, end) at which something may happen; `end` if there is none.

        Changes nothing. Hand that tick to `apply`, then go on behind it. Now and then it is a tick at which the account
        is only looked at, because a stop-out is near, and `apply` says nothing.
        """
        return self._follower.find(listing, columns, start, end)

    def apply(self, listing: str, columns: Columns, index: int) -> list[Execution]:
        """What the tick does. All ticks of the listing before it have been looked at or can't matter."""
        return self._said(int(columns.time_ms[index]) * 1000, self._follower.apply(listing, columns, index))

    # -- views ---------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether anything is open: else no tick matters."""
        return bool(self.engine.orders or self.engine.ledger.positions)

    @property
    def open_listings(self) -> tuple[str, ...]:
        """Listings whose ticks matter: those with orders or positions, and those that convert their profit."""
        return self.engine.open_listings

    @property
    def balance(self) -> Decimal:
        return self.engine.ledger.balance

    @property
    def equity(self) -> Decimal:
        """At the newest quotes told."""
        return self.engine.ledger.equity

    @property
    def margin(self) -> Decimal:
        return self.engine.ledger.margin

    @property
    def positions(self) -> tuple[Position, ...]:
        """Open positions, oldest first; to be read only."""
        return tuple(self.engine.ledger.positions.values())

    @property
    def margin_calls(self) -> tuple[MarginCall, ...]:
        return tuple(self.engine.margin_calls)

    # -- state ---------------------------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """The state as bytes: version first, deterministic."""
        return state.dump(self.engine, self._seq)

    def load(self, data: bytes) -> None:
        """Takes up a dumped state of a venue of the same listings, account and model. Raises BadState."""
        self._seq = state.load(self.engine, data)

    def digest(self) -> str:
        """Hex SHA-256 of the state."""
        return state.digest(self.dump())

    # -- records -------------------------------------------------------------------------------------------------------

    def _said(self, at_us: int, events: Iterable[Event]) -> list[Execution]:
        return [self._record(at_us, event) for event in events]

    def _record(self, at_us: int, event: Event) -> Execution:
        self._seq += 1
        common: dict[str, Any] = {
            "epoch": 0, "nonce": ZERO_NONCE, "seq": self._seq, "account": self.engine.account.account,
            "written_us": at_us, "order_no": event.order_no, "key_id": "", "prev": ZERO_MAC, "mac": ZERO_MAC,
            "time_ms": at_us // 1000,
        }  # fmt: skip
        match event:
            case Deal():
                kind = PartiallyFilled if event.remaining else Filled
                return kind(
                    **common, ticket=event.ticket, deal=event.deal, position=event.position, listing=event.listing,
                    side=event.side, entry=event.entry, reason=event.reason, volume=event.volume,
                    remaining=event.remaining, price=event.price, n=event.n, bid=event.bid, ask=event.ask,
                    commission=event.commission, swap=event.swap, profit=event.profit,
                )  # fmt: skip
            case Placed():
                return Accepted(
                    **common, request=OrderRequest.PLACE, ticket=event.ticket, position=0, sl=event.sl, tp=event.tp
                )
            case Changed():
                return Accepted(
                    **common, request=OrderRequest.MODIFY, ticket=event.ticket, position=event.position, sl=event.sl,
                    tp=event.tp,
                )  # fmt: skip
            case Refused():
                return Rejected(**common, request=event.request, retcode=int(event.retcode), reason=event.why)
            case Removed():
                return Canceled(**common, ticket=event.ticket, remaining=event.remaining, reason=event.why)
            case Lapsed():
                return Expired(
                    **{**common, "time_ms": event.expires_ms}, ticket=event.ticket, remaining=event.remaining
                )
