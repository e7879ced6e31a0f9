"""The day that is played: what has to be on `reference` before it begins, and whether all of it has arrived."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final

from rich.console import Console

from agents.money import rates_by
from api.accounts import (
    Consensus,
    Plan,
    Share,
    check_plan,
    limits_of,
    missing,
    newest,
    strategy_config,
    strategy_configs,
)
from api.demo import agreement
from api.demo.agreement import Finding
from api.demo.history import compare_ticks
from api.demo.laboratory import compare_signals
from api.demo.screen import View
from api.demo.stages import Seen, Watch
from api.instances import Wanted, placed, to_add
from api.lab.choice import Chosen, choose
from api.lab.setup import activated
from api.terminal_check import check_terminal, read_log
from infra.account_log import AccountFollower
from infra.clock import Stopwatch, SystemClock
from infra.errors import NotReady, Refused, SettingsError, TickledgerError
from infra.keys import load_or_create
from infra.marks import Mark
from infra.reference_log import append_reference, read_reference
from infra.settings import Settings
from infra.stack.home import Home
from infra.stack.stack import Running
from producers.judge import Judge
from producers.mt5 import Mt5, connect, sign_in
from producers.specs import account_config, listing_spec, load_spec
from producers.terminal import build
from producers.terminal.client import control
from producers.terminal.control import Control
from projections.database import connect as connect_database
from projections.derived import wait_until_derived, wait_until_projected
from schemas.configuration import AccountConfig, Sizing, StrategyConfig
from schemas.events import OperatorActivation, ReferenceRecord
from schemas.identity import parse_listing
from schemas.integrity import UNWRITTEN
from streams.class_programs import with_code
from streams.operators.desk.consensus import ALONE
from streams.reference import runs_on
from streams.verify import Range, Report, Verification

SNIPER: Final = "sniper_intraday"
"""SNIPER's rule on M1 bars: a day is too short for its usual ones."""

BERSERKER: Final = {"valid_for_ms": 20_000}
"""Its usual two seconds are over before anybody has read them where a day takes minutes."""

AGENTS: Final = 2
"""These two; files come after them."""

LOTS: Final = 0.1
STALLED_S: Final = 180.0
"""How long nothing may move before waiting is given up."""

QUIET_S: Final = 1.5
"""How long nothing may have come until a day is taken for settled."""
HANGS_S: Final = 20.0
"""The same while orders have no answer."""

_POLL_S: Final = 0.1
_UNDER_WAY: Final = """
select count(*) from tickledger.orders where account = %s
    and (state in ('SUBMITTED', 'SENDING', 'CANCEL_REQUESTED') or state = 'ACCEPTED' and type = 'MARKET')
"""


