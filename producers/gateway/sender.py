"""One request of the desk: its intention onto the log, the request to the terminal, the answer onto the log."""

from __future__ import annotations

import time
from typing import Any, Final

from infra.clock import Clock
from producers.gateway.alarms import Alarms
from producers.gateway.answers import Answer, Doubtful, Refused, Taken
from producers.gateway.book import Held
from producers.gateway.chain import Chain
from producers.gateway.codes import Execution, Retcode
from producers.gateway.deals import Deals
from producers.gateway.doubts import Doubts
from producers.gateway.intake import Request
from producers.gateway.outage import Outage
from producers.gateway.records import blank
from producers.gateway.requests import Impossible, levels_request, place_request, remove_request
from producers.gateway.spool import Intention, Spool
from producers.gateway.venue import NoAnswer, Venue, WrongAccount
from producers.mt5 import SymbolInfo
from schemas.configuration import AccountConfig
from schemas.events import Severity
from schemas.executions import Accepted, Expired, OrderRequest, Rejected, Sending
from schemas.identity import InvalidName, parse_listing
from schemas.trading import CancelRequested, ModifyRequested, OrderPurpose, OrderType, Submitted

CHECKED_S: Final = 1.0
"""After a longer wait for the log another account may be open at the terminal: it is looked at again."""
LOG_PATIENCE_S: Final = 2.0
"""So long what reduces exposure waits for the log to have its Sending; then it goes by the spool."""


class Sender:
    """Sends an account's requests. Calls raise WrongAccount and NoAnswer before anything is begun, or once what was
    begun is refused unsent."""

    def __init__(
        self,
        config: AccountConfig,
        venue: Venue,
        chain: Chain,
        deals: Deals,
        doubts: Doubts,
        alarms: Alarms,
        clock: Clock,
        spool: Spool,
    ) -> None:
        self._config, self._venue, self._chain, self._deals = config, venue, chain, deals
        self._doubts, self._alarms, self._clock, self._spool = doubts, alarms, clock, spool
        self._spooled = False
        self._log = Outage(alarms, "log_silent", "log_back")

    def take_spooled(self) -> None:
        """Right after the chain was read: appends what went to the terminal by the spool and isn't on the log."""
        for order_no, request, nth, _ in self._spool.intentions():
            if not order_no or nth > self._chain.book.handled(order_no, request):
                self._write_sending(order_no, request)
        self._chain.confirm()
        self._spool.clear()

    def forget_spooled(self) -> None:
        """Empties the spool once the log has what is in it."""
        if self._spooled and self._chain.confirm(0.0):
            self._spool.clear()
            self._spooled = False
            self._log.end("the broker takes executions again, and the log has what went by the spool")

    def place(self, order: Submitted) -> None:
        """A new order; an entry that comes too late isn't sent."""
        if self._is_too_late(order):
            self._expire(order)
            return
        self._ready()
        try:
            request = self._request_of(order)
        except Impossible as impossible:
            self._refuse(order.order_no, OrderRequest.PLACE, impossible.retcode, impossible.why)
            return
        self._deals.expect(order.listing)
        self._send(order.order_no, OrderRequest.PLACE, order, request)

    def modify(self, request: ModifyRequested) -> None:
        """Both levels of a position."""
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

    def cancel(self, request: CancelRequested) -> None:
        """A pending order is taken back."""
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
        reduces = not isinstance(asked, Submitted) or asked.purpose is OrderPurpose.EXIT
        self._intend(order_no, kind, LOG_PATIENCE_S if reduces else None)
        if isinstance(asked, Submitted) and self._is_too_late(asked):
            # The log took its time.
            self._expire(asked)
            return
        self._answer(order_no, kind, asked, self._venue.send(request))

    def _intend(self, order_no: int, kind: OrderRequest, patience_s: float | None) -> None:
        """The intention is on the log when it returns; or in the spool, if the log took longer than `patience_s`.

        Raises WrongAccount, NoAnswer: the log took its time, and by now nothing may be sent.
        """
        began_us, began_s = self._clock.now_us(), time.monotonic()
        self._write_sending(order_no, kind)
        if self._chain.confirm(patience_s):
            self._log.end("the broker takes executions again")
        else:
            self._keep(order_no, kind, began_us)
        if time.monotonic() - began_s < CHECKED_S:
            return
        try:
            self._ready()
        except (WrongAccount, NoAnswer) as error:
            self._refuse(order_no, kind, Retcode.REJECT, f"not sent: {error}")
            raise

    def _keep(self, order_no: int, kind: OrderRequest, began_us: int) -> None:
        """Puts an intention that the log doesn't take into the spool."""
        self._log.begin(began_us)
        self._log.tell("the broker doesn't take executions", "exits and modifications go on by the spool, entries wait")
        nth = self._chain.book.handled(order_no, kind) if order_no else 0
        self._spool.append(Intention(order_no, kind, nth, self._clock.now_us()))
        self._spooled = True

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

    def restore(self, held: Held) -> None:
        """Gives a position of ours the levels that it has lost: an act of the gateway, so under the number 0."""
        ticket, (sl, tp) = self._venue.ticket_of(held.position), self._chain.book.levels(held)
        try:
            request = levels_request(ticket, self._symbol(held.listing), sl, tp)
        except Impossible as impossible:
            self._refuse(0, OrderRequest.MODIFY, impossible.retcode, impossible.why)
            return
        self._intend(0, OrderRequest.MODIFY, LOG_PATIENCE_S)
        answer = self._venue.send(request)
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

    def _symbol(self, listing: str) -> SymbolInfo:
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
