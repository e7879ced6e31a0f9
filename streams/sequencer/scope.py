"""What of the log concerns an account, by the records of `reference` so far."""

from __future__ import annotations

from schemas.configuration import AccountConfig, RiskLimits, SessionTable, StrategyConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord, Signal
from schemas.identity import split_operator
from streams.operators.desk.reference import DESK
from streams.operators.desk.state import Configured
from streams.reference import runs_on


class Scope:
    """Feed, strategies and listings of one account. Give it the records of `reference` in the order of their numbers.

    An account stays with the feed and partition of its first AccountConfig: its journal lies there, and its signals are
    of that feed. A later config that says otherwise is left out.
    """

    def __init__(self, account: str) -> None:
        self.account = account
        self.config: AccountConfig | None = None
        self.left_out: list[AccountConfig] = []
        self._instances: set[str] = set()
        self._activations: dict[str, OperatorActivation] = {}
        self._specified: set[str] = set()
        self._waiting: list[ListingSpec | SessionTable] = []

    def take(self, record: ReferenceRecord) -> list[Configured]:
        """The records that the account's journal gets now: this one, or none; with an AccountConfig first the earlier
        ones of listings that only concern it now."""
        if isinstance(record, AccountConfig):
            return self._configure(record) if record.account == self.account else []
        if isinstance(record, StrategyConfig):
            if record.account != self.account:
                return []
            self._instances.add(record.instance)
            return [record]
        if isinstance(record, RiskLimits):
            return [record] if record.account == self.account else []
        if isinstance(record, ListingSpec | SessionTable):
            if self._is_ours(record.listing):
                self._specified.add(record.listing)
                return [record]
            self._waiting.append(record)
        elif isinstance(record, OperatorActivation):
            if record.operator == DESK:
                return [record]
            self._activations[record.instance] = record
        return []

    def wants(self, signal: Signal) -> bool:
        """Whether the account trades the signal's instance, or has: exits of one that was taken off still count."""
        return split_operator(signal.operator)[0] in self._instances

    def has_feed(self, listing: str) -> bool:
        """Whether the listing is of the account's feed."""
        return self.config is not None and listing.partition("/")[0] == self.config.feed

    @property
    def listings(self) -> set[str]:
        """Whose quotes the account needs whatever it holds: where its strategies run, and what converts money."""
        if self.config is None:
            return set()
        traded = [a for name, a in self._activations.items() if name in self._instances]
        running = {name for name in self._specified if self.has_feed(name) and any(runs_on(a, name) for a in traded)}
        return running | set(self.config.conversion_listings)

    def _configure(self, config: AccountConfig) -> list[Configured]:
        first = self.config
        if first is not None and (first.feed, first.partition) != (config.feed, config.partition):
            self.left_out.append(config)
            return []
        self.config = config
        ours = [record for record in self._waiting if self._is_ours(record.listing)]
        self._waiting = [record for record in self._waiting if not self._is_ours(record.listing)]
        self._specified |= {record.listing for record in ours}
        return [*ours, config]

    def _is_ours(self, listing: str) -> bool:
        return self.has_feed(listing) or (self.config is not None and listing in self.config.conversion_listings)
