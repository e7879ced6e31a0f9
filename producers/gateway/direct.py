"""Flattening straight at the terminal, without the broker and the desk: what is left when nothing else answers.

It ends the gateway, takes the fence, removes our pending orders and closes our positions, each with its intention in
the spool first, with who asked for it and why; the gateway appends that to the log when both are back, and finds the
deals at the terminal. Ours is, without the log, what has an order number of the account: brokers rewrite comments.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from infra.errors import SettingsError
from infra.market_clock import service_clock
from infra.settings import Settings
from infra.stack.home import read_json
from producers.clocks import ServerClock
from producers.gateway.answers import Answer, Doubtful, Refused, Taken, may_come
from producers.gateway.codes import Retcode, TradeMode
from producers.gateway.fence import Fence
from producers.gateway.requests import (
    FLATTENED,
    MAX_ORDER_NO,
    Impossible,
    close_request,
    comment_of,
    number_in,
    remove_request,
)
from producers.gateway.service import fence_of, pin_file, spool_of
from producers.gateway.spool import Intention
from producers.gateway.venue import NoAnswer, Pin, Venue, WrongAccount, pin_of
from producers.mt5 import TradeOrder, TradePosition, connect
from schemas.configuration import ORDERS_EACH
from schemas.executions import OrderRequest

ATTEMPTS: Final = 5
"""Looks that find no less left, before a person has to."""
WAIT_S: Final = 1.0
"""Between two of them, where something was refused."""
AHEAD: Final = 1 << 17
"""So many numbers behind the newest that the gateway had at its start are the account's whatever the comment says.
Beyond them lie magics that other programs make of a date, as 20240131 among those of the first account."""


class Left(NamedTuple):
    """Tickets of what is open at the terminal after a flattening."""

    ours: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
    """What may be ours: magic and comment don't decide it."""
    others: tuple[int, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 once nothing is left that is or may be ours, else 1."""
        return 1 if self.ours or self.doubtful else 0


class Whose(Enum):
    """Whose something at the terminal is."""

    OURS = auto()
    DOUBTFUL = auto()
    OTHERS = auto()


class Numbers(NamedTuple):
    """Order numbers of the account."""

    known: range
    """Ours whatever the comment says: brokers rewrite it."""
    possible: range
    """Ours if the comment says so too."""

    @classmethod
    def kept_in(cls, pin: dict[str, Any] | None) -> Numbers:
        """As the gateway kept them beside the pin; one of an older release kept none: then the comment decides."""
        base, newest = (pin or {}).get("order_base"), (pin or {}).get("order_newest")
        if not (isinstance(base, int) and isinstance(newest, int)):
            return cls(range(0), range(1, MAX_ORDER_NO + 1))
        end = base + ORDERS_EACH
        return cls(range(base + 1, min(newest + AHEAD, end) + 1), range(base + 1, end + 1))

    def whose(self, thing: TradeOrder | TradePosition) -> Whose:
        """By its magic, or what the comment says of it."""
        number = number_in(thing.magic, thing.comment)
        marked = thing.comment == comment_of(number)
        if number in self.known or (marked and number in self.possible):
            return Whose.OURS
        return Whose.DOUBTFUL if number and (marked or number in self.possible) else Whose.OTHERS


def flatten(
    settings: Settings,
    account: str,
    *,
    who: str,
    why: str,
    everything: bool = False,
    say: Callable[[str], None] = print,
) -> Left:
    """Closes all positions and removes all pending orders of ours at the terminal; what is left there.

    `everything`: also what isn't ours. `who` asked for it and `why` comes onto the log when that is back. Needs neither
    Kafka nor the desk, which it doesn't halt. Each step is told by `say`. Raises SettingsError, NoAnswer, HomeUnusable;
    WrongAccount also once another account is open than the one that it began with.
    """
    if not settings.terminal.kind:
        raise SettingsError("no terminal is named: set terminal.kind, or close the positions in the terminal itself")
    if account != settings.trade.account:
        raise SettingsError(
            f"the account {account!r} isn't the one of this home (trade.account is {settings.trade.account!r})"
        )
    clock = service_clock(settings)
    venue = Venue(connect(settings), settings.terminal, ServerClock(settings.recorder.server_clock))
    kept = read_json(pin_file(settings, account))
    pin = _pinned(venue, kept, account)
    fence = Fence(fence_of(settings, pin), "direct flattening")
    spool, settle_s = spool_of(settings), settings.trade.settle_s
    numbers = Numbers.kept_in(kept)

    def whose(thing: TradeOrder | TradePosition) -> Whose:
        return Whose.OURS if everything else numbers.whose(thing)

    def keep(request: OrderRequest) -> None:
        spool.append(Intention(0, request, 0, clock.now_us(), who, why))

    ended = fence.take(now=True)
    try:
        with fence.beating():
            if ended:
                say("the gateway was ended; it is started again by its supervisor when this is done")
            _tell_others(venue, whose, say)
            left = _flatten(venue, whose, keep, settle_s, say)
            if ended and not left.ours:
                # What the gateway had on its way may have been dealt meanwhile.
                time.sleep(settle_s)
                left = _flatten(venue, whose, keep, settle_s, say)
    finally:
        fence.release()
    if left.ours:
        say(f"{len(left.ours)} of ours are left: close them in the terminal itself, or run this again")
    if left.doubtful:
        say(f"{len(left.doubtful)} may be ours: close them in the terminal itself, or all there is with --everything")
    if not left.exit_code:
        what = "nothing of ours" if left.others else "nothing"
        say(f"{what} is left open; the desk isn't halted: `tickledger halt` when the broker is back")
    return left


def _pinned(venue: Venue, before: dict[str, Any] | None, account: str) -> Pin:
    """The account that is open at the terminal, if it is the one that the gateway has traded."""
    pin = pin_of(venue.sign_in())
    if before is not None and pin._asdict() != {name: before.get(name) for name in pin._fields}:
        raise WrongAccount(
            f"the terminal has login {pin.login} at {pin.server} open, not {before.get('login')} at "
            f"{before.get('server')}, which {account} was traded on: log it in to that one first"
        )
    if pin.trade_mode == TradeMode.REAL:
        raise WrongAccount(f"login {pin.login} at {pin.server} is a real account: close its positions in the terminal")
    venue.keep(pin)
    return pin


def _flatten(
    venue: Venue,
    whose: Callable[[TradeOrder | TradePosition], Whose],
    keep: Callable[[OrderRequest], None],
    settle_s: float,
    say: Callable[[str], None],
) -> Left:
    """Goes over what is open until nothing of ours is; what is left. `keep` is called before each request. What may
    still be dealt has the settle time before it is looked at again."""
    attempts, least = 0, math.inf
    while attempts < ATTEMPTS:
        venue.check()
        orders = [order for order in venue.orders() if whose(order) is Whose.OURS]
        positions = [position for position in venue.positions() if whose(position) is Whose.OURS]
        if not orders and not positions:
            break
        # A position that is larger than an order may be is closed piece by piece.
        volume = sum(position.volume for position in positions)
        attempts = attempts + 1 if volume >= least else 1
        least = min(least, volume)
        removed: list[Answer] = []
        closed: list[Answer] = []
        for order in orders:
            keep(OrderRequest.CANCEL)
            removed.append(_send(venue, remove_request(order.ticket)))
            say(f"{_named(order)}: {_told(removed[-1], 'removed')}")
        for position in positions:
            keep(OrderRequest.PLACE)
            closed.append(_close(venue, position))
            say(f"{_named(position)}: {_told(closed[-1], 'closed')}")
        if any(isinstance(answer, Doubtful) for answer in removed) or any(may_come(answer) for answer in closed):
            time.sleep(settle_s)
        elif not all(isinstance(answer, Taken) for answer in removed + closed):
            time.sleep(WAIT_S)
    tickets: dict[Whose, list[int]] = {kind: [] for kind in Whose}
    for thing in _open(venue):
        tickets[whose(thing)].append(thing.ticket)
    return Left(*(tuple(tickets[kind]) for kind in (Whose.OURS, Whose.DOUBTFUL, Whose.OTHERS)))


def _open(venue: Venue) -> list[TradeOrder | TradePosition]:
    """Live orders and positions, whosever. Raises WrongAccount, NoAnswer."""
    found: list[TradeOrder | TradePosition] = [*venue.orders(), *venue.positions()]
    venue.check()
    return found


def _tell_others(
    venue: Venue, whose: Callable[[TradeOrder | TradePosition], Whose], say: Callable[[str], None]
) -> None:
    """Names what stays, and what it is marked with."""
    said = {Whose.DOUBTFUL: "may be ours", Whose.OTHERS: "not ours"}
    for thing in _open(venue):
        word = said.get(whose(thing))
        if word:
            say(f"{_named(thing)}: {word} (magic {thing.magic}, comment {thing.comment!r}), it stays")


def _named(thing: TradeOrder | TradePosition) -> str:
    if hasattr(thing, "volume"):
        return f"position {thing.ticket}, {thing.volume} lots in {thing.symbol}"
    return f"order {thing.ticket} in {thing.symbol}"


def _close(venue: Venue, position: TradePosition) -> Answer:
    """Closes a position at the market; one that nothing can be asked about is refused, and costs the others nothing."""
    try:
        symbol = venue.symbol(position.symbol)
        if symbol is None:
            return Refused(Retcode.INVALID, f"the terminal has no symbol {position.symbol} any more")
        request = close_request(position, symbol, venue.quote(symbol), FLATTENED)
    except Impossible as impossible:
        return Refused(impossible.retcode, impossible.why)
    except NoAnswer as error:
        return Refused(0, str(error))
    return _send(venue, request)


def _send(venue: Venue, request: dict[str, Any]) -> Answer:
    """Sends a request to the account that this began with. Raises WrongAccount."""
    try:
        venue.check()
    except NoAnswer as error:
        return Refused(0, str(error))
    return venue.send(request)


def _told(answer: Answer, done: str) -> str:
    if isinstance(answer, Taken):
        return done
    if isinstance(answer, Refused):
        return f"refused ({answer.retcode}): {answer.reason}"
    return f"{answer.reason}: it is looked at again"
