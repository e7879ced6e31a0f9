"""How a position is left: where its stop and target are to be, and the orders that close it.

Stop, target, trailing stop and break-even are the broker's, moved by ModifyRequested when they are at least a point
away and stops and freeze level allow it; else once a later quote does. After the fill, levels only tighten. Time exits,
partials, opposite signals and Flat are orders of the desk, and so is the exit at a target that the broker doesn't have;
one that doesn't close what it should is issued again under a new number, each time later, until the position is gone.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from agents.money import ZERO, Quote, exact
from agents.volumes import least_of, most_of, stepped
from schemas.events import Side
from schemas.executions import OrderState
from schemas.trading import CancelRequested, ExitReason, ModifyRequested, OrderPurpose, OrderType, Submitted
from streams.operators.desk.accounting import point_of
from streams.operators.desk.orders import FINAL, OrderEvent, move
from streams.operators.desk.state import NEVER_US, Order, Position
from streams.operators.desk.turn import Turn, caused

SECOND_US: Final = 1_000_000
BACKOFF_US: Final = SECOND_US
"""A failed exit or modification waits so long, then twice as long …"""
LONGEST_DOUBLINGS: Final = 8
ANSWER_US: Final = 30 * SECOND_US
"""A modification that isn't answered for so long counts as lost."""
_TOLERANCE: Final = 0.1
"""Of a point: doubles that mean the same price differ less."""


def closing_quote(position: Position, quote: Quote) -> float:
    """The price at which it would be closed, times -1 for a short: higher is better."""
    return quote.bid if position.side is Side.LONG else -quote.ask


def wanted(position: Position) -> tuple[float | None, float | None, ExitReason]:
    """Stop and target that the plan asks for, and what kind of stop it is."""
    plan, sign, digits = position.plan, position.sign, position.digits
    stop = target = None
    kind = ExitReason.STOP
    if plan is not None and plan.stop_distance is not None:
        stop = round(position.price - sign * plan.stop_distance, digits)
    if plan is not None and plan.target_distance is not None:
        target = round(position.price + sign * plan.target_distance, digits)
    if position.floor is not None and (stop is None or sign * position.floor > sign * stop):
        stop, kind = position.floor, position.floor_kind
    return stop, target, kind


def tighten(position: Position, level: float, kind: ExitReason) -> None:
    """Lets the stop follow to `level`, never back."""
    level = round(level, position.digits)
    if position.floor is None or position.sign * level > position.sign * position.floor:
        position.floor, position.floor_kind = level, kind


def manage(turn: Turn, position: Position, *, quoted: bool) -> None:
    """Brings stop and target to where the plan wants them, as far as they may be moved now.

    `quoted`: a new quote came; only then break-even, partial and a target that the broker lacks are judged.
    """
    quote = turn.state.quotes.get(position.listing)
    position.above, position.below = math.inf, -math.inf
    if position.plan is None or position.leaving or quote is None:
        return
    if quoted:
        if closing_quote(position, quote) >= _lacking_target(position):
            leave(turn, position, ExitReason.TARGET)
            return
        _judge_gain(turn, position, closing_quote(position, quote))
    _arm_gain(position)
    if not position.asked_us and not position.modify_at_us:
        _move_levels(turn, position, closing_quote(position, quote))


def leave(turn: Turn, position: Position, reason: ExitReason) -> None:
    """Closes all of it, unless that is under way."""
    if position.leaving:
        return
    position.exit_reason, position.exit_volume = reason, ZERO
    position.exit_retries = position.exit_at_us = position.time_exit_us = 0
    position.above, position.below = math.inf, -math.inf
    if not position.exit_order:
        submit_exit(turn, position)


def retry_now(turn: Turn, position: Position) -> None:
    """Issues an exit at once that waits to be tried again; its waits begin anew."""
    position.exit_retries = 0
    if position.exit_at_us:
        submit_exit(turn, position)


def submit_exit(turn: Turn, position: Position) -> None:
    """The order that closes what is to be closed, at the market."""
    state = turn.state
    volume = min(position.exit_volume or position.volume, position.volume)
    if (spec := state.specs.get(position.listing)) is not None:
        volume = min(volume, most_of(spec))
    quote = state.quotes.get(position.listing) or Quote(0.0, 0.0)
    side = Side.SHORT if position.side is Side.LONG else Side.LONG
    order = Order(
        order_no=take_number(turn), instance=position.instance, listing=position.listing, cause=position.cause,
        purpose=OrderPurpose.EXIT, type=OrderType.MARKET, side=side, volume=volume, price=None, sl=None, tp=None,
        position=position.position, reason=position.exit_reason, decision_bid=quote.bid, decision_ask=quote.ask,
    )  # fmt: skip
    position.exit_order, position.exit_at_us = order.order_no, 0
    submit(turn, order, quote.n, valid_until_us=0, expires_ms=0, retry=position.exit_retries)


