"""`bench ema`: ticks a second from the topic to trades and their PnL, chain and MACs checked on the way."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from agents.money import rates_by
from agents.risk import no_limits
from api.bench.lab_data import write_ticks
from api.bench.lab_rule import COSTS, write_strategy
from api.bench.result import Report, Result
from api.lab.backtest import Request, run_backtest
from api.lab.choice import Chosen, choose
from api.lab.data import DataOptions, Traded, cut, from_files
from api.lab.ledger import Ledger
from api.lab.log_data import LogSource
from api.lab.run import Run
from api.lab.setup import ACCOUNT, Configured, SizedBy, configured, folds
from api.start import running_stack, tell
from infra.clock import SystemClock
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.settings import load_settings
from infra.tick_writer import TickWriter
from producers.specs import account_config
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.configuration import Sizing, StrategyConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.ticks import TickSource
from streams.backtest.driver import Backtest
from streams.backtest.journal import Journal
from streams.operators.desk import Desk
from streams.reference import ReferenceView
from streams.venue.lab import Venue

DAYS: Final = 44
"""4.1 million ticks."""
SIZES: Final = (MAX_BLOCK_TICKS, 100)
IDS: Final = {MAX_BLOCK_TICKS: "replay.ema.kafka", 100: "replay.ema.block100"}
GOALS: Final = {MAX_BLOCK_TICKS: 12e6, 100: 5e6}
FULL_GOAL: Final = 300e3
ROUNDS: Final = 7
BOTH: Final = ("berserker", "sniper")
SIZED: Final = SizedBy(Sizing.LOTS, 1.0)


T = TypeVar("T")


class Spent(NamedTuple):
    """Seconds of a run, by the wall and by the processors (all threads of this process)."""

    wall: float
    cpu: float


class Full(NamedTuple):
    """A run of several strategies: what was decided, records taken and decided, and trades."""

    digest: str
    records: int
    trades: int


def run(days: int = DAYS, rounds: int = ROUNDS, sizes: Sequence[int] = SIZES) -> Report:
    """Measures; what is decided is first held equal from the file and from both cuts of the log."""
    results: list[Result] = []
    notes: list[str] = []
    seen: set[str] = set()
    full: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as made:
        folder = Path(made)
        chosen = choose(str(write_strategy(folder)), {})
        file = from_file(write_ticks(folder, days)[0], folder / "cache")
        tell("bench ema: from the file")
        seen.add(_digest(run_backtest(_request(chosen, file, keep=True))))
        for size in sizes:
            # Brokers of their own: so the listing has one name, and decisions can be compared byte by byte.
            settings = load_settings(home=folder / f"home{size}")
            keys = load_or_create(settings)
            with running_stack(settings, frozenset({"kafka"})) as running:
                tell(f"bench ema: {days} days in blocks of {size}")
                ticks = _write(running.kafka, keys, file, size)
                logged = dataclasses.replace(
                    file, source=LogSource(running.kafka, keys, file.source.name, file.source.digits)
                )
                ran = run_backtest(_request(chosen, logged, keep=True))
                seen.add(_digest(ran))
                bare, spent = _best(rounds, partial(run_backtest, _request(chosen, logged, keep=False)))
                seen |= {_digest(ran)} if _trades(bare) == _trades(ran) else {"other trades"}
                name = IDS[size]
                results.append(Result(f"{name}.ticks_per_s", ticks / spent.cpu, "ticks/s", GOALS[size]))
                results.append(Result(f"{name}.wall.ticks_per_s", ticks / spent.wall, "ticks/s"))
                notes.append(
                    f"{ticks:,} ticks in blocks of {size:,}: fetched, MACs and chain checked, decoded, folded to bars "
                    f"of M15 and the EMA cross, {len(ran.trades)} trades with costs and PnL"
                )
                if size == sizes[0]:
                    tell("bench ema: both agents")
                    found, more = _full(logged, file, ticks, rounds, full)
                    results += found
                    notes += more
    equal = len(seen) == 1 and len(full) == 1
    notes.append(
        "ticks/s: a second of processor, all threads of this process counted, the broker not; wall: by the clock; the "
        f"best of {rounds} runs. Equal: digests of signals, orders, fills, risk and portfolio, from the file and both "
        "cuts of the log; the timed runs keep trades and equity and no events, and their trades are the same"
    )
    return Report("ema", equal, results if equal else [], notes)


def from_file(path: Path, cache: Path) -> Traded:
    """Ticks of a file, with what it costs to trade them."""
    (traded,) = from_files([path], DataOptions(symbol="EURUSD"), "generic", COSTS, cache)
    return traded


def _request(chosen: Chosen, traded: Traded, *, keep: bool) -> Request:
    return Request(chosen=chosen, data=[traded], sized=SIZED, keep=keep)


def _write(kafka: str, keys: KeyRing, file: Traded, size: int) -> int:
    """The file's blocks onto the log, cut to `size`; how many ticks."""

    def wanted(there: list[ReferenceRecord]) -> list[ListingSpec]:
        return [] if there else [file.listing]

    ref_no = ReferenceView(append_reference(kafka, keys, SystemClock(), wanted)).last
    ticks = 0
    with TickWriter(kafka, keys, SystemClock(), file.source.name, TickSource.IMPORT) as writer:
        writer.open()
        for block in file.source.blocks(ref_no):
            for at in range(0, len(block.quality), size):
                piece = cut(block, at, min(at + size, len(block.quality)))
                writer.write(
                    ref_no=ref_no,
                    received_us=piece.received_us,
                    server_offset_s=piece.server_offset_s,
                    gap=piece.gap,
                    watermark_ms=0,
                    columns=piece,
                )
                ticks += len(piece.quality)
        writer.drain()
    return ticks


