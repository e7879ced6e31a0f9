"""A simulated terminal from its settings: which ticks, which symbols, which account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from infra.clock import Clock
from infra.errors import Refused
from infra.market_clock import MarketClockWriter
from infra.marks import Mark
from infra.settings import RecorderSettings, TerminalSettings
from producers.clocks import ServerClock
from producers.formats.data import ListingData, expand, open_data
from producers.formats.names import hint_of
from producers.listing_spec import DEFAULT_SERVER_CLOCK, digits_of
from producers.mt5 import SymbolInfo
from producers.recorder.pinned import detail_of
from producers.sample import SAMPLE_DAY
from producers.specs import LabSpec, for_digits, load_spec
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.faults import Fault, Faults, read_faults, refuse_unshapeable
from producers.terminal.live_found import Found, paper_server
from producers.terminal.live_market import LiveMarket, LivePace
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.live_source import LiveSource
from producers.terminal.live_symbols import live_symbol
from producers.terminal.market import Market, Source, bounds_us
from producers.terminal.pace import Pace
from producers.terminal.server import TradeServer
from producers.terminal.store import Kept, Store
from producers.terminal.symbols import SymbolDefinition, symbol_of
from producers.terminal.synthetic import DIGITS, PREFIX, RandomWalks, load_of
from producers.terminal.terminal import Terminal
from producers.terminal.ticks import NONE, TickHistory, Ticks, joined
from schemas.ticks import TickBlock

START_LEAD_US: Final = 2_000_000
"""How long before its first tick a market starts."""


class Played(NamedTuple):
    """What a market plays."""

    ticks: Mapping[str, Ticks]
    """By symbol; of a source, its first ones."""
    digits: Mapping[str, int]
    """Of each symbol's prices."""
    server_clock: str
    told: Mapping[str, Any]
    """Which data it is, for the state that is kept; JSON."""
    source: Source | None = None
    end_us: int = 0
    """Of a source: when its last tick happens."""
    live: Live | None = None
    """Where live ticks come from; there are none before."""


class Live(NamedTuple):
    """Live ticks of a real terminal."""

    source: LiveSource
    symbols: Mapping[str, SymbolDefinition]
    found: Mapping[str, SymbolInfo]
    """What the real terminal says of them, or said when it had them last."""
    account: TradeAccount
    machine: Clock


def played(settings: TerminalSettings, cache: Path | None) -> Played:
    """The ticks that settings name. Raises BadFile, Refused, SettingsError."""
    if len(settings.data) == 1 and settings.data[0].startswith(PREFIX):
        load = load_of(settings.data[0])
        walks = RandomWalks(load, settings.seed)
        digits = dict.fromkeys(load.names, DIGITS)
        told = {"data": settings.data[0], "seed": settings.seed}
        return Played(walks.first(), digits, DEFAULT_SERVER_CLOCK, told, walks, load.end_us)
    if settings.data:
        groups: dict[str, list[Path]] = {}
        for path in expand(settings.data):
            groups.setdefault(settings.symbol or hint_of(path).symbol or "", []).append(path)
        data = [one for symbol, files in groups.items() for one in _opened(settings, symbol, files, cache)]
    else:
        sample = SAMPLE_DAY[0]
        data = open_data([sample.path], symbol=sample.listing.partition("/")[2], zone=UTC, cache=cache)
    told = {"data": {one.listing.symbol: [file.quotes.sha256 for file in one.files] for one in data}}
    return Played(
        {one.listing.symbol: _ticks(one) for one in data},
        {one.listing.symbol: one.digits for one in data},
        data[0].server_clock,
        told,
    )


def live(
    settings: TerminalSettings, terminal: LiveTerminal, found: Found, recorder: RecorderSettings, machine: Clock
) -> Played:
    """The live ticks of a real terminal that was found, of the symbols that it has or had."""
    specs = {name: load_spec(settings.spec, name, ()) for name in found.symbols}
    symbols = {name: live_symbol(info, specs[name], recorder.server_clock) for name, info in found.symbols.items()}
    account = replace(
        account_of(settings, next(iter(specs.values()))),
        name="Paper account",
        server=paper_server(found.source),
        company=found.source.company,
    )
    source = LiveSource(terminal, found.quotes, found.source, tuple(symbols), machine, recorder, found.missing)
    told = {"live": detail_of(found.source), "symbols": sorted({*symbols, *found.missing})}
    digits = {name: symbol.spec.digits for name, symbol in symbols.items()}
    clock = recorder.server_clock
    own = Live(source, symbols, found.symbols, account, machine)
    return Played(dict.fromkeys(symbols, NONE), digits, clock, told, live=own)


def of_ticks(ticks: Mapping[str, Ticks], server_clock: str = DEFAULT_SERVER_CLOCK) -> Played:
    """Ticks that are at hand; for tests."""
    digits = {name: digits_of(own.bid, own.ask) for name, own in ticks.items()}
    return Played(ticks, digits, server_clock, {"data": sorted(ticks)})


