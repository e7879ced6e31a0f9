"""What is traded: the account and the strategies that are to be on `reference` before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from api.accounts import Consensus, Plan, Share, check_plan, limits_of, missing, newest, strategy_configs
from api.instances import Wanted, activation_of, check_program, placed, running, to_add
from api.lab.choice import Chosen
from api.lab.setup import SizedBy
from infra.clock import SystemClock
from infra.errors import SettingsError
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.settings import Settings
from infra.stack.stack import Running
from schemas.configuration import AccountConfig, RiskLimits, StrategyConfig
from schemas.events import ReferenceRecord


class Traded(NamedTuple):
    """Strategies, how their entries are sized, and what the account may risk.

    `limits`, `consensus` of the strategies: None: as the home has it, at first the usual limits, each for itself.
    """

    strategies: Sequence[Chosen]
    sized: SizedBy
    limits: Path | None = None
    consensus: Consensus | None = None


class Trading:
    """An account, as `config` describes it, and what it trades on `listings`."""

    def __init__(self, settings: Settings, config: AccountConfig, listings: Sequence[str], traded: Traded) -> None:
        """Raises BadInstance, BadFile, BadAccount: before anything is started."""
        self._settings, self._config, self._limits_told = settings, config, traded.limits is not None
        self._limits = limits_of(config.account, traded.limits)
        sized = traded.sized
        activations = [activation_of(chosen) for chosen in traded.strategies]
        shares = [Share(one.instance, sized.sizing, sized.size, sized.max_lots) for one in activations]
        check_plan(Plan(config, shares, self._limits, traded.consensus or "independent"))
        for one in activations:
            check_program(one)
        self._roles_told = traded.consensus is not None
        roles = [one.role for one in strategy_configs(config.account, shares, traded.consensus or "independent")]
        self._wanted = [
            Wanted(placed(one, listings), config.account, share, role)
            for one, share, role in zip(activations, shares, roles, strict=True)
        ]
        self.instances: list[str] = []
        """What the account trades, once it is configured."""

    def configure(self, running_stack: Running) -> None:
        """Writes what is missing. Raises SettingsError if nothing would be traded, BadAccount, BadInstance."""
        keys, clock = load_or_create(self._settings), SystemClock()
        append_reference(running_stack.kafka, keys, clock, self._missing_account)
        records = append_reference(running_stack.kafka, keys, clock, self._missing_strategies)
        self.instances = [
            one.activation.instance
            for one in running(records)
            if any(share.account == self._config.account for share in one.traded)
        ]
        if not self.instances:
            raise SettingsError("nothing is traded in this home so far: name a strategy to trade")

    def _missing_account(self, records: list[ReferenceRecord]) -> list[ReferenceRecord]:
        known = None if self._limits_told else newest(records, RiskLimits, self._config.account)
        return missing(records, Plan(self._config, (), known or self._limits))

    def _missing_strategies(self, records: list[ReferenceRecord]) -> list[ReferenceRecord]:
        return [record for wanted in self._wanted for record in to_add(records, self._as_it_is(records, wanted))]

    def _as_it_is(self, records: list[ReferenceRecord], wanted: Wanted) -> Wanted:
        """With the role and the weight that the strategy has in the account, unless a consensus is asked for."""
        known = newest(records, StrategyConfig, wanted.account, wanted.activation.instance)
        if self._roles_told or known is None or not known.active or wanted.share is None:
            return wanted
        return wanted._replace(role=known.role, share=wanted.share._replace(weight=known.weight))
