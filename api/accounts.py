"""Accounts on `reference`: what an account is, which strategies trade it and how, what it may risk, and its desk.

Each is written once, and again only where it differs; what contradicts itself is refused before anything is written.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from agents.money import exact
from agents.risk import BadLimit, limits_from_toml
from agents.volumes import fitted, least_of, step_of
from infra.clock import Clock
from infra.errors import BadFile, Refused
from infra.reference_log import append_reference
from producers.specs.limits import read_limits
from schemas.catalogue import ACCOUNT_TOPICS
from schemas.configuration import ORDERS_EACH, AccountConfig, RiskLimits, Sizing, StrategyConfig
from schemas.events import ListingSpec, ReferenceRecord
from schemas.integrity import UNWRITTEN, KeyRing
from streams.desk_program import desk_missing
from streams.operators.desk.consensus import AGREE, ROLES, TRADE, VETO, WEIGH

Consensus = Literal["independent", "agree", "veto", "weigh"]
"""How the first of several strategies and the others decide together: each for itself; only what all have entered; the
others stop entries to the other side; the others cut their size."""

DEFAULT_LIMITS: Final[Mapping[str, Any]] = {
    "max_quote_age_ms": 60_000,
    "min_margin_level": 200.0,
    "max_gross_notional": 20.0,
    "max_positions": 20,
    "max_orders_per_minute": 60,
    "max_daily_loss": 0.05,
    "daily_loss_basis": "HIGHER",
    "daily_loss_action": "FLATTEN",
    "max_drawdown": 0.2,
    "drawdown_action": "FLATTEN",
}
"""What an account may risk if nobody says otherwise."""

_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "independent": (TRADE, TRADE), "agree": (AGREE, AGREE), "veto": (TRADE, VETO), "weigh": (TRADE, WEIGH),
}  # fmt: skip
"""Of the first, and of the others."""

USUAL_WEIGHT: Final = 0.5
"""Of who weighs, if nobody says otherwise: halves the size of entries to the other side. 1 would stop them, a veto."""

C = TypeVar("C", AccountConfig, StrategyConfig, RiskLimits)


class BadAccount(Refused):
    """An account that can't be configured so; the message says why."""


class Share(NamedTuple):
    """How an account trades an instance. `size`: lots, or the share of equity at risk …; `max_lots` 0 = no limit;
    `weight`: of the others' size, by which it is cut with the role weigh, 0 to 1; None = USUAL_WEIGHT."""

    instance: str
    sizing: Sizing
    size: float
    max_lots: float = 0.0
    weight: float | None = None


class Plan(NamedTuple):
    """All of an account. Partition, order base and chain fields of `config` are filled in; its balance counts only when
    the account is new."""

    config: AccountConfig
    shares: Sequence[Share]
    limits: RiskLimits
    consensus: Consensus = "independent"


def configure_account(bootstrap: str, keys: KeyRing, clock: Clock, plan: Plan) -> list[ReferenceRecord]:
    """Writes what is missing or differs; all records then on `reference`. Raises BadAccount and what append_reference
    does."""
    check_plan(plan)
    return append_reference(bootstrap, keys, clock, lambda records: missing(records, plan))


def missing(records: Sequence[ReferenceRecord], plan: Plan) -> list[ReferenceRecord]:
    """What has to be written so that the account is as planned, given all records so far. Raises BadAccount, also for
    what is known of the feed's listings and for numbers that aren't finite.

    The desk first, then the account, its limits and its strategies: each takes effect in that order in the journal.
    """
    account = plan.config.account
    config = placed(records, plan.config)
    check_reach(plan.limits, specs_of(records, config.feed), plan.shares)
    wanted: list[ReferenceRecord] = [*desk_missing(records, account)]
    wanted += _unless_same(newest(records, AccountConfig, account), config)
    wanted += _unless_same(newest(records, RiskLimits, account), plan.limits)
    for strategy in strategy_configs(account, plan.shares, plan.consensus):
        wanted += _unless_same(newest(records, StrategyConfig, account, strategy.instance), strategy)
    check_finite(wanted)
    return wanted