def build(
    settings: TerminalSettings,
    data: Played,
    clock: MarketClockWriter,
    *,
    marks: Sequence[Mark] = (),
    standing: bool = False,
    state: Path | None = None,
    account: TradeAccount | None = None,
    faults: Sequence[Fault] | None = None,
) -> Terminal:
    """The terminal, where its home's state has it, or at the start of its data.

    `state`: the file that keeps it. `account`, `faults`: others than those of the settings. Raises BadFile, Refused,
    SettingsError, HomeUnusable.
    """
    server_clock = ServerClock(data.server_clock)
    specs = {name: load_spec(settings.spec, name, ()) for name in data.ticks}
    histories = {
        name: TickHistory(name, ticks, server_clock, other_bit=data.live is None) for name, ticks in data.ticks.items()
    }
    if account is None:
        account = account_of(settings, next(iter(specs.values()))) if data.live is None else data.live.account
    if faults is None:
        faults = read_faults(settings.faults) if settings.faults is not None else []
    if data.source is not None or data.live is not None:
        refuse_unshapeable(faults)
    told = {**data.told, "spec": settings.spec, "login": account.login, "balance": str(account.balance)}
    store = None if state is None else Store(state, told)
    kept = None if store is None else store.load()
    injected = Faults(faults, settings.seed)
    market = _market(data, specs, histories, server_clock, kept)
    if kept is None:
        for mark in marks:
            mark.clear()
    else:
        injected.restore(kept.terminal["faults"])
    injected.shape_all({name: (history, market.symbols[name].point) for name, history in histories.items()})
    server = TradeServer(market, account, replace(next(iter(specs.values())).model, seed=settings.seed))
    pace = _pace(settings, clock, market, kept, marks, standing, data.live)
    terminal = Terminal(
        market, server, pace, injected, latency_ms=settings.latency_ms, seed=settings.seed, store=store,
        speed_told=settings.speed,
    )  # fmt: skip
    if kept is not None:
        terminal.restore(kept.terminal, kept.server)
        _check_open(server, market)
    terminal.save()
    return terminal


def account_of(settings: TerminalSettings, spec: LabSpec) -> TradeAccount:
    """The account that settings ask for, on the terms of a preset."""
    terms, usual = spec.account, TradeAccount()
    netting = settings.position_mode == "netting"
    return TradeAccount(
        login=settings.login or usual.login,
        password=settings.password.get_secret_value() or usual.password,
        server=settings.server or usual.server,
        currency=terms["currency"],
        currency_digits=terms["currency_digits"],
        balance=Decimal(repr(settings.balance)),
        leverage=int(terms["leverage"]),
        margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING if netting else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
        margin_so_call=terms["margin_call_level"],
        margin_so_so=terms["stop_out_level"],
        rates=tuple(terms["rates"].items()),
    )


def _check_open(server: TradeServer, market: Market) -> None:
    """Raises Refused if something is open in a symbol of which nothing is known."""
    engine = server.engine
    names = {order.listing for order in engine.orders.values()}
    names |= {position.listing for position in engine.ledger.positions.values()}
    gone = sorted(names - market.symbols.keys())
    if gone:
        raise Refused(
            f"the account on paper has something open in {', '.join(gone)}, which the real terminal hasn't: see "
            "whether its account may see it, and open it in its market watch"
        )


def _market(
    data: Played,
    specs: Mapping[str, LabSpec],
    histories: Mapping[str, TickHistory],
    clock: ServerClock,
    kept: Kept | None,
) -> Market:
    if data.live is not None:
        data.live.source.begin(histories, {} if kept is None else kept.terminal["source"])
        return LiveMarket(data.live.symbols, histories, clock, data.live.machine.now_us(), data.live.source)
    symbols = {
        name: symbol_of(spec, data.digits[name], around_the_clock=_weekends(histories[name]))
        for name, spec in specs.items()
    }
    start_us, end_us = bounds_us(histories, START_LEAD_US)
    return Market(symbols, histories, clock, start_us, data.end_us or end_us, data.source)


def _pace(
    settings: TerminalSettings,
    clock: MarketClockWriter,
    market: Market,
    kept: Kept | None,
    marks: Sequence[Mark],
    standing: bool,
    live: Live | None,
) -> Pace:
    """Of a state that was kept: not before what anybody has read from its clock, at the pace that was set last."""
    now_us, speed = market.start_us, settings.speed
    if kept is not None:
        now_us = max(kept.terminal["now_us"], clock.left_at_us() or 0)
    if live is not None:
        return LivePace(clock, now_us, live.machine)
    if kept is not None and kept.terminal["speed_told"] == settings.speed:
        speed, standing = kept.terminal["pace"]["speed"], kept.terminal["pace"]["standing"]
    lead_us = int(settings.lead_s * 1e6)
    return Pace(
        clock, now_us, market.end_us, speed=speed, standing=standing, lead_us=lead_us, marks=marks,
        start_us=market.start_us,
    )  # fmt: skip


def _opened(settings: TerminalSettings, symbol: str, files: list[Path], cache: Path | None) -> list[ListingData]:
    """The files of one symbol; bars that tell no spread have that of the preset."""
    spec = load_spec(settings.spec, symbol or "EURUSD", ())

    def opened(spec: LabSpec, digits: int | None) -> list[ListingData]:
        return open_data(
            files,
            symbol=symbol or None,
            format_=settings.data_format or None,
            spread_points=spec.spread_points,
            digits=digits,
            cache=cache,
        )

    found = opened(spec, None)
    for data in found:
        own = for_digits(load_spec(settings.spec, data.listing.symbol, ()), data.digits)
        if data.facts.spread_from == "told" and own.listing["digits"] != data.digits:
            # The spread is in points of a digit that the prices have not.
            return opened(own, own.listing["digits"])
    return found


def _ticks(data: ListingData) -> Ticks:
    return joined([_of_block(block) for block in data.blocks()])


def _of_block(block: TickBlock) -> Ticks:
    deals = len(block.last) > 0
    zeros = np.zeros(block.size)
    return Ticks(
        block.time_ms, block.bid, block.ask, block.last if deals else zeros, block.volume if deals else zeros,
        block.flags, block.quality,
    )  # fmt: skip


def _weekends(history: TickHistory) -> bool:
    """Whether there are ticks on a Saturday or, other than its last hours, a Sunday of the server's clock."""
    day = (history.rows(0, history.ticks.size)["time"] // 86_400 + 4) % 7
    return bool(np.any((day == 0) | (day == 6)))
