"""The paper home: its settings, and whether the real terminal whose ticks it trades on can be reached."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from api.settings_file import FILE, write_settings
from api.trading import home as trading
from api.trading.home import Sections, TradedHome, check_new, check_same, first_look, reached, told, updated
from infra.errors import Refused
from infra.settings import Settings, load_settings
from infra.stack.home import read_json
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from producers.recorder.pinned import feed_name
from producers.specs import account_config, load_spec
from producers.terminal.live_found import find, paper_server
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_symbols import SYMBOLS_FILE, known_symbols
from schemas.configuration import AccountConfig
from schemas.identity import parse_listing

ACCOUNT: Final = "paper"
_FIRST_LINE: Final = (
    "# Written by `tickledger paper`: live ticks of a real terminal, which is asked for quotes only, and an account "
    "on paper."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(trading.Wanted):
    """The same, with the account on paper."""

    balance: float | None = None
    spec: str | None = None


def paper_home(home: Path | None, config: Path | None, wanted: Wanted, usual_terminal: str) -> TradedHome:
    """The home; one without settings gets its file once the real terminal has been found.

    Raises MissingPart, TerminalError where no real terminal is reached; Refused for a home that isn't one for paper or
    has other settings than are wanted, and at the first start for a symbol that the real terminal hasn't, or that
    can't be reckoned with, if it was named: of its market watch such symbols are left out; SettingsError.
    """
    before = load_settings(home, config)
    if config is not None or (before.home / FILE).exists():
        return _known(before, wanted)
    check_new(before, "on paper")
    settings = updated(before, _asked(wanted, usual_terminal))
    found = find(LiveTerminal.of(settings), settings.paper.symbols)
    clock = first_look(found, settings.paper.symbols)
    paper = settings.paper
    sections: dict[str, dict[str, Any]] = {
        "paper": {
            **reached("terminal", paper.terminal, paper.host, paper.port),
            "symbols": list(found.symbols),
        },
        "terminal": {"kind": "simulated", "spec": settings.terminal.spec, "balance": settings.terminal.balance},
        "recorder": {
            "feed": feed_name(paper_server(found.source)),
            "symbols": list(found.symbols),
            "server_clock": clock or DEFAULT_SERVER_CLOCK,
        },
        "trade": {"account": settings.trade.account},
    }
    write_settings(before.home, _FIRST_LINE, sections)
    written = load_settings(home, config)
    return TradedHome(
        written, LiveTerminal.of(written), found.source, tuple(found.symbols), clock is not None,
        tuple(found.missing.values()),
    )  # fmt: skip


def account_on_paper(home: TradedHome) -> AccountConfig:
    """The account by the home's spec and balance. Raises BadFile."""
    settings = home.settings
    spec = load_spec(settings.terminal.spec, parse_listing(home.listings[0]).symbol, ())
    config = account_config(spec, settings.trade.account, home.listings)
    return dataclasses.replace(config, balance=Decimal(repr(settings.terminal.balance)))


def _known(settings: Settings, wanted: Wanted) -> TradedHome:
    if not settings.paper.terminal or not settings.trade.account or not settings.recorder.feed:
        raise Refused(
            f"the settings of {settings.home} ({settings.file}) name no paper.terminal with a recorder.feed and a "
            "trade.account: choose another home to trade on paper in (--home DIR)"
        )
    check_same(settings, _asked(wanted))
    known = known_symbols(read_json(settings.home / "terminal" / SYMBOLS_FILE))
    terminal = LiveTerminal.of(settings)
    found = find(terminal, settings.paper.symbols, known)
    found.quotes.shutdown()
    # What can't be had now is the home's all the same: the terminal says so, and goes on with the others.
    return TradedHome(settings, terminal, found.source, settings.paper.symbols or tuple(found.symbols), True)


def _asked(wanted: Wanted, usual_terminal: str | None = None) -> Sections:
    """What is wanted, as settings; with `usual_terminal`, also what a home has that isn't told."""
    new = usual_terminal is not None
    return told(
        {
            "paper": {
                "terminal": wanted.terminal or usual_terminal,
                "host": wanted.host,
                "port": wanted.port,
                "symbols": tuple(wanted.symbols) or None,
            },
            "terminal": {"kind": "simulated" if new else None, "spec": wanted.spec, "balance": wanted.balance},
            "trade": {"account": wanted.account or (ACCOUNT if new else None)},
        }
    )
