"""Flattening straight at the terminal, without the broker and the desk: what is left when nothing else answers.

It ends the gateway, takes the fence, removes our pending orders and closes our positions, each with its intention in
the spool first; the gateway appends that to the log when both are back, and finds the deals at the terminal. Ours is,
without the log, what has both our magic and our comment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from infra.clock import WaitingClock
from infra.errors import SettingsError
from infra.market_clock import service_clock
from infra.settings import Settings
from infra.stack.home import read_json
from producers.clocks import ServerClock
from producers.gateway.answers import Answer, Doubtful, Refused, Taken
from producers.gateway.codes import Action, Execution, Kind, Retcode, Traded, TradeMode
from producers.gateway.fence import Fence
from producers.gateway.requests import (
    DEVIATION_POINTS,
    FLATTENED,
    Impossible,
    comment_of,
    market_filling,
    remove_request,
)
from producers.gateway.service import fence_of, pin_file, spool_of
from producers.gateway.spool import Intention, Spool
from producers.gateway.venue import NoAnswer, Pin, Venue, WrongAccount, pin_of
from producers.mt5 import TradeOrder, TradePosition, connect
from schemas.executions import OrderRequest

ATTEMPTS: Final = 5
"""Looks at what is left, before a person has to."""
WAIT_S: Final = 1.0
"""Between two of them, where something was refused."""


def flatten(settings: Settings, account: str, *, everything: bool = False, say: Callable[[str], None] = print) -> int:
    """Closes all positions and removes all pending orders of ours at the terminal; 0 once none is left, else 1.

    `everything`: also what isn't ours. Needs neither Kafka nor the desk, which it doesn't halt. Each step is told by
    `say`. Raises SettingsError, NoAnswer, WrongAccount, HomeUnusable.
    """
    if not settings.terminal.kind:
        raise SettingsError("no terminal is named: set terminal.kind, or close the positions in the terminal itself")
    if account != settings.trade.account:
        raise SettingsError(
            f"the account {account!r} isn't the one of this home (trade.account is {settings.trade.account!r})"
        )
    clock = service_clock(settings)
    venue = Venue(connect(settings), settings.terminal, ServerClock(settings.recorder.server_clock))
    pin = _pinned(venue, settings, account)
    fence = Fence(fence_of(settings, pin), "direct flattening")
    spool, settle_s = spool_of(settings), settings.trade.settle_s
    ended = fence.take(now=True)
    try:
        with fence.beating():
            if ended:
                say("the gateway was ended; it is started again by its supervisor when this is done")
            if not everything:
                _tell_others(venue, say)
            left = _flatten(venue, spool, clock, settle_s, say, everything=everything)
            if ended and not left:
                # What the gateway had on its way may have been dealt meanwhile.
                time.sleep(settle_s)
                left = _flatten(venue, spool, clock, settle_s, say, everything=everything)
    finally:
        fence.release()
    if left:
        say(f"{left} are left: close them in the terminal itself, or run this again")
        return 1
    say("nothing is left open; the desk isn't halted: `tickledger halt` when the broker is back")
    return 0


def _pinned(venue: Venue, settings: Settings, account: str) -> Pin:
    """The account that is open at the terminal, if it is the one that the gateway has traded."""
    pin = pin_of(venue.sign_in())
    before = read_json(pin_file(settings, account))
    if before is not None and before != pin._asdict():
        raise WrongAccount(
            f"the terminal has login {pin.login} at {pin.server} open, not {before.get('login')} at "
            f"{before.get('server')}, which {account} was traded on: log it in to that one first"
        )
    if pin.trade_mode == TradeMode.REAL:
        raise WrongAccount(f"login {pin.login} at {pin.server} is a real account: close its positions in the terminal")
    return pin


def _flatten(
    venue: Venue,
    spool: Spool,
    clock: WaitingClock,
    settle_s: float,
    say: Callable[[str], None],
    *,
    everything: bool,
) -> int:
    """Goes over what is open until nothing is; how many are left. What had no answer has the settle time before it is
    looked at again."""
    for _ in range(ATTEMPTS):
        orders, positions = _open(venue, everything)
        if not orders and not positions:
            return 0
        answers = []
        for order in orders:
            spool.append(Intention(0, OrderRequest.CANCEL, 0, clock.now_us()))
            answers.append(venue.send(remove_request(order.ticket)))
            say(f"order {order.ticket} in {order.symbol}: {_told(answers[-1], 'removed')}")
        for position in positions:
            spool.append(Intention(0, OrderRequest.PLACE, 0, clock.now_us()))
            answers.append(_close(venue, position))
            what = f"position {position.ticket}, {position.volume} lots in {position.symbol}"
            say(f"{what}: {_told(answers[-1], 'closed')}")
        if any(isinstance(answer, Doubtful) for answer in answers):
            time.sleep(settle_s)
        elif not all(isinstance(answer, Taken) for answer in answers):
            time.sleep(WAIT_S)
    orders, positions = _open(venue, everything)
    return len(orders) + len(positions)


def _open(venue: Venue, everything: bool) -> tuple[list[TradeOrder], list[TradePosition]]:
    """Live orders and positions that are to go."""
    orders = [order for order in venue.orders() if everything or _is_ours(order)]
    return orders, [position for position in venue.positions() if everything or _is_ours(position)]


def _is_ours(thing: TradeOrder | TradePosition) -> bool:
    return thing.magic > 0 and thing.comment == comment_of(thing.magic)


def _tell_others(venue: Venue, say: Callable[[str], None]) -> None:
    for position in venue.positions():
        if not _is_ours(position):
            say(
                f"position {position.ticket}, {position.volume} lots in {position.symbol}: not ours (magic "
                f"{position.magic}, comment {position.comment!r}), it stays"
            )


def _close(venue: Venue, position: TradePosition) -> Answer:
    """Closes a position at the market; one that nothing can be asked about is refused, and costs the others nothing."""
    try:
        request = _closing(venue, position)
    except Impossible as impossible:
        return Refused(impossible.retcode, impossible.why)
    except NoAnswer as error:
        return Refused(0, str(error))
    return venue.send(request)


def _closing(venue: Venue, position: TradePosition) -> dict[str, Any]:
    """The request, which names the position, so that a second one can't reverse it. Raises Impossible, NoAnswer."""
    symbol = venue.symbol(position.symbol)
    if symbol is None:
        raise Impossible(Retcode.INVALID, f"the terminal has no symbol {position.symbol} any more")
    kind = Kind.SELL if position.type == Traded.BUY else Kind.BUY
    request: dict[str, Any] = {
        "action": int(Action.DEAL),
        "symbol": position.symbol,
        "volume": float(position.volume),
        "type": int(kind),
        "type_filling": int(market_filling(symbol)),
        "position": position.ticket,
        "magic": 0,
        "comment": FLATTENED,
    }
    if symbol.trade_exemode in (Execution.REQUEST, Execution.INSTANT):
        request |= {"price": venue.quote(symbol.name)[kind is Kind.BUY], "deviation": DEVIATION_POINTS}
    return request


def _told(answer: Answer, done: str) -> str:
    if isinstance(answer, Taken):
        return done
    if isinstance(answer, Refused):
        return f"refused ({answer.retcode}): {answer.reason}"
    return f"{answer.reason}: it is looked at again"