def exit_ended(turn: Turn, order: Order) -> None:
    """An exit order is over, or nobody knows: what is left of its task is issued again."""
    position = turn.state.positions.get(order.position)
    if position is None or position.exit_order != order.order_no:
        return
    if order.state not in (*FINAL, OrderState.UNKNOWN):
        return
    position.exit_order = 0
    if position.exit_volume:
        # Filled is the venue's word for all of it, even while one of its deals is still on the way.
        position.exit_volume -= order.volume if order.state is OrderState.FILLED else order.filled
        if position.exit_volume <= ZERO:
            position.exit_volume, position.exit_reason, position.exit_retries = ZERO, ExitReason.NONE, 0
            manage(turn, position, quoted=False)
            return
    elif order.reason is ExitReason.PARTIAL:
        # All of it is to go by now.
        submit_exit(turn, position)
        return
    position.exit_at_us = turn.us + _wait_us(position.exit_retries)
    position.exit_retries += 1


def timers_due(position: Position) -> int:
    """When something is to be done without a new quote, UTC microseconds; NEVER_US = not."""
    due = NEVER_US
    for us in (position.time_exit_us, position.exit_at_us, position.modify_at_us):
        if us:
            due = min(due, us)
    return min(due, position.asked_us + ANSWER_US) if position.asked_us else due


def ring(turn: Turn, position: Position) -> None:
    """Does what is due by now."""
    if position.time_exit_us and position.time_exit_us <= turn.us:
        position.time_exit_us = 0
        leave(turn, position, ExitReason.TIME)
    if position.exit_at_us and position.exit_at_us <= turn.us:
        submit_exit(turn, position)
    if position.asked_us and position.asked_us + ANSWER_US <= turn.us:
        position.asked_us = 0
        position.modify_retries += 1
        manage(turn, position, quoted=False)
    if position.modify_at_us and position.modify_at_us <= turn.us:
        position.modify_at_us = 0
        manage(turn, position, quoted=False)


def modified(turn: Turn, position: Position, sl: float | None, tp: float | None) -> None:
    """The venue took a modification; `sl` and `tp` as it tells them, None = as asked."""
    if not position.asked_us:
        return
    position.sl = position.asked_sl if sl is None else sl
    position.tp = position.asked_tp if tp is None else tp
    position.sl_kind = position.asked_kind
    position.asked_us = position.modify_retries = 0
    manage(turn, position, quoted=False)


def given_back(turn: Turn, position: Position, sl: float | None, tp: float | None) -> None:
    """The gateway set levels that the position had lost at the venue: exactly these, None = none.

    Where the price has passed the target, or is too near to it, the venue takes the stop alone: a request with both
    would be refused for as long, and the stop couldn't follow.
    """
    position.sl, position.tp = sl, tp
    manage(turn, position, quoted=False)


def modification_refused(turn: Turn, position: Position) -> None:
    """The venue didn't take it: it is tried again later."""
    if not position.asked_us:
        return
    position.asked_us = 0
    position.modify_at_us = turn.us + _wait_us(position.modify_retries)
    position.modify_retries += 1


def withdraw(turn: Turn, order: Order, reason: ExitReason) -> None:
    """Takes an entry back; what it fills in spite of that is closed again."""
    order.leave = reason
    if order.held or order.state is OrderState.CANCEL_REQUESTED:
        return
    move(turn, order, OrderEvent.CANCEL, "withdrawn")
    count_request(turn)
    turn.order(CancelRequested, order_no=order.order_no, instance=order.instance, listing=order.listing, reason=reason)


def submit(turn: Turn, order: Order, decision_n: int, *, valid_until_us: int, expires_ms: int, retry: int) -> None:
    """Puts an order into the table and says so."""
    turn.state.orders[order.order_no] = order
    count_request(turn)
    turn.order(
        Submitted, order_no=order.order_no, instance=order.instance, listing=order.listing, **caused(order.cause),
        purpose=order.purpose, type=order.type, side=order.side, volume=float(order.volume), price=order.price,
        sl=order.sl, tp=order.tp, position=order.position, valid_until_us=valid_until_us, expires_ms=expires_ms,
        reason=order.reason, retry=retry, decision_n=decision_n, decision_bid=order.decision_bid,
        decision_ask=order.decision_ask,
    )  # fmt: skip


