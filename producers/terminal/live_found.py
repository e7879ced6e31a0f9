"""Finding a real terminal to trade after on paper: whose it is, which symbols it has, what its server's clock is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from infra.clock import Clock, Stopwatch
from infra.errors import Refused
from producers.clocks import ServerClock
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from producers.mt5 import IPC_FAILURES, Mt5Quotes, SymbolInfo, TerminalError, failure, sign_in
from producers.recorder.offset import ServerOffset
from producers.recorder.pinned import Source, source_of
from producers.recorder.specs import Unusable, spec_of_symbol
from producers.terminal.live_quotes import LiveTerminal
from schemas.identity import InvalidName, check_symbol

SHOWN_S: Final = 6.0
"""How long a tick is waited for that shows the server's clock."""
LOADING_S: Final = 2.0
"""How long specifications are waited for: a symbol that was just selected has none for a moment."""
_SHOW_POLL_S: Final = 0.05
_LOAD_POLL_S: Final = 0.1
_NOBODYS_CLOCK: Final = "-12"
"""Held against it, ticks always show another one."""


class Found(NamedTuple):
    """A real terminal that can be traded after."""

    quotes: Mt5Quotes
    source: Source
    symbols: Mapping[str, SymbolInfo]
    missing: Mapping[str, str] = MappingProxyType({})
    """Why a symbol that is wanted can't be had now, by name. It is among `symbols` too if it was known before."""


def find(terminal: LiveTerminal, wanted: Sequence[str], known: Mapping[str, SymbolInfo] | None = None) -> Found:
    """The terminal, signed in, with the symbols that are wanted, or all in its market watch; they are selected.

    `known`: symbols as they were before, for those that can't be had now. Raises MissingPart, TerminalError (it can't
    be reached, or has lost its server), Refused (no symbol is left).
    """
    quotes = terminal.dial()
    try:
        source = source_of(sign_in(quotes, terminal.sign_in))
        info = quotes.terminal_info()
        if info is None or not info.connected:
            raise TerminalError(
                f"the real terminal has no line to {source.server}: look at its connection", IPC_FAILURES
            )
        names = list(dict.fromkeys(wanted))
        if not names:
            names = [symbol.name for symbol in quotes.symbols_get() or () if symbol.select]
        if not names:
            raise Refused("the real terminal has no symbol in its market watch: open one there, or name it (--symbol)")
        had, missing = _had(quotes, names)
        had = {**{name: known[name] for name in missing if known and name in known}, **had}
        if not had:
            raise Refused("; ".join(missing.values()))
    except BaseException:
        quotes.shutdown()
        raise
    return Found(quotes, source, {name: had[name] for name in names if name in had}, missing)


def _had(quotes: Mt5Quotes, names: Sequence[str]) -> tuple[dict[str, SymbolInfo], dict[str, str]]:
    """The symbols that can be reckoned with, and why the others can't. Raises TerminalError if the line is down."""
    had: dict[str, SymbolInfo] = {}
    missing: dict[str, str] = {}
    waited = Stopwatch()
    while True:
        loading = False
        for name in names:
            if name in had:
                continue
            try:
                had[name] = _selected(quotes, name)
                missing.pop(name, None)
            except Unusable as error:
                missing[name], loading = str(error), True
            except (Refused, InvalidName) as error:
                missing[name] = str(error)
        if not loading or waited.seconds() >= LOADING_S:
            return had, missing
        time.sleep(_LOAD_POLL_S)


def _selected(quotes: Mt5Quotes, name: str) -> SymbolInfo:
    """Raises Unusable for a symbol that nobody can reckon with (yet), Refused, InvalidName, TerminalError."""
    check_symbol(name)
    info = quotes.symbol_info(name) if quotes.symbol_select(name, True) else None
    if info is None:
        problem = failure(quotes, "it says")
        if problem.code <= IPC_FAILURES:
            raise problem
        raise Refused(
            f"the real terminal has no symbol {name!r} ({problem}): write it as its market watch does, capitals and "
            "suffix too"
        )
    spec_of_symbol(name, info, None, DEFAULT_SERVER_CLOCK)
    return info


def server_clock_of(found: Found, clock: Clock, patience_s: float = SHOWN_S) -> str | None:
    """The server's clock, as recorder.server_clock takes it, by the first tick that comes; None if none does."""
    seen: dict[str, int] = {}
    waited = Stopwatch()
    while waited.seconds() < patience_s:
        for symbol in found.symbols:
            tick = found.quotes.symbol_info_tick(symbol)
            if tick is None:
                continue
            if tick.time_msc > seen.setdefault(symbol, tick.time_msc):
                shown_s = _shown_s(symbol, tick.time_msc, clock.now_us())
                if shown_s is not None:
                    return _clock_name(shown_s, clock.now_us() // 1000)
        time.sleep(_SHOW_POLL_S)
    return None


def _shown_s(symbol: str, time_msc: int, now_us: int) -> int | None:
    offset = ServerOffset(ServerClock(_NOBODYS_CLOCK), 0, untold=True)
    offset.show(symbol, time_msc, now_us, 0)
    settled = offset.settle(1, now_us, 0)
    return None if settled is None else settled.shown_s


def _clock_name(offset_s: int, now_ms: int) -> str:
    """New York + 7 h, or Europe's, if either shows that now; else hours that never change."""
    for name in (DEFAULT_SERVER_CLOCK, "eu"):
        if int(ServerClock(name).offsets_s(np.array([now_ms], np.int64))[0]) == offset_s:
            return name
    hours, minutes = divmod(abs(offset_s) // 60, 60)
    return f"{'-' if offset_s < 0 else '+'}{hours}:{minutes:02}"


def paper_server(source: Source) -> str:
    """What the trade server for paper is called, so that nobody takes its feed or account for the real one's."""
    return f"{source.server}-Paper"
