"""One request of the desk: its intention onto the log, the request to the terminal, the answer onto the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from infra.clock import Clock
from producers.gateway.alarms import Alarms
from producers.gateway.answers import Answer, Doubtful, Refused, Taken
from producers.gateway.book import Held
from producers.gateway.chain import Chain
from producers.gateway.codes import OF_ACCOUNT, OF_ENTRIES, Retcode
from producers.gateway.deals import Deals
from producers.gateway.doubts import Doubts
from producers.gateway.intake import Request
from producers.gateway.outage import Outage
from producers.gateway.records import blank
from producers.gateway.requests import (
    STOPPED,
    Impossible,
    close_request,
    levels_request,
    place_request,
    remove_request,
)
from producers.gateway.spool import Intention, Spool, flattenings
from producers.gateway.venue import NoAnswer, Venue, WrongAccount
from producers.mt5 import SymbolInfo, TradePosition
from schemas.configuration import AccountConfig
from schemas.events import Severity
from schemas.executions import Accepted, Expired, OrderRequest, Rejected, Sending
from schemas.identity import InvalidName, parse_listing
from schemas.times import iso_ms
from schemas.trading import CancelRequested, ModifyRequested, OrderPurpose, OrderType, Submitted

CHECKED_S: Final = 1.0
"""After a longer wait for the log or for answers the terminal may have lost its trade server: it is looked at again."""
LOG_PATIENCE_S: Final = 2.0
"""So long what reduces exposure waits for the log to have its Sending; then it goes by the spool."""


class _Asked(NamedTuple):
    """A request about an order, as the desk asked it and as the terminal takes it. The number 0, and nothing that the
    desk asked: an act of the gateway."""

    order_no: int
    kind: OrderRequest
    what: Request | None
    request: dict[str, Any]

    @property
    def reduces(self) -> bool:
        """Whether it leaves no more exposure than there is."""
        return not isinstance(self.what, Submitted) or self.what.purpose is OrderPurpose.EXIT


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
        beat: Callable[[], None],
    ) -> None:
        """`beat` is called after each request."""
        self._config, self._venue, self._chain, self._deals = config, venue, chain, deals
        self._doubts, self._alarms, self._clock, self._spool, self._beat = doubts, alarms, clock, spool, beat
        self._spooled = False
        self._refusals: set[tuple[int, str]] = set()
        """Lasting refusals that were told and aren't over: code, and listing where it isn't the account's."""
        self._log = Outage(alarms, "log_silent", "log_back")

    def take_spooled(self) -> None:
        """Right after the chain was read: appends what went to the terminal by the spool and isn't on the log."""
        intentions = self._spool.intentions()
        for who, why, at_us, count in flattenings(intentions):
            requests = f"{count} request{'s' if count > 1 else ''} from {iso_ms(at_us // 1000)} on"
            self._alarms.tell(
                "flattened_directly", Severity.WARNING, str(at_us),
                f"{who} flattened {self._config.account} straight at the terminal, {requests}: {why}",
            )  # fmt: skip
        for one in intentions:
            if not one.order_no or one.nth > self._chain.book.handled(one.order_no, one.request):
                self._write_sending(one.order_no, one.request)
        self._chain.confirm()
        self._spool.clear()

    def forget_spooled(self) -> None:
        """Empties the spool once the log has what is in it."""
        if self._spooled and self._chain.confirm(0.0):
            self._spool.clear()
            self._spooled = False
            self._log.end("the broker takes executions again, and the log has what went by the spool")

    def place(self, orders: Sequence[Submitted]) -> None:
        """New orders, of different numbers: the log has what is meant with all of them before the first is sent.

        Entries that come too late aren't sent.
        """
        due = [order for order in orders if not self._is_over(order)]
        if not due:
            return
        self._ready()
        asked = []
        for order in due:
            try:
                request = self._request_of(order)
            except Impossible as impossible:
                self._refuse(order.order_no, OrderRequest.PLACE, impossible.retcode, impossible.why)
                continue
            self._deals.expect(order.listing)
            asked.append(_Asked(order.order_no, OrderRequest.PLACE, order, request))
        self._send(asked)

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
        self._send([_Asked(request.order_no, OrderRequest.MODIFY, request, asked)])

    def cancel(self, request: CancelRequested) -> None:
        """A pending order is taken back."""
        self._ready()
        known = self._chain.book.order(request.order_no)
        if known.over or not known.ticket:
            why = "the order is over already" if known.over else "no such order is at the terminal"
            self._refuse(request.order_no, OrderRequest.CANCEL, Retcode.INVALID_ORDER, why)
            return
        self._send([_Asked(request.order_no, OrderRequest.CANCEL, request, remove_request(known.ticket))])

    def _ready(self) -> None:
        """Raises WrongAccount, NoAnswer: then the request isn't begun and waits."""
        self._venue.check()
        self._venue.check_connection()

    def _send(self, asked: Sequence[_Asked]) -> None:
        """Writes the intentions, sends each once, writes its answer."""
        for one, answer in self._sent(asked):
            assert one.what is not None
            self._answer(one.order_no, one.kind, one.what, answer)

    def _sent(self, asked: Sequence[_Asked]) -> Iterator[tuple[_Asked, Answer]]:
        """Those that were sent, with their answers. Before the first is, the intentions of all are on the log; or, if
        the log takes longer than LOG_PATIENCE_S, those of what reduces are in the spool, and entries wait.

        Raises WrongAccount, NoAnswer: another account is open by now, or that took its time and nothing may be sent.
        """
        began_us, checked_s = self._clock.now_us(), time.monotonic()
        for one in asked:
            self._write_sending(one.order_no, one.kind)
        left = [one for one in asked if one.reduces]
        logged = self._chain.confirm(LOG_PATIENCE_S if left else None)
        if logged:
            left = [*asked]
            self._log.end("the broker takes executions again")
        else:
            for one in left:
                self._keep(one.order_no, one.kind, began_us)
            left += [one for one in asked if not one.reduces]
        while left:
            if not logged and not left[0].reduces:
                logged = self._chain.confirm()
            late = time.monotonic() - checked_s >= CHECKED_S
            self._check_again(left, late)
            checked_s = time.monotonic() if late else checked_s
            one = left.pop(0)
            # The log, or those before it, took their time.
            if not (isinstance(one.what, Submitted) and self._is_over(one.what)):
                yield one, self._venue.send(one.request)
            self._beat()

    def _check_again(self, left: Sequence[_Asked], late: bool) -> None:
        """Refuses what is left unsent if nothing may be sent any more. Raises WrongAccount, NoAnswer."""
        try:
            self._venue.check()
            if late:
                self._venue.check_connection()
        except (WrongAccount, NoAnswer) as error:
            for one in left:
                self._refuse(one.order_no, one.kind, Retcode.REJECT, f"not sent: {error}")
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
                self._tell_refused(answer, asked.listing)
        else:
            self._end_refused(asked)
            self._taken(order_no, kind, asked, answer)

    def _tell_refused(self, answer: Refused, listing: str) -> None:
        retcode, of_account = answer.retcode, answer.retcode in OF_ACCOUNT
        self._refusals.add((retcode, "" if of_account else listing))
        self._alarms.tell(
            "refused", Severity.CRITICAL, str(retcode) if of_account else f"{retcode}/{listing}",
            f"the terminal refuses requests of account {self._config.account}{'' if of_account else f' in {listing}'} "
            f"with {retcode}: {answer.reason}",
        )  # fmt: skip

    def _end_refused(self, taken: Request) -> None:
        """What was taken ends the refusals that it would have met too: the account's, and those of its listing."""
        entry = isinstance(taken, Submitted) and taken.purpose is not OrderPurpose.EXIT
        for retcode, listing in sorted(self._refusals):
            if listing and (listing != taken.listing or (retcode in OF_ENTRIES and not entry)):
                continue
            self._refusals.discard((retcode, listing))
            self._alarms.over("refused", f"{retcode}/{listing}" if listing else str(retcode))

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

    # -- acts of the gateway, under the number 0 -----------------------------------------------------------------------

    def restore(self, held: Held, ticket: int, sl: float | None, tp: float | None) -> Answer:
        """Gives a position of ours levels that it has lost, None = none. Raises WrongAccount, NoAnswer."""
        try:
            request = levels_request(ticket, self._symbol(held.listing), sl, tp)
        except Impossible as impossible:
            return self._impossible(OrderRequest.MODIFY, impossible)
        return self._act(OrderRequest.MODIFY, request, held.position, sl, tp)

    def close(self, held: Held, position: TradePosition) -> Answer:
        """Closes a position of ours at the market, or as much of it as one order may. Raises WrongAccount, NoAnswer."""
        try:
            symbol = self._symbol(held.listing)
            request = close_request(position, symbol, self._venue.quote(symbol), STOPPED)
        except Impossible as impossible:
            return self._impossible(OrderRequest.PLACE, impossible)
        self._deals.expect(held.listing)
        return self._act(OrderRequest.PLACE, request, held.position)

    def _act(
        self,
        kind: OrderRequest,
        request: dict[str, Any],
        position: int,
        sl: float | None = None,
        tp: float | None = None,
    ) -> Answer:
        ((_, answer),) = self._sent([_Asked(0, kind, None, request)])
        if isinstance(answer, Taken):
            self._chain.write(
                Accepted(
                    **blank(self._config.account), order_no=0, request=kind, ticket=answer.ticket or position,
                    position=position, time_ms=self._clock.now_ms(), sl=sl, tp=tp,
                )
            )  # fmt: skip
        elif isinstance(answer, Refused):
            self._refuse(0, kind, answer.retcode, answer.reason)
        return answer

    def _impossible(self, kind: OrderRequest, impossible: Impossible) -> Answer:
        self._refuse(0, kind, impossible.retcode, impossible.why)
        return Refused(impossible.retcode, impossible.why)

    # -- what requests need --------------------------------------------------------------------------------------------

    def _request_of(self, order: Submitted) -> dict[str, Any]:
        """Raises Impossible, NoAnswer."""
        symbol = self._symbol(order.listing)
        quote = self._venue.quote(symbol) if order.type is OrderType.MARKET else (0.0, 0.0)
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

    def _is_over(self, order: Submitted) -> bool:
        """Whether it comes too late, which is written then: entries expire, and nothing else."""
        entry = order.purpose is not OrderPurpose.EXIT
        if not (entry and order.valid_until_us and self._clock.now_us() > order.valid_until_us):
            return False
        self._chain.write(
            Expired(
                **blank(self._config.account), order_no=order.order_no, ticket=0, remaining=order.volume,
                time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip
        return True

    def _refuse(self, order_no: int, kind: OrderRequest, retcode: int, why: str) -> None:
        self._chain.write(
            Rejected(
                **blank(self._config.account), order_no=order_no, request=kind, retcode=int(retcode), reason=why,
                time_ms=self._clock.now_ms(),
            )
        )  # fmt: skip

    def _write_sending(self, order_no: int, kind: OrderRequest) -> None:
        self._chain.write(Sending(**blank(self._config.account), order_no=order_no, request=kind))
