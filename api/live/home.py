"""The live home: its settings, and whether its terminal is there with an account that may be traded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from api.live.account import NotTradable, account_config, check_tradable, pin
from api.settings_file import FILE, write_settings
from api.trading.home import (
    Sections,
    TradedHome,
    Wanted,
    check_new,
    check_same,
    first_look,
    reached,
    told,
    updated,
)
from infra.errors import Refused
from infra.settings import Settings, load_settings
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from producers.mt5 import IPC_FAILURES, AccountInfo, Mt5Quotes, TerminalError, connect, failure, sign_in
from producers.recorder.pinned import feed_name, source_of
from producers.terminal.live_found import Found, find
from producers.terminal.live_quotes import LiveTerminal, QuotesOnly
from schemas.configuration import AccountConfig

ACCOUNT: Final = "live"
_FIRST_LINE: Final = "# Written by `tickledger live`: a terminal, and its demo account that is traded."


class OwnTerminal(LiveTerminal):
    """The terminal that the section `terminal` names: this command only looks at it, the gateway sends to it."""

    __slots__ = ()

    def dial(self) -> Mt5Quotes:
        """Its quotes; nothing is asked of it yet. Raises MissingPart, TerminalError."""
        return QuotesOnly(connect(self.settings))


class LiveHome(NamedTuple):
    """A home that trades a terminal's own account."""

    home: TradedHome
    config: AccountConfig
    """The account, as the terminal tells it now."""


def live_home(home: Path | None, config: Path | None, wanted: Wanted, usual_terminal: str) -> LiveHome:
    """The home; one without settings gets its file once terminal and account have been found good.

    Raises MissingPart, TerminalError where no terminal is reached; NotTradable for an account that isn't traded, lets
    no program trade, or isn't the one that the home has traded; Refused for a home that isn't one of a terminal or has
    other settings than are wanted, and for a named symbol that can't be had; SettingsError.
    """
    before = load_settings(home, config)
    if config is not None or (before.home / FILE).exists():
        return _known(before, wanted)
    check_new(before, "at a terminal")
    settings = updated(before, _asked(wanted, usual_terminal))
    terminal = OwnTerminal(settings)
    account = _open_account(terminal)
    found = _found(terminal, account)
    clock = first_look(found, settings.recorder.symbols)
    reach = settings.terminal
    sections: dict[str, dict[str, Any]] = {
        "terminal": reached("kind", reach.kind, reach.host, reach.port),
        "recorder": {
            "feed": feed_name(found.source.server),
            "symbols": list(found.symbols),
            "server_clock": clock or DEFAULT_SERVER_CLOCK,
        },
        "trade": {"account": settings.trade.account},
    }
    write_settings(before.home, _FIRST_LINE, sections)
    written = load_settings(home, config)
    left_out = tuple(found.missing.values())
    return _pinned(written, account, found, tuple(found.symbols), left_out, shown=clock is not None)


def _known(settings: Settings, wanted: Wanted) -> LiveHome:
    if settings.terminal.kind not in ("official", "rpyc") or not settings.trade.account:
        raise Refused(
            f"the settings of {settings.home} ({settings.file}) name no broker's terminal (terminal.kind = official or "
            "rpyc) with a trade.account: name them there, or choose another home to trade live in (--home DIR)"
        )
    check_same(settings, _asked(wanted))
    terminal = OwnTerminal(settings)
    account = _open_account(terminal)
    found = _found(terminal, account)
    found.quotes.shutdown()
    # What can't be had now is the home's all the same: the recorder says so, and looks at it again.
    return _pinned(settings, account, found, settings.recorder.symbols or tuple(found.symbols), (), shown=True)


def _pinned(
    settings: Settings,
    account: AccountInfo,
    found: Found,
    symbols: tuple[str, ...],
    left_out: tuple[str, ...],
    *,
    shown: bool,
) -> LiveHome:
    pin(settings, account)
    home = TradedHome(settings, OwnTerminal(settings), found.source, symbols, shown, left_out)
    clock = settings.recorder.server_clock
    return LiveHome(home, account_config(account, settings.trade.account, home.listings, clock))


def _open_account(terminal: OwnTerminal) -> AccountInfo:
    """The account that the terminal has open, before any symbol is selected. Raises NotTradable, TerminalError."""
    quotes = terminal.dial()
    try:
        account, info = sign_in(quotes, terminal.sign_in), quotes.terminal_info()
        if info is None:
            raise failure(quotes, "the terminal doesn't tell of itself")
        if not info.connected:
            # Without its server it knows no rights of the account.
            raise TerminalError(
                f"the terminal has no line to {account.server}: look at its connection", IPC_FAILURES
            )  # fmt: skip
        check_tradable(account, info)
    finally:
        quotes.shutdown()
    return account


def _found(terminal: OwnTerminal, account: AccountInfo) -> Found:
    found = find(terminal, terminal.settings.recorder.symbols)
    if found.source != source_of(account):
        found.quotes.shutdown()
        raise NotTradable(f"the terminal has just changed from {source_of(account)} to {found.source}: start again")
    return found


def _asked(wanted: Wanted, usual_terminal: str | None = None) -> Sections:
    """What is wanted, as settings; with `usual_terminal`, also what a home has that isn't told."""
    return told(
        {
            "terminal": {"kind": wanted.terminal or usual_terminal, "host": wanted.host, "port": wanted.port},
            "recorder": {"symbols": tuple(wanted.symbols) or None},
            "trade": {"account": wanted.account or (ACCOUNT if usual_terminal is not None else None)},
        }
    )