def _full(logged: Traded, file: Traded, ticks: int, rounds: int, digests: set[str]) -> tuple[list[Result], list[str]]:
    """Both agents with desk and venue, beside the agents alone: what lies between is Python, record by record."""
    both = both_agents(file)
    digests.add(run_both(both, file, desk=True).digest)
    ran, spent = _best(rounds, lambda: run_both(both, logged, desk=True))
    digests.add(ran.digest)
    _, alone = _best(rounds, lambda: run_both(both, logged, desk=False))
    records = max(spent.cpu - alone.cpu, 0.0)
    results = [
        Result("replay.full.ticks_per_s", ticks / spent.cpu, "ticks/s", FULL_GOAL),
        Result("replay.full.agents.ticks_per_s", ticks / alone.cpu, "ticks/s"),
        Result("replay.full.records.share", records / spent.cpu, ""),
        Result("replay.full.records.us", 1e6 * records / max(ran.records, 1), "µs"),
    ]
    notes = [
        f"full: {' and '.join(BOTH)}, desk and venue: {ran.trades} trades, {ran.records:,} records taken or decided; "
        "records: what the run needs beyond the agents' alone, nearly all of it Python record by record"
    ]
    return results, notes


class Both(NamedTuple):
    """What a run of both agents is configured with; `chosen`: the first of them."""

    setup: Configured
    chosen: Chosen


def both_agents(traded: Traded) -> Both:
    """The records of a run of one agent, and behind them the other's configuration and activation."""
    names, account = [traded.source.name], account_config(traded.spec, ACCOUNT, [traded.source.name])
    chosen = [choose(name, {}) for name in BOTH]
    first, second = (configured([traded.listing], account, no_limits(ACCOUNT), one, SIZED, names) for one in chosen)
    more = [*second.of(StrategyConfig), second.of(OperatorActivation)[-1]]
    records = first.records + tuple(
        dataclasses.replace(record, seq=first.last + at, ref_no=first.last + at)
        for at, record in enumerate(more, start=1)
    )
    return Both(Configured(records, ReferenceView(records)), chosen[0])


def run_both(both: Both, traded: Traded, *, desk: bool, journal: Journal | None = None) -> Full:
    """A run of both agents, without `desk` of these alone. `journal`: what keeps that of the account."""
    name, works = traded.source.name, Desk()
    # A listing's fold works all that is activated.
    fold = folds(both.setup, both.chosen, [name]).fold
    blocks = traded.source.blocks(both.setup.last)
    if not desk:
        for block in blocks:
            list(fold(block))
        return Full("", 0, 0)
    specs = {name: traded.listing}
    account = account_config(traded.spec, ACCOUNT, [name])
    ledger = Ledger(specs, rates_by(account, specs, {}), keep=True)
    ledger.start(account.balance)
    journal = Journal(ACCOUNT, keep=False) if journal is None else journal
    driver = Backtest(
        {name: blocks}, fold, works, works.initial(ACCOUNT), Venue(specs, account, traded.spec.model), journal,
        outputs=ledger.output, signals=ledger.signalled, decided=ledger.decide, moved=ledger.moved,
    )  # fmt: skip
    driver.configure(both.setup.records)
    driver.run()
    driver.close()
    told = " ".join(f"{topic}={text}" for topic, text in sorted(ledger.digests().items()))
    return Full(told, len(ledger.decided) + sum(ledger.signals.values()), len(ledger.table()))


def _best(rounds: int, work: Callable[[], T]) -> tuple[T, Spent]:
    """The last result, and the best of some runs."""
    best = Spent(1e9, 1e9)
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        found = work()
        spent = Spent(time.perf_counter() - wall, time.process_time() - cpu)
        best = Spent(min(best.wall, spent.wall), min(best.cpu, spent.cpu))
    return found, best


def _digest(ran: Run) -> str:
    return " ".join(f"{topic}={text}" for topic, text in sorted(ran.digests.items()))


def _trades(ran: Run) -> bytes:
    return ran.trades.tobytes()
