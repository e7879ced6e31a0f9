"""Configuration as it comes into force, by the account's own copy of `reference` in its journal."""

from __future__ import annotations

from schemas.configuration import AccountConfig, RiskLimits, StrategyConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from schemas.identity import operator_id
from streams.operators.desk.accounting import as_records
from streams.operators.desk.limits import begin_day
from streams.operators.desk.state import Configured, Dated
from streams.operators.desk.turn import Turn, units

DESK = "desk"


def take_reference(turn: Turn, record: ReferenceRecord) -> None:
    """Takes a record of `reference`: in force now, or kept until it is. What doesn't concern a desk is passed by."""
    state = turn.state
    if not isinstance(record, Configured) or getattr(record, "account", state.account) != state.account:
        return
    state.ref_no = max(state.ref_no, record.ref_no)
    if isinstance(record, OperatorActivation):
        _activate(turn, record)
    elif record.effective_from_us <= turn.us:
        configure(turn, record)
    else:
        state.future.append(record)
        state.future.sort(key=lambda known: (known.effective_from_us, known.ref_no))


def configure(turn: Turn, record: Dated) -> None:
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
    else:
        state.sessions[record.listing] = record


def _activate(turn: Turn, activation: OperatorActivation) -> None:
    """What is said from here on is that of a desk's activation for this account, and numbered anew."""
    state = turn.state
    if activation.operator == DESK and activation.active and state.account in activation.listings:
        turn.out[:] = as_records(state, turn.out)
        state.operator = operator_id(activation.instance, activation.ref_no)
        state.out_seqs.clear()


def _open_account(turn: Turn, config: AccountConfig) -> None:
    """The account's first config opens it with its balance; a later one changes how it trades on."""
    state = turn.state
    first, state.config = state.config is None, config
    state.next_order = max(state.next_order, config.order_base + 1)
    if first:
        state.balance += config.balance
        state.peak = units(state.balance)
        begin_day(turn)
