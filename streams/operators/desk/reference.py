"""Configuration as it comes into force, by the account's own copy of `reference` in its journal."""

from __future__ import annotations

from schemas.configuration import AccountConfig, RiskLimits, SessionTable, StrategyConfig
from schemas.events import ListingSpec, ReferenceRecord
from schemas.identity import operator_id
from streams.operators.desk.limits import begin_day
from streams.operators.desk.state import Configured
from streams.operators.desk.turn import Turn, units

DESK = "desk"


def take_reference(turn: Turn, record: ReferenceRecord) -> None:
    """Takes a record of `reference`: in force now, or kept until it is. What doesn't concern a desk is passed by."""
    state = turn.state
    if not isinstance(record, Configured) or getattr(record, "account", state.account) != state.account:
        return
    state.ref_no = max(state.ref_no, record.ref_no)
    if record.effective_from_us <= turn.us:
        configure(turn, record)
    else:
        state.future.append(record)
        state.future.sort(key=lambda known: (known.effective_from_us, known.ref_no))


def configure(turn: Turn, record: Configured) -> None:
    """Puts a record into force."""
    state = turn.state
    state.cache.clear()
    if isinstance(record, AccountConfig):
        _open_account(turn, record)
    elif isinstance(record, StrategyConfig):
        state.strategies[record.instance] = record
    elif isinstance(record, RiskLimits):
        state.limits = record
    elif isinstance(record, ListingSpec):
        state.specs[record.listing] = record
    elif isinstance(record, SessionTable):
        state.sessions[record.listing] = record
    elif record.operator == DESK and record.active:
        state.operator = operator_id(record.instance, record.ref_no)


def _open_account(turn: Turn, config: AccountConfig) -> None:
    """The account's first config opens it with its balance; a later one changes how it trades on."""
    state = turn.state
    first, state.config = state.config is None, config
    state.next_order = max(state.next_order, config.order_base + 1)
    if first:
        state.balance += config.balance
        state.peak = units(state.balance)
        begin_day(turn)