class Played:
    """A demo of these settings. `strategies`: files to trade beside the two agents, each for itself.

    `consensus` of the two; None: as the home has it, at first independent. `once`: the whole day is held against the
    laboratory's at its end.
    """

    def __init__(
        self, settings: Settings, strategies: Sequence[Path], consensus: Consensus | None, *, once: bool = False
    ) -> None:
        """Raises BadStrategy, BadInstance, BadFile, SettingsError: before anything is started."""
        self._settings = settings
        self._consensus, self._once = consensus, once
        self._chosen = [
            choose("berserker", BERSERKER),
            choose(SNIPER, {}),
            *(choose(str(file), {}) for file in strategies),
        ]
        data = build.played(settings.terminal, settings.cache_dir / "ticks")
        self.listings = [f"{settings.recorder.feed}/{symbol}" for symbol in data.ticks]
        self._check_conversion(data.digits)
        self._activations = [placed(activated(chosen, ()), self.listings) for chosen in self._chosen]
        self._keys = load_or_create(settings)

    def _check_conversion(self, digits: Mapping[str, int]) -> None:
        """All money can be converted into the account's, or the recorder would refuse the symbol for good. Raises
        SettingsError with the ways out."""
        told = self._settings.terminal.spec
        specs = {
            listing: listing_spec(load_spec(told, symbol, ()), listing, digits[symbol])
            for listing, symbol in zip(self.listings, digits, strict=True)
        }
        account = self._account_config()
        rates = rates_by(account, specs, {})
        for listing, spec in specs.items():
            for currency in (spec.currency_profit, spec.commission_currency):
                if currency in ("", account.currency, *account.rate_currencies):
                    continue
                if rates.listing_of(currency) is None:
                    raise SettingsError(
                        f"{listing} earns and costs {currency}, and nothing converts that into the account's "
                        f"{account.currency}: add the data of {currency}{account.currency} or "
                        f"{account.currency}{currency} (--data, terminal.data), or write rate_{currency} = … into a "
                        "file for --spec (terminal.spec); --fresh lets the home take either"
                    )

    def _account_config(self) -> AccountConfig:
        settings = self._settings
        spec = load_spec(settings.terminal.spec, parse_listing(self.listings[0]).symbol, ())
        config = account_config(spec, settings.trade.account, self.listings)
        return dataclasses.replace(config, balance=Decimal(repr(settings.terminal.balance)))

    def configure(self, running: Running) -> None:
        """Writes the account, its strategies and their activations, where they are missing."""
        clock = SystemClock()
        append_reference(running.kafka, self._keys, clock, self.missing_activations)
        append_reference(running.kafka, self._keys, clock, self.missing_account)

    def missing_account(self, known: Sequence[ReferenceRecord]) -> list[ReferenceRecord]:
        """The account and how it trades; what people have made of its strategies since stays, but for a consensus that
        is asked for now, and a file that was removed and is named again."""
        account, config = self._settings.trade.account, self._account_config()
        shares = [Share(chosen.instance, Sizing.LOTS, LOTS) for chosen in self._chosen]
        agents, files = shares[:AGENTS], shares[AGENTS:]
        check_plan(Plan(config, shares, limits_of(account)))
        wanted = missing(known, Plan(config, (), limits_of(account)))
        planned = strategy_configs(account, agents, self._consensus or "independent")
        planned += [strategy_config(account, share, ALONE) for share in files]
        for place, one in enumerate(planned):
            there = newest(known, StrategyConfig, account, one.instance)
            if there is None or (place >= AGENTS and not there.active):
                wanted.append(one if there is None else dataclasses.replace(there, active=True, **UNWRITTEN))
            elif self._consensus is not None and place < AGENTS and there.role != one.role:
                wanted.append(dataclasses.replace(there, role=one.role, weight=one.weight, **UNWRITTEN))
        return wanted

    def missing_activations(self, known: list[ReferenceRecord]) -> list[ReferenceRecord]:
        """What has to be written so that the two agents run, but for what people made of them, and each file as it is
        now. Raises BadInstance, and Refused for a day that can't be compared any more."""
        there = {r.instance: r for r in known if isinstance(r, OperatorActivation)}
        wanted: list[ReferenceRecord] = []
        for place, one in enumerate(self._activations):
            before = there.get(one.instance)
            if place < AGENTS and before is not None:
                if not before.active:
                    continue
                one = dataclasses.replace(one, listings=before.listings, warm_from_us=before.warm_from_us)
            wanted += to_add(known, Wanted(one))
        if self._once:
            self._refuse_changed([*known, *wanted])
        return wanted

    def _refuse_changed(self, records: Sequence[ReferenceRecord]) -> None:
        """`records` in the order of `reference`: what runs was activated before the account was there, at the first
        start, or the laboratory makes other signals of the whole day. Raises Refused."""
        ours = {one.instance for one in self._activations}
        begun, changed = False, dict[str, None]()
        for record in records:
            if isinstance(record, AccountConfig) and record.account == self._settings.trade.account:
                begun = True
            elif begun and isinstance(record, OperatorActivation) and record.instance in ours:
                changed[record.instance] = None
        if changed:
            raise Refused(
                f"{', '.join(changed)} came or changed since this home began to play, and --once holds the signals of "
                "the whole day against the laboratory's: add --fresh to play it anew, or play on without --once"
            )

    @contextmanager
    def watched(self, running: Running) -> Iterator[Day]:
        """The day while the stack runs."""
        owner = control(self._settings.home)
        try:
            with Watch(owner, running.kafka, running.postgres_dsn) as watch:
                yield Day(self._settings, running, owner, watch, self._by_listing())
        finally:
            owner.close()

    def _by_listing(self) -> dict[str, list[Chosen]]:
        runs = list(zip(self._chosen, self._activations, strict=True))
        return {name: [chosen for chosen, one in runs if runs_on(one, name)] for name in self.listings}


