"""What trades on paper: the account and the strategies that are to be on `reference` before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from api.accounts import Plan, Share, configure_account, limits_of
from api.instances import Wanted, activation_of, check_program, placed, running, to_add
from api.lab.choice import Chosen
from api.lab.setup import SizedBy
from api.paper.home import PaperHome
from infra.clock import SystemClock
from infra.errors import SettingsError
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.stack.stack import Running
from producers.specs import account_config, load_spec
from schemas.events import ReferenceRecord
from schemas.identity import parse_listing
from streams.operators.desk.consensus import TRADE


class Traded(NamedTuple):
    """A strategy, and how entries are sized."""

    chosen: Chosen
    sized: SizedBy


class Paper:
    """The account of a paper home and what it trades. Raises, before anything runs, BadInstance, BadFile."""

    def __init__(self, home: PaperHome, traded: Sequence[Traded], limits: Path | None) -> None:
        self._home = home
        account = home.settings.trade.account
        self._limits = limits_of(account, limits)
        self._wanted: list[Wanted] = []
        for chosen, sized in traded:
            one = activation_of(chosen)
            check_program(one)
            share = Share(one.instance, sized.sizing, sized.size, sized.max_lots)
            self._wanted.append(Wanted(placed(one, home.listings), account, share, TRADE))
        self.instances: list[str] = []
        """What the account trades, once it is configured."""

    def configure(self, running_stack: Running) -> None:
        """Writes what is missing. Raises SettingsError if nothing would be traded, BadAccount, BadInstance."""
        settings, clock = self._home.settings, SystemClock()
        keys = load_or_create(settings)
        listings = self._home.listings
        spec = load_spec(settings.terminal.spec, parse_listing(listings[0]).symbol, ())
        config = dataclasses.replace(
            account_config(spec, settings.trade.account, listings), balance=Decimal(repr(settings.terminal.balance))
        )
        configure_account(running_stack.kafka, keys, clock, Plan(config, (), self._limits))
        records = append_reference(running_stack.kafka, keys, clock, self._missing)
        self.instances = [
            one.activation.instance
            for one in running(records)
            if any(share.account == settings.trade.account for share in one.traded)
        ]
        if not self.instances:
            raise SettingsError("nothing is traded in this home so far: name a strategy, tickledger paper STRATEGY")

    def _missing(self, records: list[ReferenceRecord]) -> list[ReferenceRecord]:
        return [record for wanted in self._wanted for record in to_add(records, wanted)]