def placed(records: Iterable[ReferenceRecord], config: AccountConfig) -> AccountConfig:
    """The config with the partition and order base that the account has, or the next free ones. Raises BadAccount."""
    accounts = {r.account: r for r in records if isinstance(r, AccountConfig)}
    known = accounts.get(config.account)
    if known is not None:
        if known.feed != config.feed:
            raise BadAccount(
                f"account {config.account} trades on the quotes of {known.feed}, and its journal is of those: name "
                f"another account for {config.feed}"
            )
        if known.currency != config.currency:
            raise BadAccount(
                f"account {config.account} is in {known.currency}, and what it earned is counted in it: name another "
                f"account for {config.currency}"
            )
        return dataclasses.replace(
            config, partition=known.partition, order_base=known.order_base, balance=known.balance
        )  # fmt: skip
    taken = {r.partition for r in accounts.values()}
    free = next((p for p in range(ACCOUNT_TOPICS["journal"].partitions) if p not in taken), None)
    if free is None:
        raise BadAccount(f"the log has {len(taken)} accounts, and no partition is free for {config.account}")
    return dataclasses.replace(config, partition=free, order_base=(free + 1) * ORDERS_EACH)


def strategy_configs(account: str, shares: Sequence[Share], consensus: Consensus) -> list[StrategyConfig]:
    """How the account trades its instances, by the consensus of the first and the others."""
    first, others = _ROLES[consensus]
    return [strategy_config(account, share, others if place else first) for place, share in enumerate(shares)]


def strategy_config(account: str, share: Share, role: str, *, active: bool = True) -> StrategyConfig:
    """How the account trades one instance, with blank chain fields. Raises BadAccount for a role that there isn't."""
    if role not in ROLES:
        raise BadAccount(f"role {role!r}: there are {', '.join(ROLES)}")
    weight = share.weight
    if weight is None:
        weight = USUAL_WEIGHT if role == WEIGH else 1.0
    return StrategyConfig(
        account=account, instance=share.instance, sizing=share.sizing, size=share.size, max_lots=share.max_lots,
        role=role, weight=weight, active=active, **UNWRITTEN,
    )  # fmt: skip


def limits_of(account: str, file: Path | None = None) -> RiskLimits:
    """The limits in a TOML file, or the usual ones. Raises BadFile, BadAccount."""
    told = DEFAULT_LIMITS if file is None else read_limits(file)
    try:
        limits = limits_from_toml(told, account)
    except BadLimit as error:
        raise BadFile(f"{file}: {error}") from error
    try:
        check_limits(limits)
    except BadAccount as error:
        raise BadAccount(f"{file}: {error}") from error
    return limits


def check_plan(plan: Plan) -> None:
    """Raises BadAccount for what can't be meant."""
    config, limits = plan.config, plan.limits
    check_finite([config, limits])
    if config.leverage <= 0 or config.balance <= 0:
        raise BadAccount(
            f"account {config.account}: balance {config.balance} and leverage {config.leverage} must be > 0"
        )
    twice = [s.instance for at, s in enumerate(plan.shares) if s.instance in {o.instance for o in plan.shares[:at]}]
    if twice:
        raise BadAccount(f"account {config.account} trades {twice[0]} twice: name each instance once")
    if plan.consensus != "independent" and len(plan.shares) < 2:
        raise BadAccount(f"consensus {plan.consensus} needs two strategies at least, and {config.account} trades fewer")
    check_limits(limits)
    for share in plan.shares:
        check_share(share, limits)


def check_limits(limits: RiskLimits) -> None:
    """Raises BadAccount for limits of which one can never be reached because of another."""
    pairs = (
        ("max_lots", "max_symbol_lots", "one order would exceed what its symbol may have"),
        ("max_daily_loss", "max_drawdown", "the drawdown is reached before any day's loss"),
        ("max_orders_per_minute", "max_requests_per_day", "a minute may not have more than its day"),
    )
    for one, other, why in pairs:
        low, high = getattr(limits, one), getattr(limits, other)
        if low is not None and high is not None and low > high:
            raise BadAccount(f"{one} = {low:g} is above {other} = {high:g}: {why}; correct one of them")
    gross, one_currency = limits.max_gross_notional, limits.max_currency_exposure
    if gross is not None and one_currency is not None and one_currency > gross:
        raise BadAccount(
            f"max_currency_exposure = {one_currency:g} is above max_gross_notional = {gross:g}: what is held in all "
            "reaches its limit first; correct one of them"
        )


