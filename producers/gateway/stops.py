"""Positions of ours that have lost their stop at the terminal.

They get it back, with their target unless the price has passed that one or is near it. Where the price has passed the
stop meanwhile, the server doesn't take it any more: then the position is closed at the market, as its stop would have.
Where neither is possible, people are told what to do.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from producers.gateway.alarms import Alarms
from producers.gateway.answers import Answer, Refused, Taken, may_come
from producers.gateway.book import Held
from producers.gateway.chain import Chain
from producers.gateway.codes import Retcode
from producers.gateway.sender import Sender
from producers.mt5 import TradePosition
from schemas.events import Severity, Side

RESTORE_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Waits between attempts to give a position its stop back."""
TOLD_AFTER: Final = 3
"""So many attempts that failed, before people are told that the position runs without it."""


class _Lost(NamedTuple):
    """What was tried for a position. `failed`: why the last attempt came to nothing, once that is to be told."""

    attempts: int = 0
    not_before_s: float = 0.0
    beyond: bool = False
    """Whether the price had passed the stop at the last attempt."""
    failed: str = ""


class Stops:
    """The lost stops of an account. Calls raise WrongAccount, NoAnswer."""

    def __init__(self, chain: Chain, sender: Sender, alarms: Alarms, settle_s: float) -> None:
        self._chain, self._sender, self._alarms, self._settle_s = chain, sender, alarms, settle_s
        self._lost: dict[int, _Lost] = {}
        self._closes_from_s = time.monotonic() + settle_s
        """What was on its way when the gateway began or the terminal came back may be a close, and dealt until then."""

    def see(self, held: Held, position: TradePosition) -> bool:
        """Whether a position of ours has the stop that it has to have; else something is done about it, when due."""
        sl, _ = self._chain.book.levels(held)
        if sl is None or position.sl:
            self._end(held.position)
            return True
        about, lost = str(held.position), self._lost.get(held.position, _Lost())
        if lost.failed:
            self._alarms.tell(
                "unprotected", Severity.CRITICAL, about,
                f"position {about} in {held.listing} runs without its stop {sl}: {lost.attempts} attempts to set it "
                f"again, or to close the position if the price has passed it, came to nothing, the last one: "
                f"{lost.failed}. It is tried on, at least every {RESTORE_S[-1]:g} s; close it in the terminal, or by "
                "`tickledger flatten`",
            )  # fmt: skip
        beyond = _is_beyond(position, held.side, sl)
        # What passes its stop between two attempts isn't kept waiting.
        if time.monotonic() < lost.not_before_s and (lost.beyond or not beyond):
            return False
        self._alarms.tell(
            "no_stop", Severity.CRITICAL, about,
            f"position {about} in {held.listing} has lost its stop {sl} at the terminal: it gets it back, or is closed "
            "if the price has passed it",
        )  # fmt: skip
        # To close it is another matter than to set its stop: its attempts count from the first.
        attempts = lost.attempts if lost.beyond or not beyond else 0
        not_before_s = time.monotonic() + RESTORE_S[min(attempts, len(RESTORE_S) - 1)]
        self._lost[held.position] = lost = _Lost(attempts + 1, not_before_s, beyond)
        self._lost[held.position] = self._repair(held, position, sl, lost)
        return False

    def restart(self) -> None:
        """The terminal is back: a close that was on its way has the settle time again to be seen."""
        self._closes_from_s = time.monotonic() + self._settle_s

    def forget(self) -> None:
        """Positions that are gone have lost nothing."""
        for number in [number for number in self._lost if number not in self._chain.book.positions]:
            self._end(number)

    def _repair(self, held: Held, position: TradePosition, sl: float, lost: _Lost) -> _Lost:
        """Sets the stop again, or closes what has passed it. That it failed is told only if the next look finds it so:
        the position may have been closed by somebody else just now."""
        answer = self._restore(held, position, sl)
        early = time.monotonic() < self._closes_from_s
        if early:
            lost = lost._replace(not_before_s=min(lost.not_before_s, self._closes_from_s))
        if isinstance(answer, Refused) and lost.beyond and not early:
            answer = self._sender.close(held, position)
            if isinstance(answer, Taken):
                # What is left of it is the next matter.
                lost = lost._replace(attempts=0)
                self._alarms.tell(
                    "stop_made_up", Severity.CRITICAL, str(held.position),
                    f"position {held.position} in {held.listing} was at {position.price_current:g}, beyond the stop "
                    f"{sl} that it has lost at the terminal: the gateway closes it at the market",
                )  # fmt: skip
            if may_come(answer):
                lost = lost._replace(not_before_s=max(lost.not_before_s, time.monotonic() + self._settle_s))
        elif lost.attempts < TOLD_AFTER:
            return lost
        if isinstance(answer, Taken):
            return lost
        code = f"({answer.retcode}) " if isinstance(answer, Refused) else ""
        return lost._replace(failed=f"{code}{answer.reason}")

    def _restore(self, held: Held, position: TradePosition, sl: float) -> Answer:
        """Sets both levels again, or the stop alone: where the price has passed the target, or is too near, both aren't
        taken."""
        _, tp = self._chain.book.levels(held)
        answer = self._sender.restore(held, position.ticket, sl, tp)
        wrong = isinstance(answer, Refused) and answer.retcode == Retcode.INVALID_STOPS
        if not wrong or tp is None or _is_beyond(position, held.side, sl):
            return answer
        answer = self._sender.restore(held, position.ticket, sl, None)
        if isinstance(answer, Taken):
            about = held.position
            self._alarms.tell(
                "levels_differ", Severity.WARNING, f"{about}/{sl:g}/0",
                f"position {about} in {held.listing} has its stop {sl} back and not its target {tp}, which the price "
                f"({position.price_current:g}) has passed or is too near to: the desk closes it there",
            )  # fmt: skip
        return answer

    def _end(self, number: int) -> None:
        if self._lost.pop(number, None) is not None:
            self._alarms.over("unprotected", str(number))
            self._alarms.over("no_stop", str(number))


def _is_beyond(position: TradePosition, side: Side, sl: float) -> bool:
    """Whether the price at which a position would be closed now is at its stop or has passed it; 0 = not known."""
    price = position.price_current
    return price > 0 and (price <= sl if side is Side.LONG else price >= sl)
