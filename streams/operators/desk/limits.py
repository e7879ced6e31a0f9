"""What the account may do: ACTIVE, REDUCING, HALTED, by people's commands and by the limits that it reaches.

REDUCING: only entries against what is held on balance. HALTED: no entries, and those that wait at their price are taken
back. In both, positions keep their plan and exits are made as ever. A reached limit BLOCKs (HALTED), REDUCEs (REDUCING)
or FLATTENs (HALTED, and all is closed). A daily loss holds until the trading day ends; a drawdown until a RESUME, which
begins a new peak.
"""

from __future__ import annotations

import dataclasses
import json

from agents.risk import BadLimit, DayStart, breaches, limits_from_toml, trading_day
from schemas.configuration import BreachAction
from schemas.executions import Command, CommandKind
from schemas.trading import ExitReason, LimitBreached, OrderPurpose, TradingState, TradingStateChanged
from streams.operators.desk.accounting import equity_units
from streams.operators.desk.day_clock import clock_offset_s, next_day_us
from streams.operators.desk.exits import leave, retry_now, withdraw
from streams.operators.desk.state import DeskState
from streams.operators.desk.turn import MONEY_DIGITS, Turn

DAILY = "daily_loss"
_COMMAND = "command"
_UNITS = 10**MONEY_DIGITS
_STATES = {BreachAction.REDUCE: TradingState.REDUCING}


def judge_limits(turn: Turn) -> None:
    """Moves the peak to the equity of now, and acts on what is reached for the first time."""
    state = turn.state
    equity = equity_units(state)
    state.peak = max(state.peak, equity)
    limits = state.limits
    if limits is None or state.day is None or limits.max_daily_loss is limits.max_drawdown is None:
        return
    basis = state.day.basis(limits.daily_loss_basis)
    for breach in breaches(limits, equity / _UNITS, basis, state.peak / _UNITS):
        if breach.limit in state.breached:
            continue
        state.breached.append(breach.limit)
        turn.say(
            "risk", LimitBreached, limit=breach.limit, threshold=breach.threshold, measured=breach.measured,
            unit=breach.unit, action=breach.action,
        )  # fmt: skip
        goal = _STATES.get(breach.action, TradingState.HALTED)
        if state.trading is not TradingState.HALTED:
            _set(turn, goal, f"{breach.limit} {breach.measured:.4g} reached {breach.threshold:g}", "")
        if breach.action is BreachAction.FLATTEN:
            flatten(turn, ExitReason.LIMIT)


def begin_day(turn: Turn) -> None:
    """A trading day begins at the turn's time: the day's loss counts from here."""
    state = turn.state
    clock = state.config.day_clock if state.config else "utc"
    equity = equity_units(state) / _UNITS
    day = trading_day(turn.us, clock_offset_s(clock, turn.us))
    state.day = DayStart(day, float(state.balance), equity)
    state.next_day_us = next_day_us(clock, turn.us)
    state.requests_today = 0
    if DAILY in state.breached:
        state.breached.remove(DAILY)
        # What a person or another limit stopped stays so.
        if not state.breached and state.halted_by == DAILY:
            _set(turn, TradingState.ACTIVE, "a new trading day began", "")


def on_command(turn: Turn, command: Command) -> None:
    """What a person asks. Halt and flatten never expire."""
    state = turn.state
    adds_risk = command.kind in (CommandKind.RESUME, CommandKind.SET_LIMITS)
    if adds_risk and command.valid_until_us and turn.us > command.valid_until_us:
        _set(turn, state.trading, f"{command.kind.lower()} came too late and is dropped", command.who)
    elif command.kind is CommandKind.HALT:
        _halt(turn, command)
    elif command.kind is CommandKind.RESUME:
        if "drawdown" in state.breached:
            state.peak = equity_units(state)
        # The day's loss stays reached, or the next quote would stop the account again.
        state.breached = [limit for limit in state.breached if limit == DAILY]
        _set(turn, TradingState.ACTIVE, command.why or "resume", command.who)
    elif command.kind is CommandKind.FLATTEN:
        _halt(turn, command)
        flatten(turn, ExitReason.COMMAND)
    elif command.kind is CommandKind.SET_LIMITS:
        _set_limits(turn, command)


def flatten(turn: Turn, reason: ExitReason) -> None:
    """Closes every position of ours, at once also where an exit waits; what isn't ours is never touched."""
    state = turn.state
    _withdraw_entries(turn, reason)
    for number in sorted(state.positions):
        position = state.positions[number]
        if position.instance and position.leaving:
            retry_now(turn, position)
        elif position.instance:
            leave(turn, position, reason)


def floors(state: DeskState) -> tuple[int, float]:
    """What the clock watches for, never later than `judge_limits` would act: equity (units of 10^-8; smallest int64 =
    none) of the day's loss, and the share of the peak (-1 = none) that is left at the drawdown."""
    limits, daily, kept = state.limits, -(2**63), -1.0
    if limits is None or state.day is None:
        return daily, kept
    if limits.max_daily_loss is not None and DAILY not in state.breached:
        basis = state.day.basis(limits.daily_loss_basis)
        daily = int(basis * (1.0 - limits.max_daily_loss) * _UNITS) + _UNITS
    if limits.max_drawdown is not None and "drawdown" not in state.breached:
        kept = 1.0 - limits.max_drawdown + 1e-9
    return daily, kept


def _set_limits(turn: Turn, command: Command) -> None:
    state = turn.state
    try:
        told = json.loads(command.argument)
        if not isinstance(told, dict):
            raise BadLimit('they are to be a JSON object, such as {"max_positions": 3}')
        limits = limits_from_toml(told, state.account)
    except (ValueError, BadLimit) as error:
        _set(turn, state.trading, f"limits are not changed: {error}", command.who)
        return
    if state.limits is not None:
        kept = {name: getattr(limits, name) for name in _named(told)}
        limits = dataclasses.replace(state.limits, **kept)
    state.limits = limits
    _set(turn, state.trading, f"limits changed: {command.argument}", command.who)


def _named(told: dict[str, object]) -> list[str]:
    """Fields of RiskLimits that a table names."""
    return [f"{name}_ms" if name == "loss_streak_pause" else name for name in told]


def _halt(turn: Turn, command: Command) -> None:
    """Stops the account until a RESUME, also if a limit had stopped it already: a new day doesn't undo it."""
    _set(turn, TradingState.HALTED, command.why or command.kind.lower(), command.who)
    turn.state.halted_by = _COMMAND


def _set(turn: Turn, goal: TradingState, cause: str, who: str) -> None:
    """Changes what may be done, or only says why it stays."""
    state = turn.state
    before, state.trading = state.trading, goal
    if goal is not before:
        state.halted_by = "" if goal is TradingState.ACTIVE else _COMMAND if who else (state.breached or [""])[-1]
    turn.say("risk", TradingStateChanged, state=goal, before=before, cause=cause, who=who)
    if goal is TradingState.HALTED and before is not goal:
        _withdraw_entries(turn, ExitReason.COMMAND if who else ExitReason.LIMIT)


def _withdraw_entries(turn: Turn, reason: ExitReason) -> None:
    state = turn.state
    for number in sorted(state.orders):
        order = state.orders[number]
        if order.purpose is OrderPurpose.ENTRY and order.leave is ExitReason.NONE:
            withdraw(turn, order, reason)
