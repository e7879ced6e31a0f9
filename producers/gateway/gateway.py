"""The gateway of one account: what the desk asks in its order, and looks at what the terminal made of it.

The order of things is the point: a request's Sending is on the log before it goes out, nothing without an answer is
sent again, and whatever the log has was read from the log. See docs/gateway.md.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from infra.clock import WaitingClock
from infra.log import get
from infra.settings import TradeSettings
from producers.gateway.alarms import Alarms
from producers.gateway.bookings import Bookings
from producers.gateway.chain import Chain
from producers.gateway.deals import Deals, Prices
from producers.gateway.doubts import Doubts
from producers.gateway.intake import Request
from producers.gateway.outage import Outage
from producers.gateway.reconcile import Reconciler
from producers.gateway.repeats import Repeats
from producers.gateway.sender import Sender
from producers.gateway.spool import Spool
from producers.gateway.stops import Stops
from producers.gateway.venue import NoAnswer, Venue
from schemas.configuration import AccountConfig
from schemas.executions import OrderRequest
from schemas.trading import CancelRequested, ModifyRequested, Submitted

log = get(__name__)

FLOOR_S: Final = 0.010
"""Looks at positions and deals are at least so far apart, however fast the market is."""
AWAY_S: Final = 0.5
"""So often a terminal that is away is tried again."""
AWAY_TOLD_S: Final = 2.0
"""After so long people are told that it is away; at once if something waits for it."""
COMPARED_S: Final = 2.0
"""So long log and terminal aren't compared while deals wait for their quotes; then those are written without."""
RECENT_MS: Final = 60_000
"""At every look deals are asked for from so long before the newest one that the log has."""
LONG_MS: Final = 3_600_000
"""At every reconciliation from so long before."""
TOGETHER: Final = 8
"""So many new orders that wait go onto the log at once. What a gateway that is killed then leaves in doubt isn't more,
and a look at the terminal waits for no more of them."""
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
        """`beat` is called after each request."""
        self._config, self._trade, self._venue, self._chain = config, trade, venue, chain
        self._alarms, self._clock = alarms, clock
        bookings = Bookings(config, venue, chain, alarms)
        self._deals = Deals(config, venue, chain, prices, bookings, alarms)
        self._doubts = Doubts(config.account, venue, chain, self._deals, alarms, clock, trade.settle_s)
        self._sender = Sender(config, venue, chain, self._deals, self._doubts, alarms, clock, spool, beat)
        self._stops = Stops(chain, self._sender, alarms, trade.settle_s)
        self._reconciler = Reconciler(config, venue, chain, self._deals, self._stops, bookings, alarms, clock)
        self._repeats = Repeats(chain, alarms)
        self._queue: deque[_Queued] = deque()
        self._counts: dict[tuple[int, OrderRequest], int] = {}
        self._last_begun: dict[int, ModifyRequested] = {}
        self._look_us = self._reconcile_us = 0
        self._looked_s = self._reconciled_s = -1e9
        self._positions_s = self._whole_s = time.monotonic()
        self._soon = True
        self._away = Outage(alarms, "terminal_away", "terminal_back")
        self._away_s = 0.0

    # -- what the desk asks --------------------------------------------------------------------------------------------

    def take_spooled(self) -> None:
        """Right after the chain was read: what went out by the spool comes onto the log."""
        self._sender.take_spooled()

    def receive(self, request: Request) -> None:
        """The next request on `orders`: it waits for its turn, unless the chain has it already."""
        book = self._chain.book
        if isinstance(request, Submitted):
            known = book.order(request.order_no)
            known.submitted = known.submitted or request
            self._repeats.asked(request)
            if not book.placed(request.order_no):
                self._queue.append(_Queued(request, 1))
            return
        kind = _kind(request)
        # Over all activations of the desk, as the chain counts them.
        place = request.order_no, kind
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
        began_us, began_s = self._clock.now_us(), time.monotonic()
        try:
            if not self._away:
                self._work()
            if self._is_look_due():
                self._look()
        except NoAnswer as error:
            self._is_away(error, began_us, began_s)
        self._deals.write()
        self._sender.forget_spooled()
        return self._pause()

    @property
    def idle(self) -> bool:
        """Whether nothing waits: no request, no doubt, no deal."""
        return not (self._queue or self._doubts.any or self._deals.waiting)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Takes what waits, until a look is due; what has to wait for another request of its order keeps its place."""
        book, left = self._chain.book, deque[_Queued]()
        blocked: set[int] = set()
        try:
            while self._queue:
                queued = self._queue[0]
                number = queued.request.order_no
                known = book.orders.get(number)
                if number in blocked or (known is not None and known.asked is not None):
                    blocked.add(number)
                    left.append(self._queue.popleft())
                else:
                    for _ in range(self._take(queued)):
                        self._queue.popleft()
                    self._soon = True
                if time.monotonic() - self._looked_s > self._trade.poll_ms / 1000:
                    return
        finally:
            self._queue.extendleft(reversed(left))

    def _take(self, queued: _Queued) -> int:
        """Does the first request of the queue, and with a new order those right behind it; how many it took."""
        request, book = queued.request, self._chain.book
        if isinstance(request, Submitted):
            orders: list[Submitted] = []
            for one in itertools.islice(self._queue, TOGETHER):
                if not isinstance(one.request, Submitted):
                    break
                orders.append(one.request)
            self._sender.place([order for order in orders if not book.placed(order.order_no)])
            return len(orders)
        if queued.nth > book.handled(request.order_no, _kind(request)):
            if isinstance(request, ModifyRequested):
                self._sender.modify(request)
            else:
                self._sender.cancel(request)
        return 1

    # -- looks at the terminal -----------------------------------------------------------------------------------------

    def _is_look_due(self) -> bool:
        gone_s = time.monotonic() - self._looked_s
        if gone_s < (AWAY_S if self._away else FLOOR_S):
            return False
        return self._soon or gone_s >= self._trade.poll_ms / 1000 or self._clock.now_us() >= self._look_us

    def _look(self) -> None:
        """A look at positions, deals and live orders, and now and then all of it both ways. Raises NoAnswer."""
        self._soon = False
        self._looked_s = time.monotonic()
        self._look_us = self._clock.now_us() + self._trade.poll_ms * 1000
        if self._away:
            self._venue.sign_in()
        # What a terminal without its server tells of positions and deals may be old.
        self._venue.check_connection()
        self._venue.check()
        whole = self._is_reconciliation_due()
        hurried = self._is_comparison_late(whole)
        if hurried:
            self._deals.write(all_now=True)
        book = self._chain.book
        positions = self._venue.positions()
        self._repeats.look(positions)
        settled = not self._deals.waiting
        working = book.working()
        since_ms = max(book.newest_deal_ms, book.since_ms) - (LONG_MS if whole else RECENT_MS)
        self._deals.take(self._venue.deals_since(since_ms))
        if hurried:
            self._deals.write(all_now=True)
        live = self._venue.orders() if working or whole or self._away else ()
        if self._away:
            self._is_back()
        if settled:
            self._reconciler.positions(positions, self._busy())
            if not self._deals.waiting:
                # Else what is told of adopted positions waits for deals that this look has brought.
                self._positions_s = self._looked_s
        if self._doubts.any:
            self._doubts.resolve()
        if working or whole:
            self._reconciler.orders(live, working)
            if not whole:
                return
            if settled and not self._deals.waiting and not self._doubts.any:
                self._reconciler.all(positions, live)
                self._whole_s = self._looked_s
                self._forget()
            else:
                # Deals or doubts come first; it is made up for within a second or so.
                self._reconcile_us = 0

    def _is_comparison_late(self, whole: bool) -> bool:
        """Whether a steady flow of deals has kept log and terminal from being compared for too long."""
        if self._away:
            self._positions_s = self._whole_s = self._looked_s
        late = self._looked_s - self._positions_s > COMPARED_S
        return late or (whole and self._looked_s - self._whole_s > self._trade.reconcile_s + COMPARED_S)

    def _is_reconciliation_due(self) -> bool:
        now_us, now_s, apart_s = self._clock.now_us(), time.monotonic(), self._trade.reconcile_s
        if now_us < self._reconcile_us and now_s - self._reconciled_s < apart_s:
            return False
        if now_s - self._reconciled_s < min(1.0, apart_s):
            return False
        self._reconcile_us, self._reconciled_s = now_us + int(apart_s * 1_000_000), now_s
        return True

    def _busy(self) -> set[int]:
        """Numbers of orders that are being asked something or about to be, or whose position is being closed."""
        book, queued = self._chain.book, [one.request for one in self._queue]
        unanswered = book.unanswered()
        asked = {known.order_no for known in unanswered} | {request.order_no for request in queued}
        # A closing that was taken may still be dealt.
        orders = [*(known.submitted for known in (*unanswered, *book.working())), *queued]
        closed = {order.position for order in orders if isinstance(order, Submitted)}
        return asked | {book.positions[number].order_no for number in closed if number in book.positions}

    def _forget(self) -> None:
        """Old orders that are over need no more than to be known."""
        book = self._chain.book
        newest = max(book.orders, default=0)
        held = {one.order_no for one in book.positions.values()}
        for known in book.orders.values():
            old = known.order_no < newest - KEPT_ORDERS
            if old and known.submitted is not None and known.over and known.order_no not in held:
                known.submitted = None

    def _is_away(self, error: NoAnswer, began_us: int, began_s: float) -> None:
        """`began_us`, `began_s`: when what got no answer was begun; it may have waited long for one."""
        if not self._away:
            self._away.begin(began_us)
            self._away_s = began_s
            log.warning("terminal away", reason=str(error), since=self._away.since)
        if not self.idle or time.monotonic() - self._away_s >= AWAY_TOLD_S:
            self._away.tell(str(error), "nothing is sent until it answers again, entries that wait expire")

    def _is_back(self) -> None:
        log.warning("terminal back", since=self._away.since)
        self._away.end("the terminal answers again, and has its trade server: what waits is sent")
        self._reconcile_us = 0
        self._doubts.restart()
        self._stops.restart()

    def _pause(self) -> float:
        """Seconds until the next look, or less while a deal waits for its tick."""
        if self._queue and not self._away and not self._doubts.any:
            return 0.0
        left_s = self._trade.poll_ms / 1000 - (time.monotonic() - self._looked_s)
        floor_s = max(0.0, FLOOR_S - (time.monotonic() - self._looked_s))
        wait_s = floor_s if self._soon else max(floor_s, min(left_s, self._clock.wait_s(self._look_us)))
        return min(wait_s, FLOOR_S) if self._deals.waiting else wait_s


def _kind(request: Request) -> OrderRequest:
    if isinstance(request, ModifyRequested):
        return OrderRequest.MODIFY
    return OrderRequest.CANCEL if isinstance(request, CancelRequested) else OrderRequest.PLACE