def check_share(share: Share, limits: RiskLimits | None) -> None:
    """Raises BadAccount for a size that can't be traded, a largest entry or a weight that is none."""
    if not 0 < share.size < math.inf:
        raise BadAccount(f"{share.instance}: its size {share.size:g} must be above 0, and finite")
    if not 0 <= share.max_lots < math.inf:
        raise BadAccount(
            f"{share.instance}: max_lots = {share.max_lots:g}: it must be a finite number of lots above 0, or 0 for no "
            "limit but the account's"
        )
    if share.weight is not None and not 0 <= share.weight <= 1:
        raise BadAccount(
            f"{share.instance}: weight = {share.weight:g}: it must be from 0 (entries to the other side keep their "
            "size) to 1 (they are stopped)"
        )
    if share.sizing is not Sizing.LOTS:
        if share.size > 1:
            raise BadAccount(
                f"{share.instance}: {share.size:g} of equity can't be risked: write 0.01 or 1% for a hundredth"
            )
    elif limits is not None and limits.max_lots is not None and share.size > limits.max_lots:
        raise BadAccount(
            f"{share.instance} is to trade {share.size:g} lots, and max_lots = {limits.max_lots:g}: every entry would "
            "be cut; correct one of them"
        )


def check_reach(limits: RiskLimits | None, specs: Sequence[ListingSpec], shares: Iterable[Share] = ()) -> None:
    """Raises BadAccount for most lots below the smallest order of every listing: nothing would ever be traded. Without
    specs nothing is known."""
    told = [(name, getattr(limits, name, None)) for name in ("max_lots", "max_symbol_lots")]
    told += [(f"{share.instance}: max_lots", share.max_lots or None) for share in shares]
    for name, lots in told:
        if lots is None or not math.isfinite(lots) or not specs or any(fitted(exact(lots), spec) for spec in specs):
            continue
        least, listing = min((max(least_of(spec), step_of(spec)), spec.listing) for spec in specs)
        raise BadAccount(
            f"{name} = {lots:g} is below the smallest order, {least} lots of {listing}: every entry would be refused; "
            f"make it {least} at least, or leave it out"
        )


def specs_of(records: Iterable[ReferenceRecord], feed: str, listings: Sequence[str] = ()) -> list[ListingSpec]:
    """The newest spec of each of the listings, or of all that the feed has."""
    found = {r.listing: r for r in records if isinstance(r, ListingSpec) and r.listing.partition("/")[0] == feed}
    return [spec for name, spec in found.items() if not listings or name in listings]


def check_finite(records: Iterable[ReferenceRecord]) -> None:
    """Raises BadAccount for a number that isn't finite: NaN differs from itself, so its record would be missing again
    each time that it was written."""
    for record in records:
        for field in dataclasses.fields(record):
            told = getattr(record, field.name)
            for value in told if isinstance(told, tuple) else (told,):
                if isinstance(value, float | Decimal) and not math.isfinite(value):
                    about = getattr(record, "account", "") or getattr(record, "instance", "")
                    raise BadAccount(
                        f"{type(record).__name__} of {about}: {field.name} = {value} can't be written: give a finite "
                        "number"
                    )


def newest(records: Iterable[ReferenceRecord], kind: type[C], account: str, instance: str | None = None) -> C | None:
    """The last record of a kind that is about the account, and the instance."""
    its = [r for r in records if isinstance(r, kind) and r.account == account]
    return next((r for r in reversed(its) if instance in (None, getattr(r, "instance", None))), None)


def _unless_same(known: C | None, wanted: C) -> list[C]:
    if known is not None and dataclasses.replace(known, **UNWRITTEN) == dataclasses.replace(wanted, **UNWRITTEN):
        return []
    return [wanted]