class Day:
    """A day that is being played on a stack that runs: `strategies` by the listing that they run on."""

    def __init__(
        self,
        settings: Settings,
        running: Running,
        owner: Control,
        watch: Watch,
        strategies: Mapping[str, list[Chosen]],
    ) -> None:
        self._settings, self._running, self._control, self._watch = settings, running, owner, watch
        self._strategies = strategies
        self._keys = load_or_create(settings)
        self._account = settings.trade.account
        self._clock = Stopwatch()
        self._doing = "playing"
        self.was_played = owner.state().ended

    def set_pace(self, speed: float | None) -> None:
        """Lets the market go on, at a speed or its own."""
        if speed is not None:
            self._control.speed(speed)
        self._control.resume()

    def view(self) -> View:
        return View(self._doing, self._clock.seconds(), self._watch.seen())

    def wait(self, *, until_asked_for: bool) -> None:
        """Returns when the day is played and all that follows from it has arrived. Raises ServiceFailed, NotReady.

        `until_asked_for`: without giving up when nothing moves, since somebody may have paused the market.
        """
        watch, before = Stopwatch(), (0, 0)
        while not self._is_played(seen := self._watch.seen()):
            self._running.check()
            now = (seen.ticks, 0 if seen.market is None else seen.market.now_us)
            if now != before:
                before = now
                watch.restart()
            elif watch.seconds() > STALLED_S and not until_asked_for:
                raise NotReady(
                    f"nothing has moved for {STALLED_S:.0f} s, at {seen.ticks:,} ticks: `tickledger status` and the "
                    f"logs in {self._settings.home / 'log'} say which service stands"
                )
            time.sleep(_POLL_S)
        self._doing = "waiting for what is on its way"
        for listing, ticks in self._ticks():
            wait_until_derived(
                self._running.kafka, self._keys, self._running.postgres_dsn, listing, ticks, check=self._running.check
            )
        self._wait_until_settled()
        wait_until_projected(self._running.kafka, self._running.postgres_dsn, self._running.check)
        self._watch.look()
        self._doing = "all has arrived"

    def findings(self, console: Console) -> list[Finding]:
        """Each stage held against the one before it, the laboratory, the terminal, and what is derived again."""
        kafka, dsn, settings = self._running.kafka, self._running.postgres_dsn, self._settings
        mt5 = connect(settings)
        info = sign_in(mt5, settings.terminal)
        try:
            same = [compare_ticks(mt5, kafka, self._keys, listing) for listing in self._strategies]
            compared = [
                one
                for listing, chosen in self._strategies.items()
                for one in compare_signals(settings, kafka, self._keys, listing, chosen)
            ]
            orders = self._orders_at_terminal(mt5)
            report = self._verified(console, mt5)
            balance = Decimal(repr(info.balance))
            account = mt5.account_info()
            if account is not None:
                balance = Decimal(repr(account.balance))
        finally:
            mt5.shutdown()
        wait_until_projected(kafka, dsn, self._running.check)
        seen = self._watch.look()
        with connect_database(dsn, "tickledger demo") as connection:
            money = agreement.of_account(connection, self._account, orders, balance)
        return [
            *agreement.of_ticks(seen, same),
            agreement.of_signals(seen, compared),
            *money,
            agreement.of_database(seen),
            agreement.of_verify(report),
        ]

    def a_fill(self) -> str | None:
        """Id of the newest fill."""
        with connect_database(self._running.postgres_dsn, "tickledger demo") as connection:
            row = connection.execute("select id from tickledger.fills order by time desc limit 1").fetchone()
        return None if row is None else str(row[0])

    def _is_played(self, seen: Seen) -> bool:
        market = seen.market
        return market is not None and market.ended and market.held and seen.ticks >= market.ticks

    def _ticks(self) -> list[tuple[str, int]]:
        with connect_database(self._running.postgres_dsn, "tickledger demo") as connection:
            found = connection.execute(
                "select name, (select max(n) + 1 from tickledger.ticks where listing_id = listings.id) "
                "from tickledger.listings where name = any(%s)",
                (list(self._strategies),),
            ).fetchall()
        return [(name, ticks) for name, ticks in found if ticks]

    def _wait_until_settled(self) -> None:
        """Until nothing is under way any more: orders are often sent and filled long after the last tick. What hangs is
        left to the findings. Raises NotReady, ServiceFailed."""
        records, _ = read_reference(self._running.kafka, self._keys)
        config = next((r for r in records if isinstance(r, AccountConfig) and r.account == self._account), None)
        if config is None:
            raise Refused(f"the log has no account {self._account}")
        follower = AccountFollower(self._running.kafka, self._keys, "journal", self._account, config.partition)
        mark = Mark.of(Home(self._settings.home), f"desk-{self._account}")
        last, before, quiet, watch = 0, (0, 0), Stopwatch(), Stopwatch()
        while True:
            self._running.check()
            for taken in follower.read_to():
                last = taken.judged.record.taken_us
            seen = self._seen()
            now = (sum(seen.records.values()), 0 if seen.market is None else seen.market.requests)
            if now != before:
                before = now
                quiet.restart()
            folded = last > 0 and (mark.get() or 0) >= last
            if quiet.seconds() > QUIET_S and folded and not seen.left and not self._under_way():
                return
            if folded and quiet.seconds() > HANGS_S:
                return
            if watch.seconds() > STALLED_S:
                raise NotReady(
                    f"{self._account} doesn't come to rest: its desk stands at {mark.get()}, its journal at {last}, "
                    f"{seen.left:,} records of the log are not in the database"
                )
            time.sleep(_POLL_S)

    def _under_way(self) -> int:
        """Orders that the venue has to say something about yet."""
        with connect_database(self._running.postgres_dsn, "tickledger demo") as connection:
            row = connection.execute(_UNDER_WAY.encode(), (self._account,)).fetchone()
        return 0 if row is None else int(row[0])

    def _seen(self) -> Seen:
        """What is there now, or was at the last look that was answered: a service may be on its way back."""
        try:
            return self._watch.look()
        except TickledgerError:
            return self._watch.seen()

    def _orders_at_terminal(self, mt5: Mt5) -> int:
        """Orders of ours that the terminal has or had, each by its number. Raises TerminalError."""
        numbers = [order.magic for order in mt5.history_orders_get(0, 2**31 - 1) or () if order.magic]
        opened = [deal.magic for deal in mt5.history_deals_get(0, 2**31 - 1) or () if deal.magic]
        return len({*numbers, *opened, *(order.magic for order in mt5.orders_get() or () if order.magic)})

    def _verified(self, console: Console, mt5: Mt5) -> Report:
        def show(where: str, report: Report) -> None:
            self._running.check()
            if console.is_terminal:
                status.update(f"verify: {where}")

        with console.status("verify") as status:
            verification = Verification(self._running.kafka, self._keys, Judge, Range(), show, programs=with_code)
            report = verification.run()
        config = verification.configs[self._account]
        log = read_log(self._running.kafka, self._keys, config, verification.states.get(self._account))
        check_terminal(mt5, log, report)
        return report
