"""How a call to a terminal fails: what MetaTrader5's `last_error` says of it."""

from __future__ import annotations

from producers.terminal import constants as mt5


class TerminalFailure(Exception):
    """A call that the terminal, or the way to it, did not answer: a code and a text as `last_error` gives them.

    No TickledgerError: it never reaches a user; the client module turns it into None or False and keeps the pair.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


def no_connection() -> TerminalFailure:
    """Before `initialize`, after `shutdown`."""
    return TerminalFailure(mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")


def call_failed() -> TerminalFailure:
    """The terminal can't do it, and says no more."""
    return TerminalFailure(mt5.RES_E_FAIL, "Terminal: Call failed")


def invalid_params() -> TerminalFailure:
    """The terminal can't make sense of the values."""
    return TerminalFailure(mt5.RES_E_INVALID_PARAMS, "Terminal: Invalid params")


def not_found() -> TerminalFailure:
    """What was asked for isn't there."""
    return TerminalFailure(mt5.RES_E_NOT_FOUND, "Terminal: Not found")


def not_authorized() -> TerminalFailure:
    """No such login at this server, or another password."""
    return TerminalFailure(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")


def no_api_trading() -> TerminalFailure:
    """The terminal's option against trading by Python is set."""
    return TerminalFailure(mt5.RES_E_AUTO_TRADING_DISABLED, "Auto-Trading using Python API disabled in Terminal")
