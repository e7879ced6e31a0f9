"""The gateway of one account: requests of the desk in their order, and what the terminal made of them.

The order of things is the point: a request's Sending is on the log before it goes out, nothing without an answer is
sent again, and whatever the log has was read from the log. See docs/gateway.md.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from infra.clock import WaitingClock
from infra.log import get
from infra.settings import TradeSettings
from producers.gateway.alarms import Alarms
from producers.gateway.answers import Answer, Doubtful, Refused, Taken
from producers.gateway.book import Held
from producers.gateway.chain import Chain
from producers.gateway.codes import Execution, Retcode
from producers.gateway.deals import Deals, Prices
from producers.gateway.doubts import Doubts
from producers.gateway.intake import Request
from producers.gateway.reconcile import Reconciler
from producers.gateway.records import blank
from producers.gateway.requests import Impossible, levels_request, place_request, remove_request
from producers.gateway.spool import Intention, Spool
from producers.gateway.venue import NoAnswer, Venue
from schemas.configuration import AccountConfig
from schemas.events import Severity
from schemas.executions import Accepted, Expired, OrderRequest, Rejected, Sending
from schemas.identity import InvalidName, parse_listing
from schemas.trading import CancelRequested, ModifyRequested, OrderPurpose, OrderType, Submitted

log = get(__name__)

LOG_PATIENCE_S: Final = 2.0
"""So long an exit waits for the log to have its Sending; then it goes by the spool."""
FLOOR_S: Final = 0.010
"""Looks at positions and deals are at least so far apart, however fast the market is."""
RECENT_MS: Final = 60_000
"""At every look deals are asked for from so long before the newest one that the log has."""
LONG_MS: Final = 3_600_000
"""At every reconciliation from so long before."""
KEPT_ORDERS: Final = 1_024
"""Newest orders whose Submitted is kept after they are over, for deals that come late."""


class _Queued(NamedTuple):
    """A request that waits; `nth`: which of its order's modifications or cancellations it is, from 1."""

    request: Request
    nth: int