def take_number(turn: Turn) -> int:
    """The next order number."""
    number = turn.state.next_order
    turn.state.next_order = number + 1
    return number


def count_request(turn: Turn) -> None:
    """One more request to the broker today."""
    turn.state.requests_today += 1


def _wait_us(retries: int) -> int:
    return int(BACKOFF_US << min(retries, LONGEST_DOUBLINGS))


def _judge_gain(turn: Turn, position: Position, value: float) -> None:
    """Break-even and partial, once so many stop distances are gained."""
    plan = position.plan
    assert plan is not None
    if not position.breakeven_done and value >= _gain(position, plan.breakeven_at):
        position.breakeven_done = True
        tighten(position, position.price, ExitReason.BREAKEVEN)
    if (
        not position.partial_done
        and position.exit_reason is ExitReason.NONE
        and value >= _gain(position, plan.partial_at)
    ):
        position.partial_done = True
        volume = _partial(turn, position, plan.partial_share or 0.0)
        if volume > ZERO:
            position.exit_reason, position.exit_volume, position.exit_retries = ExitReason.PARTIAL, volume, 0
            submit_exit(turn, position)


def _partial(turn: Turn, position: Position, share: float) -> Decimal:
    """Lots of a partial exit; 0 if they or the rest would be below the smallest order."""
    spec = turn.state.specs.get(position.listing)
    if spec is None:
        return ZERO
    volume = stepped(position.entered * exact(share), spec)
    least = least_of(spec)
    return volume if volume >= least and position.volume - volume >= least else ZERO


def _gain(position: Position, at: float | None) -> float:
    """The closing quote at which so many stop distances are gained; infinite = never."""
    plan = position.plan
    if at is None or plan is None or plan.stop_distance is None:
        return math.inf
    return position.sign * position.price + at * plan.stop_distance - _TOLERANCE * 10.0**-position.digits


def _lacking_target(position: Position) -> float:
    """The closing quote at which the plan's target is reached that the broker doesn't have; infinite = never."""
    if position.tp is not None or (target := wanted(position)[1]) is None:
        return math.inf
    return position.sign * target - _TOLERANCE * 10.0**-position.digits


def _arm_gain(position: Position) -> None:
    """Tells the clock at which quote break-even and partial are due, and a target that the broker doesn't have."""
    plan = position.plan
    assert plan is not None
    position.above = min(position.above, _lacking_target(position))
    if not position.breakeven_done:
        position.above = min(position.above, _gain(position, plan.breakeven_at))
    if not position.partial_done:
        position.above = min(position.above, _gain(position, plan.partial_at))


def _move_levels(turn: Turn, position: Position, value: float) -> None:
    """Asks for stop and target where they differ and may be moved; else tells the clock when they may."""
    stop, target, kind = wanted(position)
    spec = turn.state.specs.get(position.listing)
    point = point_of(spec, position.digits)
    sl, tp, sign = position.sl, position.tp, position.sign
    levels = spec.stops_level if spec is not None else 0
    freeze = (spec.freeze_level if spec is not None else 0) * point
    near = (max(levels, 1) - _TOLERANCE) * point
    new_sl, new_tp = sl, tp
    # While the price is within the freeze level of a level in force, nothing of the position may be changed.
    free = True
    if freeze:
        if sl is not None and value <= sign * sl + freeze:
            free = False
            position.above = min(position.above, sign * sl + freeze + _TOLERANCE * point)
        if tp is not None and value >= sign * tp - freeze:
            free = False
            position.below = max(position.below, sign * tp - freeze - _TOLERANCE * point)
    if stop is not None and _differ(stop, sl, point):
        if value >= sign * stop + near:
            new_sl = stop
        else:
            position.above = min(position.above, sign * stop + near)
    if target is not None and _differ(target, tp, point):
        if value <= sign * target - near:
            new_tp = target
        else:
            position.below = max(position.below, sign * target - near)
    if not free or (new_sl == sl and new_tp == tp):
        return
    moved = new_sl != sl
    position.asked_sl, position.asked_tp, position.asked_us = new_sl, new_tp, turn.us
    position.asked_kind = kind if moved else position.sl_kind
    count_request(turn)
    turn.order(
        ModifyRequested, order_no=position.order_no, instance=position.instance, listing=position.listing,
        position=position.position, sl=new_sl, tp=new_tp,
        reason=kind if moved and kind is not ExitReason.STOP else ExitReason.NONE,
    )  # fmt: skip


def _differ(level: float, now: float | None, point: float) -> bool:
    """Whether they are at least a point apart."""
    return now is None or abs(level - now) > (1.0 - _TOLERANCE) * point
