"""What the terminal's answer to `order_send` means: taken, refused, or nobody knows."""

from __future__ import annotations

from typing import Final, NamedTuple

from producers.gateway.codes import API_DISABLED, DOUBTFUL, HALTING, INVALID_PARAMS, TAKEN, Retcode
from producers.mt5 import OrderSendResult


class Taken(NamedTuple):
    """The server took it: numbers of the order and the deal (0 = none yet), bid and ask then (0 = not told)."""

    retcode: int
    ticket: int
    deal: int
    bid: float
    ask: float


class Refused(NamedTuple):
    """It was not taken, for sure. `lasting`: it won't be until a person changes something."""

    retcode: int
    reason: str
    lasting: bool = False


class Doubtful(NamedTuple):
    """It may have been executed or not: it is never sent again, its traces are looked for."""

    reason: str


Answer = Taken | Refused | Doubtful


def may_come(answer: Answer) -> bool:
    """Whether a market order may still be dealt: there is no answer, or one that names no deal (10008)."""
    return isinstance(answer, Doubtful) or (isinstance(answer, Taken) and not answer.deal)


def answer_of(result: OrderSendResult | None, error: tuple[int, str], *, numbered: bool) -> Answer:
    """The meaning of `order_send`'s result, with `last_error()` behind a result of None.

    `numbered`: it asked for an order, so an answer that takes it without an order's number leaves it in doubt.
    """
    if result is None:
        code, text = error
        if code == API_DISABLED:
            return Refused(
                Retcode.CLIENT_DISABLES_AT,
                f"{text} ({code}): allow algorithmic trading by the external Python API in the terminal's options",
                lasting=True,
            )
        if code == INVALID_PARAMS:
            return Refused(Retcode.INVALID, f"the terminal doesn't take the request: {text} ({code})")
        return Doubtful(f"no answer: {text} ({code})")
    said = result.comment or _WORDS.get(result.retcode, "no reason told")
    if result.retcode in TAKEN:
        if numbered and not result.order:
            return Doubtful(f"taken with {result.retcode}, but no number of the order came back")
        return Taken(result.retcode, result.order, result.deal, result.bid, result.ask)
    if result.retcode in DOUBTFUL:
        return Doubtful(f"{said} ({result.retcode})")
    way_out = _WAYS_OUT.get(result.retcode)
    return Refused(result.retcode, f"{said}: {way_out}" if way_out else said, result.retcode in HALTING)


_WORDS: Final[dict[int, str]] = {
    Retcode.REQUOTE: "the price has changed (requote)",
    Retcode.REJECT: "the broker rejected it",
    Retcode.INVALID_STOPS: "stop or target is on the wrong side of the price, or too near to it",
    Retcode.MARKET_CLOSED: "the market is closed",
    Retcode.PRICE_OFF: "there is no price",
    Retcode.FROZEN: "the price is within the freeze level",
}
"""What the commonest codes say, where the server doesn't say it itself."""

_WAYS_OUT: Final[dict[int, str]] = {
    Retcode.TRADE_DISABLED: "log the terminal in with the trading password, not the investor's; if it is, ask the "
    "broker why it has disabled trading on this account or symbol",
    Retcode.SERVER_DISABLES_AT: "ask the broker to allow trading by programs on this account",
    Retcode.CLIENT_DISABLES_AT: "switch Algo Trading on in the terminal",
}