class Gateway:
    """One account's way to its terminal. One thread calls `receive` and `turn`.

    Raises WrongAccount (the terminal has another account open), and what the chain raises.
    """

    def __init__(
        self,
        config: AccountConfig,
        trade: TradeSettings,
        venue: Venue,
        chain: Chain,
        prices: Prices,
        alarms: Alarms,
        clock: WaitingClock,
        spool: Spool,
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called between two requests."""
        self._config, self._trade, self._venue, self._chain = config, trade, venue, chain
        self._alarms, self._clock, self._spool, self._beat = alarms, clock, spool, beat
        self._deals = Deals(config, venue, chain, prices, alarms)
        self._doubts = Doubts(config.account, venue, chain, self._deals, alarms, clock, trade.settle_s)
        self._reconciler = Reconciler(config, venue, chain, self._deals, alarms, clock, self._restore)
        self._queue: deque[_Queued] = deque()
        self._counts: dict[tuple[str, int, OrderRequest], int] = {}
        self._last_begun: dict[int, ModifyRequested] = {}
        self._look_us = self._reconcile_us = 0
        self._looked_s = self._reconciled_s = -1e9
        self._soon = True
        self._away_since_us = 0
        self._spooled = False

    # -- what the desk asks --------------------------------------------------------------------------------------------

    def take_spooled(self) -> None:
        """Right after the chain was read: appends what went to the terminal by the spool and isn't on the log."""
        for order_no, request, nth, _ in self._spool.intentions():
            if not order_no or nth > self._chain.book.handled(order_no, request):
                self._write_sending(order_no, request)
        self._chain.confirm()
        self._spool.clear()

    def receive(self, request: Request) -> None:
        """The next request on `orders`: it waits for its turn, unless the chain has it already."""
        book = self._chain.book
        if isinstance(request, Submitted):
            known = book.order(request.order_no)
            known.submitted = known.submitted or request
            if not book.placed(request.order_no):
                self._queue.append(_Queued(request, 1))
            return
        kind = _kind(request)
        place = request.operator, request.order_no, kind
        self._counts[place] = nth = self._counts.get(place, 0) + 1
        handled = book.handled(request.order_no, kind)
        if nth > handled:
            self._queue.append(_Queued(request, nth))
        elif isinstance(request, ModifyRequested) and nth == handled:
            self._last_begun[request.order_no] = request

    def begin(self) -> None:
        """Right after `orders` was read: what has no answer is looked for."""
        for known in self._chain.book.unanswered():
            self._doubts.add(known.order_no, "the gateway ended before it came", self._last_begun.get(known.order_no))

    def turn(self) -> float:
        """Does what is due: requests, a look at the terminal, deals; seconds until something is due again."""
        try:
            if not self._away_since_us:
                self._work()
            if self._is_look_due():
                self._look()
        except NoAnswer as error:
            self._away(error)
        self._deals.write()
        if self._spooled and self._chain.confirm(0.0):
            self._spool.clear()
            self._spooled = False
        return self._pause()

    @property
    def idle(self) -> bool:
        """Whether nothing waits: no request, no doubt, no deal."""
        return not (self._queue or self._doubts.any or self._deals.waiting)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Takes what waits in its order; what has to wait for another request of its order stays in its place."""
        book, left = self._chain.book, deque[_Queued]()
        blocked: set[int] = set()
        try:
            while self._queue:
                queued = self._queue[0]
                number = queued.request.order_no
                known = book.orders.get(number)
                if number in blocked or (known is not None and known.asked is not None):
                    blocked.add(number)
                    left.append(queued)
                else:
                    self._take(queued)
                    self._beat()
                self._queue.popleft()
        finally:
            self._queue.extendleft(reversed(left))

    def _take(self, queued: _Queued) -> None:
        request, book = queued.request, self._chain.book
        if isinstance(request, Submitted):
            if not book.placed(request.order_no):
                self._place(request)
        elif queued.nth > book.handled(request.order_no, _kind(request)):
            if isinstance(request, ModifyRequested):
                self._modify(request)
            else:
                self._cancel(request)

    def _place(self, order: Submitted) -> None:
        if self._is_too_late(order):
            self._expire(order)
            return
        self._ready()
        try:
            request = self._request_of(order)
        except Impossible as impossible:
            self._refuse(order.order_no, OrderRequest.PLACE, impossible.retcode, impossible.why)
            return
        self._send(order.order_no, OrderRequest.PLACE, order, request)

    def _modify(self, request: ModifyRequested) -> None:
        self._ready()
        ticket = self._venue.ticket_of(request.position)
        if not ticket:
            why = f"position {request.position} is not open"
            self._refuse(request.order_no, OrderRequest.MODIFY, Retcode.POSITION_CLOSED, why)
            return
        try:
            asked = levels_request(ticket, self._symbol(request.listing), request.sl, request.tp)
        except Impossible as impossible:
            self._refuse(request.order_no, OrderRequest.MODIFY, impossible.retcode, impossible.why)
            return
        self._send(request.order_no, OrderRequest.MODIFY, request, asked)

    def _cancel(self, request: CancelRequested) -> None:
        self._ready()
        known = self._chain.book.order(request.order_no)
        if known.over or not known.ticket:
            why = "the order is over already" if known.over else "no such order is at the terminal"
            self._refuse(request.order_no, OrderRequest.CANCEL, Retcode.INVALID_ORDER, why)
            return
        self._send(request.order_no, OrderRequest.CANCEL, request, remove_request(known.ticket))

    def _ready(self) -> None:
        """Raises WrongAccount, NoAnswer: then the request isn't begun and waits."""
        self._venue.check()
        self._venue.check_connection()

    def _send(self, order_no: int, kind: OrderRequest, asked: Request, request: dict[str, Any]) -> None:
        """Writes the intention, sends once, writes the answer."""
        self._write_sending(order_no, kind)
        reduces = not isinstance(asked, Submitted) or asked.purpose is OrderPurpose.EXIT
        if not self._chain.confirm(LOG_PATIENCE_S if reduces else None):
            self._alarms.tell(
                "log_silent", Severity.CRITICAL, "executions",
                "the broker doesn't take executions: exits and cancellations go on by the spool, entries wait",
            )  # fmt: skip
            nth = self._chain.book.handled(order_no, kind)
            self._spool.append(Intention(order_no, kind, nth, self._clock.now_us()))
            self._spooled = True
        else:
            self._alarms.over("log_silent", "executions")
        if isinstance(asked, Submitted) and self._is_too_late(asked):
            # The log took its time.
            self._expire(asked)
            return
        self._answer(order_no, kind, asked, self._venue.send(request))
        self._soon = True

    def _answer(self, order_no: int, kind: OrderRequest, asked: Request, answer: Answer) -> None:
        if isinstance(answer, Doubtful):
            self._doubts.add(order_no, answer.reason, asked if isinstance(asked, ModifyRequested) else None)
        elif isinstance(answer, Refused):
            self._refuse(order_no, kind, answer.retcode, answer.reason)
            if answer.lasting:
                self._alarms.tell(
                    "refused", Severity.CRITICAL, str(answer.retcode),
                    f"the terminal refuses requests of account {self._config.account} with {answer.retcode}: "
                    f"{answer.reason}",
                )  # fmt: skip
        else:
            for retcode in (Retcode.CLIENT_DISABLES_AT, Retcode.SERVER_DISABLES_AT):
                self._alarms.over("refused", str(int(retcode)))
            self._taken(order_no, kind, asked, answer)

    def _taken(self, order_no: int, kind: OrderRequest, asked: Request, answer: Taken) -> None:
        if isinstance(asked, CancelRequested):
            # The terminal's history tells what was left of it.
            self._doubts.expect(order_no)
            return
        position = asked.position if isinstance(asked, ModifyRequested) else 0
        self._chain.write(
            Accepted(
                **blank(self._config.account), order_no=order_no, request=kind, ticket=answer.ticket or position,
                position=position, time_ms=self._clock.now_ms(), sl=asked.sl, tp=asked.tp,
            )
        )  # fmt: skip
        if isinstance(asked, Submitted):
            self._deals.answered(answer.ticket, answer.bid, answer.ask)

    def _restore(self, held: Held) -> None:
        """Gives a position of ours the levels that it has lost: an act of the gateway, so under the number 0."""
        symbol, ticket = self._symbol(held.listing), self._venue.ticket_of(held.position)
        sl, tp = self._chain.book.levels(held)
        self._write_sending(0, OrderRequest.MODIFY)
        self._chain.confirm()
        answer = self._venue.send(levels_request(ticket, symbol, sl, tp))
        if isinstance(answer, Taken):
            self._chain.write(
                Accepted(
                    **blank(self._config.account), order_no=0, request=OrderRequest.MODIFY, ticket=held.position,
                    position=held.position, time_ms=self._clock.now_ms(), sl=sl, tp=tp,
                )
            )  # fmt: skip
        elif isinstance(answer, Refused):
            self._refuse(0, OrderRequest.MODIFY, answer.retcode, answer.reason)

    # -- what requests need --------------------------------------------------------------------------------------------

    def _request_of(self, order: Submitted) -> dict[str, Any]:
        """Raises Impossible, NoAnswer."""
        symbol = self._symbol(order.listing)
        quote = (0.0, 0.0)
        if order.type is OrderType.MARKET and symbol.trade_exemode in (Execution.REQUEST, Execution.INSTANT):
            quote = self._venue.quote(symbol.name)
        expires_s = 0
        if order.expires_ms:
            # Up to the whole second that a terminal takes.
            expires_s = -(-self._venue.server_ms(order.expires_ms) // 1000)
        request = place_request(order, symbol, quote, expires_s)
        if order.position:
            ticket = self._venue.ticket_of(order.position)
            if not ticket:
                raise Impossible(Retcode.POSITION_CLOSED, f"position {order.position} is not open")
            request["position"] = ticket
        return request

    def _symbol(self, listing: str) -> Any:
        """Raises Impossible, NoAnswer."""
        try:
            feed, name = parse_listing(listing)
        except InvalidName as error:
            raise Impossible(Retcode.INVALID, str(error)) from None
        if feed != self._config.feed:
            raise Impossible(
                Retcode.INVALID, f"{listing} is not of the account's feed {self._config.feed}: it isn't traded there"
            )
        symbol = self._venue.symbol(name)
        if symbol is None:
            raise Impossible(Retcode.INVALID, f"the terminal has no symbol {name}, or it can't be selected there")
        return symbol

    def _is_too_late(self, order: Submitted) -> bool:
        """Entries expire, and nothing else."""
        entry = order.purpose is not OrderPurpose.EXIT
        return entry and bool(order.valid_until_us) and self._clock.now_us() > order.valid_until_us

    def _expire(self, order: Submitted) -> None:
        self._chain.write(
            Expired(
                **blank(self._config.account), order_no=order.order_no, ticket=0, remaining=order.volume,
                time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _refuse(self, order_no: int, kind: OrderRequest, retcode: int, why: str) -> None:
        self._chain.write(
            Rejected(
                **blank(self._config.account), order_no=order_no, request=kind, retcode=int(retcode), reason=why,
                time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _write_sending(self, order_no: int, kind: OrderRequest) -> None:
        self._chain.write(Sending(**blank(self._config.account), order_no=order_no, request=kind))

    # -- looks at the terminal -----------------------------------------------------------------------------------------

    def _is_look_due(self) -> bool:
        gone_s = time.monotonic() - self._looked_s
        if gone_s < FLOOR_S:
            return False
        return self._soon or gone_s >= self._trade.poll_ms / 1000 or self._clock.now_us() >= self._look_us

    def _look(self) -> None:
        """A look at positions, deals and live orders, and now and then all of it both ways. Raises NoAnswer."""
        self._soon = False
        self._looked_s = time.monotonic()
        self._look_us = self._clock.now_us() + self._trade.poll_ms * 1000
        if self._away_since_us:
            self._venue.sign_in()
        self._venue.check()
        if self._away_since_us:
            self._venue.check_connection()
            self._back()
        whole = self._is_reconciliation_due()
        book = self._chain.book
        positions = self._venue.positions()
        settled = not self._deals.waiting
        working = book.working()
        since_ms = max(book.newest_deal_ms, book.since_ms) - (LONG_MS if whole else RECENT_MS)
        self._deals.take(self._venue.deals_since(since_ms))
        if settled:
            self._reconciler.positions(positions, self._busy())
        if self._doubts.any:
            self._doubts.resolve()
        if working or whole:
            live = self._venue.orders()
            self._reconciler.orders(live, working)
            if whole and settled and not self._deals.waiting and not self._doubts.any:
                self._reconciler.all(positions, live)
                self._forget()

    def _is_reconciliation_due(self) -> bool:
        now_us, now_s, apart_s = self._clock.now_us(), time.monotonic(), self._trade.reconcile_s
        if now_us < self._reconcile_us and now_s - self._reconciled_s < apart_s:
            return False
        if now_s - self._reconciled_s < min(1.0, apart_s):
            return False
        self._reconcile_us, self._reconciled_s = now_us + int(apart_s * 1_000_000), now_s
        return True

    def _busy(self) -> set[int]:
        """Numbers of orders that are being asked something, or about to be."""
        asked = {known.order_no for known in self._chain.book.unanswered()}
        return asked | {queued.request.order_no for queued in self._queue}

    def _forget(self) -> None:
        """Old orders that are over need no more than to be known."""
        book = self._chain.book
        newest = max(book.orders, default=0)
        held = {one.order_no for one in book.positions.values()}
        for known in book.orders.values():
            old = known.order_no < newest - KEPT_ORDERS
            if old and known.submitted is not None and known.over and known.order_no not in held:
                known.submitted = None

    def _away(self, error: NoAnswer) -> None:
        if not self._away_since_us:
            self._away_since_us = self._clock.now_us()
            log.warning("terminal away", reason=str(error))
            self._alarms.tell(
                "terminal_away", Severity.CRITICAL, self._config.account,
                f"{error}; nothing is sent until it answers again, entries that wait expire",
            )  # fmt: skip

    def _back(self) -> None:
        gone_s = (self._clock.now_us() - self._away_since_us) / 1e6
        log.warning("terminal back", away_s=gone_s)
        self._away_since_us = 0
        self._alarms.over("terminal_away", self._config.account)
        self._reconcile_us = 0
        self._doubts.restart()

    def _pause(self) -> float:
        """Seconds until the next look, or less while a deal waits for its tick."""
        if self._queue and not self._away_since_us and not self._doubts.any:
            return 0.0
        left_s = self._trade.poll_ms / 1000 - (time.monotonic() - self._looked_s)
        floor_s = max(0.0, FLOOR_S - (time.monotonic() - self._looked_s))
        wait_s = floor_s if self._soon else max(floor_s, min(left_s, self._clock.wait_s(self._look_us)))
        return min(wait_s, FLOOR_S) if self._deals.waiting else wait_s


def _kind(request: Request) -> OrderRequest:
    if isinstance(request, ModifyRequested):
        return OrderRequest.MODIFY
    return OrderRequest.CANCEL if isinstance(request, CancelRequested) else OrderRequest.PLACE
