"""A backtest from its request to a finished Run: the same operators, desk and matching engine that trade live."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from agents.money import Quote, Rates, rates_by
from agents.risk import no_limits
from agents.strategy_program import needs_stop
from api.lab import checkpoint
from api.lab.choice import Chosen
from api.lab.data import Traded
from api.lab.ledger import Ledger
from api.lab.lines import charts
from api.lab.run import Run
from api.lab.setup import ACCOUNT, Configured, SizedBy, configured, folds
from api.lab.silence import silence
from api.lab.stopping import stopped_by_ctrl_c
from infra.errors import SettingsError
from producers.specs import account_config
from schemas.configuration import AccountConfig, RiskLimits, Sizing, StrategyConfig
from schemas.events import ListingSpec
from streams.backtest.driver import Backtest
from streams.backtest.journal import Journal
from streams.operators.bars import Bars
from streams.operators.desk import Desk
from streams.programs import NotRunnable
from streams.venue.lab import Venue
from streams.venue.model import VenueModel

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be run. `trade`: the listings that are traded, by default the first."""

    chosen: Chosen
    data: Sequence[Traded]
    sized: SizedBy
    limits: RiskLimits | None = None
    trade: Sequence[str] = ()
    from_ms: int = -(2**62)
    """Signals from this time on count."""
    keep: bool = True
    """Keep journal, decisions and chart; without, only trades and equity (for sweeps)."""
    resume: Mapping[str, Any] | None = None
    """The checkpoint to go on from."""
    bars: Bars | None = None
    """What folds ticks into the strategy's bars, where several runs share it."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The command's options, for the manifest."""

    def check(self) -> None:
        """Sizing by risk needs a stop. Raises SettingsError that says what to write."""
        if self.sized.sizing is Sizing.RISK and self.chosen.graph is not None:
            told = needs_stop(self.chosen.graph)
            if told is not None:
                raise SettingsError(told)


def run_backtest(request: Request, progress: Progress = lambda _: None) -> Run:
    """Runs it. Ctrl-C ends it early, and the Run says so and has what another goes on from. Raises SettingsError."""
    started = time.perf_counter()
    chosen, data = request.chosen, request.data
    names = [traded.source.name for traded in data]
    trade = list(request.trade) or traded_names(chosen, data)
    account = account_config(data[0].spec, ACCOUNT, names)
    setup = configured(
        [traded.listing for traded in data], account, request.limits or no_limits(ACCOUNT), chosen, request.sized, trade
    )
    specs = {traded.source.name: traded.listing for traded in data}
    desk = Desk(terse=not request.keep)
    kept = request.resume
    state = desk.initial(ACCOUNT) if kept is None else desk.load(kept["desk"])
    venue = Venue(specs, account, data[0].spec.model)
    quotes: dict[str, Quote] = {}
    rates = rates_by(account, specs, quotes)
    check_rates(account, rates, [specs[name] for name in trade])
    ledger = Ledger(specs, rates, request.keep)
    ledger.start(account.balance)
    journal = Journal(ACCOUNT, request.keep)
    spent: list[float] = []
    try:
        parts = folds(
            setup,
            chosen,
            names,
            bars_of=(names if chosen.listings else trade) if request.keep else (),
            spent=spent.append,
            shared=request.bars,
        )
    except NotRunnable as error:
        raise SettingsError(str(error)) from error
    watch = _Watch(quotes, ledger)
    driver = Backtest(
        {
            traded.source.name: traded.source.blocks(setup.last)
            if kept is None
            else checkpoint.feed(kept, traded.source.name, traded.source.blocks(setup.last))
            for traded in data
        },
        parts.fold,
        desk,
        state,
        venue,
        journal,
        outputs=ledger.output,
        signals=ledger.signalled,
        decided=ledger.decide,
        moved=watch.moved,
        progress=progress,
        signals_from_ms=request.from_ms,
    )
    prepared = time.perf_counter()
    if kept is None:
        driver.configure(setup.records)
    else:
        checkpoint.load(kept, driver, venue, ledger, journal, parts)
    with stopped_by_ctrl_c(driver.stop):
        complete = driver.run()
    stopped_at = b""
    if not complete and request.keep:
        stopped_at = checkpoint.dump(chosen.digest, driver, desk, state, venue, ledger, journal, parts)
    open_positions = ledger.open_positions
    driver.close()
    ran = time.perf_counter()
    for part in parts.own.values():
        for unrunnable in part.unrunnable:
            if unrunnable.activation.instance == chosen.instance and not chosen.listings:
                raise SettingsError(f"{chosen.name}: {unrunnable.reason}")
    return _finished(
        request, setup, account, ledger, journal, driver, open_positions, complete, trade,
        {"prepare": prepared - started, "run": ran - prepared}, sum(spent), stopped_at,
    )  # fmt: skip


def traded_names(chosen: Chosen, data: Sequence[Traded]) -> list[str]:
    """The listings that a strategy trades: all, or of several that it reads together the first that it doesn't name."""
    names = [one.source.name for one in data if not one.converts]
    if not chosen.listings:
        return names
    own = [name for name in names if name not in chosen.listings and name.rpartition("/")[2] not in chosen.listings]
    return own[:1] or names[:1]


def check_rates(account: AccountConfig, rates: Rates, specs: Sequence[ListingSpec]) -> None:
    """All that is traded can be converted. Raises SettingsError with the ways out."""
    for spec in specs:
        for currency in (spec.currency_profit, spec.commission_currency):
            if currency in ("", account.currency) or currency in account.rate_currencies:
                continue
            if rates.listing_of(currency) is None:
                raise SettingsError(
                    f"{spec.listing} earns and costs {currency}, and the account is in {account.currency}: give a file "
                    f"of {account.currency}{currency} or {currency}{account.currency} by --convert, a fixed rate by "
                    f"--set rate_{currency}=…, or another account by --set account_currency={currency}"
                )


class _Watch:
    """Keeps the newest quotes for conversion, and tells the ledger of passing ticks."""

    def __init__(self, quotes: dict[str, Quote], ledger: Ledger) -> None:
        self._quotes, self._ledger = quotes, ledger

    def moved(self, quotes: Any, end: int) -> None:
        if quotes.quote is not None:
            self._quotes[quotes.listing] = quotes.quote
        self._ledger.moved(quotes, end)


def _finished(
    request: Request,
    setup: Configured,
    account: AccountConfig,
    ledger: Ledger,
    journal: Journal,
    driver: Backtest,
    open_positions: int,
    complete: bool,
    trade: Sequence[str],
    seconds: dict[str, float],
    own_code_s: float,
    stopped_at: bytes,
) -> Run:
    chosen, data = request.chosen, request.data
    facts = [dict(traded.source.facts) for traded in data]
    from_ms = max(request.from_ms, min((int(one["starts_ms"]) for one in facts), default=0))
    to_ms = max((own.last_us for own in driver.quotes.values()), default=0) // 1000
    equity_ms, balance, equity, margin = ledger.equity(from_ms, float(account.balance))
    strategy_config = setup.of(StrategyConfig)[0]
    digests = ledger.digests() if request.keep else {}
    return Run(
        name=chosen.name,
        started=time.strftime("%Y-%m-%d %H:%M:%S"),
        strategy={
            "name": chosen.name,
            "version": chosen.version,
            "file": chosen.path,
            "parameters": dict(chosen.parameters),
            "program_sha256": chosen.digest,
            "timeframe": chosen.timeframe.name,
            "doc": chosen.doc,
            "source": chosen.source,
        },
        account={
            "currency": account.currency,
            "digits": account.currency_digits,
            "balance": float(account.balance),
            "leverage": account.leverage,
            "position_mode": str(account.position_mode),
            "sizing": str(strategy_config.sizing),
            "size": strategy_config.size,
        },
        assumptions=_once(
            [
                *(w for t in data for w in t.spec.assumptions),
                *_delay(data[0].spec.model, facts),
                _sizing(request),
                *(w for t in data for w in t.words),
            ]
        ),
        warnings=_once(
            [
                *_made_ticks(chosen, facts),
                *silence(chosen, ledger, trade),
                *ledger.failures(),
                *(w for t in data for w in t.warnings),
            ]
        ),
        data=facts,
        from_ms=from_ms,
        to_ms=to_ms,
        trades=ledger.table(),
        equity_ms=equity_ms,
        balance=balance,
        equity=equity,
        margin=margin,
        charts=charts(chosen, ledger, trade, {t.source.name: t.source.digits for t in data}) if request.keep else [],
        signals=dict(sorted(ledger.signals.items())),
        refused=dict(sorted(ledger.refused.items())),
        open_positions=open_positions,
        signal_rows=ledger.signal_rows,
        decided=ledger.decided,
        journal=journal,
        digests=digests,
        python_us_per_tick=1e6 * own_code_s / max(driver.ticks, 1),
        seconds=seconds,
        complete=complete,
        checkpoint=stopped_at,
        manifest=_manifest(request, digests) if request.keep else {},
    )


def _made_ticks(chosen: Chosen, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    on_ticks = chosen.built_in is not None or (
        chosen.class_program is not None and not chosen.class_program.strategy.on_bars
    )
    made = [one for one in facts if not one.get("real_share", 1.0)]
    if not on_ticks or not made:
        return []
    return [
        f"{chosen.name} decides on ticks, and {made[0]['listing']} has only ticks that were made from bars, which it "
        "leaves out: give it real ticks"
    ]


def _sizing(request: Request) -> str:
    """How entries were sized."""
    kind, size, _ = request.sized
    if kind is Sizing.LOTS:
        told = "" if {"lots"} & set(dict(request.options).get("options", {})) else ": size them by --lots or --risk"
        return f"Entries are {size:g} lots each{told}."
    what = {Sizing.RISK: "of the equity at the stop", Sizing.VOLATILITY: "yearly volatility", Sizing.KELLY: "of Kelly"}
    return f"Entries are sized to {size:.4g} {what[kind]}, rounded down to the listing's step."


def _delay(model: VenueModel, facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a latency can't show on ticks made from bars."""
    if model.latency_ms <= 0 or not facts or any(one.get("real_share", 1.0) for one in facts):
        return []
    apart = min(int(one.get("bar_ms", 0)) for one in facts) // 3
    if model.latency_ms >= apart:
        return []
    return [f"A latency below {apart / 1000:g} s hardly shows on ticks made from bars, which lie so far apart."]


def _once(words: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _manifest(request: Request, digests: Mapping[str, str]) -> dict[str, Any]:
    """Enough to repeat the run, and to see that its inputs are the same."""
    chosen = request.chosen
    return {
        "form": 1,
        "tickledger": version("tickledger"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "strategy": {
            "name": chosen.name,
            "version": chosen.version,
            "file": chosen.path,
            "parameters": dict(chosen.parameters),
            "program_sha256": chosen.digest,
            "source_sha256": hashlib.sha256(chosen.source.encode()).hexdigest(),
        },
        "options": dict(request.options),
        "inputs": [one for traded in request.data for one in traded.source.inputs()],
        "digests": dict(digests),
    }
