"""Deals into positions and cash: late, repeated, out of order or in parts, each counts once.

Hedging accounts give each opening deal's order a position of its own; in netting ones deals of one symbol share it, and
a deal may turn it round (INOUT). A deal that closes more than is known to be open waits for the deals that opened it.

The volume of an adopted position is told by Adopted records, which come before or after its deals. Its deals change it
at once, or what they close would count twice, booked and open; what a record told before its deal isn't counted again.
What is attributed, entry commissions of what is open and deals that wait sum to what the balance changed by.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeGuard

from agents.money import ZERO, exact
from agents.risk import Streak, after_trade
from schemas.events import Side
from schemas.executions import Adopted, DealEntry, DealReason, Filled
from schemas.trading import ExitReason, Fill, OrderPurpose, OrderType, PnlAttributed, PositionChanged
from streams.operators.desk.accounting import (
    Costs,
    bound_margin,
    costs_of,
    money_digits,
    share_of,
    taken_before,
)
from streams.operators.desk.exits import exit_ended, leave, manage, tighten
from streams.operators.desk.orders import OrderEvent, found, move
from streams.operators.desk.state import KEPT_EARLY, KEPT_STRANGERS, Cause, Closed, Deal, Order, Position, place
from streams.operators.desk.turn import Turn, caused

_OPENS = (DealEntry.IN, DealEntry.INOUT)
_BY_VENUE = {
    DealReason.SL: ExitReason.STOP,
    DealReason.TP: ExitReason.TARGET,
    DealReason.SO: ExitReason.STOP_OUT,
}


def on_deal(turn: Turn, deal: Deal) -> None:
    """Takes a deal: cash, order, position, and what the plan does next."""
    state = turn.state
    if taken_before(state.deals, deal.deal):
        return
    state.balance += deal.profit + deal.commission + deal.swap
    order = _order_of(turn, deal)
    if order is not None:
        order.filled += exact(deal.volume)
        whole = isinstance(deal, Filled) or order.filled >= order.volume
        move(turn, order, OrderEvent.FILL if whole else OrderEvent.PARTIAL, "filled" if whole else "filled in part")
    if deal.entry in _OPENS:
        _on_opening(turn, deal, order)
    else:
        _on_closing(turn, deal, order)
    if order is not None and order.purpose is OrderPurpose.EXIT:
        exit_ended(turn, order)


def on_adopted(turn: Turn, adopted: Adopted) -> None:
    """Takes the venue's word on a position that isn't ours; one of ours that it tells of is left to its deals."""
    state = turn.state
    position = state.positions.get(adopted.position)
    if position is not None and not position.adopted:
        return
    volume = exact(adopted.volume)
    if position is None:
        if not volume:
            return
        position = state.strangers.pop(adopted.position, None)
        if position is None:
            position = _met(turn, adopted, volume)
        else:
            _expect(position, adopted.side, volume)
        state.positions[adopted.position] = position
    else:
        _expect(position, adopted.side, volume)
    position.volume = position.entered = volume
    position.side, position.price, position.sl, position.tp = adopted.side, adopted.price, adopted.sl, adopted.tp
    position.margin = bound_margin(state, adopted.listing, volume, adopted.price)
    if not volume:
        _remove(turn, position)
    say_changed(turn, position, "adopted")
    if not volume:
        _settle(turn, position)
    _let_early_close(turn, adopted.position)


def _met(turn: Turn, adopted: Adopted, volume: Decimal) -> Position:
    """A position of which an Adopted record is the first word, or all but the deals that wait for it."""
    # What closed before is told with it.
    closed = [d for d in turn.state.early if d.position == adopted.position and d.side is not adopted.side]
    ahead = sum((exact(deal.volume) for deal in closed), ZERO)
    return Position(
        position=adopted.position, order_no=adopted.order_no, instance="", listing=adopted.listing,
        side=adopted.side, digits=_digits(turn, adopted.listing), cause=Cause(), plan=None, opened_us=turn.us,
        adopted=True, unopened=volume + ahead, ahead=ahead,
    )  # fmt: skip


def _expect(position: Position, side: Side, volume: Decimal) -> None:
    """An adopted position is told to be so large now: deals that make the difference are counted with that."""
    if side is position.side:
        position.ahead += position.volume - volume
    else:
        position.ahead = -(position.ahead + position.volume + volume)
        position.unopened = -position.unopened


def say_changed(turn: Turn, position: Position, cause: str) -> None:
    """PositionChanged, with the position as it is."""
    if turn.terse:
        turn.pass_over("portfolio")
        return
    turn.say(
        "portfolio", PositionChanged, position=position.position, order_no=position.order_no,
        instance=position.instance, listing=position.listing, side=position.side, volume=float(position.volume),
        price=position.price, sl=position.sl, tp=position.tp, realized=position.realized,
        opened_us=position.opened_us, cause=cause,
    )  # fmt: skip


def _order_of(turn: Turn, deal: Deal) -> Order | None:
    """The order of ours that made the deal. What closes a position may name the order that opened it: that is none."""
    if not deal.order_no or deal.reason in _BY_VENUE:
        return None
    position = turn.state.positions.get(deal.position)
    if deal.entry not in _OPENS and position is not None and position.order_no == deal.order_no:
        return None
    return found(turn, deal.order_no)


def _on_opening(turn: Turn, deal: Deal, order: Order | None) -> None:
    state = turn.state
    position = _known(turn, deal)
    volume = exact(deal.volume)
    commission = deal.commission
    if deal.entry is DealEntry.INOUT:
        turned = position or _unknown(turn, deal)
        turns = turned.adopted and deal.position in state.positions and turned.side is not deal.side
        closing = min(turned.volume if turns or not turned.adopted else turned.entered, volume)
        part = share_of(commission, closing, volume, money_digits(state))
        _close(turn, turned, deal, closing, part, order)
        commission, volume = commission - part, volume - closing
        position = position if turned.adopted else None
        if turned.adopted and not turns:
            _pass_by(turned, deal, volume + closing)
        if not volume:
            return
        if turns:
            _turn_round(turn, turned, deal, volume)
    decision = _decision_price(deal, order)
    costs = costs_of(state, deal, volume, decision)
    if position is None:
        position = _opened(turn, deal, order)
        state.positions[deal.position] = position
    if added := _added(turn, position, deal, volume):
        before, position.volume = position.volume, position.volume + added
        position.price = float((exact(position.price) * before + exact(deal.price) * added) / position.volume)
        position.entered += added
        position.margin += bound_margin(state, deal.listing, added, deal.price)
    position.commission += commission
    position.spread += costs.spread
    position.slippage += costs.slippage
    position.realized += commission
    _say_fill(turn, deal, position, order, DealEntry.IN, volume, commission, ZERO, ZERO, costs, decision)
    say_changed(turn, position, "opened" if position.volume == volume else "added to")
    if deal.position in state.strangers:
        _settle(turn, position)
    _let_early_close(turn, deal.position)
    if deal.position not in state.positions:
        return
    if order is not None and order.leave is not ExitReason.NONE:
        leave(turn, position, order.leave)
    manage(turn, position, quoted=False)


def _added(turn: Turn, position: Position, deal: Deal, volume: Decimal) -> Decimal:
    """What is still to add to a position of the volume that a deal opens."""
    if not position.adopted:
        return volume
    if deal.entry is DealEntry.INOUT:
        return ZERO
    if deal.side is not position.side:
        _pass_by(position, deal, volume)
        return ZERO
    added = _not_told(position, volume)
    if added and turn.state.strangers.pop(deal.position, None) is not None:
        # What closed it before this came had closed only a part of it.
        turn.state.positions[deal.position] = position
    return added


def _not_told(position: Position, volume: Decimal) -> Decimal:
    """What Adopted records haven't told yet of the volume that a deal opens on the position's side."""
    told = min(max(-position.ahead, ZERO), volume)
    position.ahead += told
    opened = min(max(position.unopened, ZERO), volume - told)
    position.unopened -= opened
    return volume - told - opened


def _pass_by(position: Position, deal: Deal, volume: Decimal) -> None:
    """A deal from before an adopted position was turned round to where it is told to be, or was told to be gone."""
    if deal.side is position.side:
        rest = _not_told(position, volume)
        position.ahead += rest
    else:
        waited = min(max(-position.unopened, ZERO), volume)
        told = min(max(position.ahead, ZERO), volume - waited)
        position.ahead -= told
        position.unopened += volume - told


def _turn_round(turn: Turn, position: Position, deal: Deal, volume: Decimal) -> None:
    """An adopted position that a deal has closed and opened on its own side, with `volume`."""
    state = turn.state
    state.strangers.pop(position.position, None)
    state.positions[position.position] = position
    position.side, position.price, position.sl, position.tp = deal.side, deal.price, None, None
    position.volume = position.entered = volume
    position.margin = bound_margin(state, deal.listing, volume, deal.price)
    position.unopened, position.ahead = -position.unopened, -position.ahead


def _on_closing(turn: Turn, deal: Deal, order: Order | None) -> None:
    state = turn.state
    position = _known(turn, deal)
    if _holds(position, deal):
        _close(turn, position, deal, exact(deal.volume), deal.commission, order)
        return
    state.early.append(deal)
    if len(state.early) > KEPT_EARLY:
        early = state.early.pop(0)
        _close(turn, _unknown(turn, early), early, exact(early.volume), early.commission, _order_of(turn, early))


def _let_early_close(turn: Turn, number: int) -> None:
    """Deals that came before those that opened what they close."""
    state = turn.state
    for deal in [early for early in state.early if early.position == number]:
        position = state.positions.get(number)
        if _holds(position, deal):
            state.early.remove(deal)
            _close(turn, position, deal, exact(deal.volume), deal.commission, _order_of(turn, deal))


def _known(turn: Turn, deal: Deal) -> Position | None:
    """The position that a deal is of: an open one, or an adopted one that is gone."""
    return turn.state.positions.get(deal.position) or turn.state.strangers.get(deal.position)


def _holds(position: Position | None, deal: Deal) -> TypeGuard[Position]:
    """Whether a deal may close its volume of the position."""
    return position is not None and (position.adopted or position.volume >= exact(deal.volume))


def _unknown(turn: Turn, deal: Deal) -> Position:
    """What a deal closes of which nothing is known but perhaps the order that opened it: price and time are 0."""
    order = found(turn, deal.order_no) if deal.order_no else None
    return Position(
        position=deal.position, order_no=0, instance=order.instance if order else "", listing=deal.listing,
        side=Side.SHORT if deal.side is Side.LONG else Side.LONG, digits=_digits(turn, deal.listing),
        cause=order.cause if order else Cause(), plan=None, opened_us=0, adopted=True,
    )  # fmt: skip


def _opened(turn: Turn, deal: Deal, order: Order | None) -> Position:
    """The position of an order's first deal; of an order that isn't ours, without a plan."""
    entry = order if order is not None and order.purpose is OrderPurpose.ENTRY else None
    position = Position(
        position=deal.position,
        order_no=deal.order_no if entry else 0,
        instance=entry.instance if entry else "",
        listing=deal.listing,
        side=deal.side,
        digits=_digits(turn, deal.listing),
        cause=entry.cause if entry else Cause(),
        plan=entry.plan if entry else None,
        opened_us=turn.us,
    )
    if entry is not None:
        position.sl, position.tp = entry.sl, entry.tp
        if entry.trail is not None:
            tighten(position, entry.trail, ExitReason.TRAIL)
        if entry.plan is not None and entry.plan.max_hold_ms > 0:
            position.time_exit_us = turn.us + entry.plan.max_hold_ms * 1_000
    return position


def _close(
    turn: Turn, position: Position, deal: Deal, volume: Decimal, commission: Decimal, order: Order | None
) -> None:
    """Takes `volume` off the position and says what that part earned."""
    state, digits = turn.state, money_digits(turn.state)
    reason = _exit_reason(position, deal, order)
    decision = _decision_price(deal, order, position)
    costs = costs_of(state, deal, volume, decision)
    whole = max(position.entered, volume) if position.adopted else position.volume
    entry_commission = share_of(position.commission, volume, whole, digits)
    spread = share_of(position.spread, volume, whole, digits)
    slippage = share_of(position.slippage, volume, whole, digits)
    position.commission -= entry_commission
    position.spread -= spread
    position.slippage -= slippage
    position.realized += deal.profit + commission + deal.swap
    taken = _taken_off(position, deal, volume)
    if position.adopted:
        position.entered = whole - volume
    if taken:
        position.margin -= share_of(position.margin, taken, position.volume, digits)
        position.volume -= taken
    paid_spread, paid_slippage = -(spread + costs.spread), -(slippage + costs.slippage)
    paid_commission = entry_commission + commission
    _say_fill(turn, deal, position, order, DealEntry.OUT, volume, commission, deal.swap, deal.profit, costs, decision)
    _attribute(
        turn, position, volume=float(volume), exit_price=deal.price, reason=reason,
        gross=deal.profit - paid_spread - paid_slippage, spread=paid_spread, slippage=paid_slippage,
        commission=paid_commission, swap=deal.swap, net=deal.profit + paid_commission + deal.swap,
    )  # fmt: skip
    if not taken:
        return
    if not position.volume:
        _remove(turn, position)
    say_changed(turn, position, reason.lower())
    if not position.volume:
        _settle(turn, position)
        _gone(turn, position)
    elif position.exit_order == 0:
        manage(turn, position, quoted=False)


def _taken_off(position: Position, deal: Deal, volume: Decimal) -> Decimal:
    """What is still to take off a position of the volume that a deal closes."""
    if not position.adopted:
        return volume
    if deal.entry is DealEntry.INOUT and (deal.side is position.side or not position.volume):
        return ZERO
    if deal.side is position.side:
        # It is told as turned round already.
        _pass_by(position, deal, volume)
        return ZERO
    if exact(deal.volume) > volume:
        # It turns all of it round.
        return volume
    told = min(max(position.ahead, ZERO), volume)
    position.ahead -= told
    taken = min(volume - told, position.volume)
    # More than is known to be open: that much was opened, too.
    position.unopened += volume - told - taken
    return taken


def _remove(turn: Turn, position: Position) -> None:
    """Takes a position that is gone off what is open; deals that come late may still be of an adopted one."""
    state = turn.state
    del state.positions[position.position]
    if position.adopted:
        state.strangers[position.position] = position
        if len(state.strangers) > KEPT_STRANGERS:
            del state.strangers[next(iter(state.strangers))]


def _settle(turn: Turn, position: Position) -> None:
    """Attributes what no closing deal of a position that is gone has taken of its entry's commission."""
    rest = position.commission
    if rest:
        position.commission = ZERO
        _attribute(
            turn, position, volume=0.0, exit_price=0.0, reason=ExitReason.UNKNOWN, gross=ZERO, spread=ZERO,
            slippage=ZERO, commission=rest, swap=ZERO, net=rest,
        )  # fmt: skip


def _attribute(turn: Turn, position: Position, **parts: Any) -> None:
    turn.say(
        "portfolio", PnlAttributed, order_no=position.order_no, instance=position.instance,
        listing=position.listing, position=position.position, side=position.side, opened_us=position.opened_us,
        closed_us=turn.us, entry_price=position.price, **parts,
    )  # fmt: skip


def _gone(turn: Turn, position: Position) -> None:
    """What a closed position leaves behind: cool-down, streak, the instance's record."""
    state, instance, result = turn.state, position.instance, position.realized
    if not instance:
        return
    if position.plan is not None and position.plan.cooldown_ms > 0:
        state.cooldowns[place(instance, position.listing)] = turn.us + position.plan.cooldown_ms * 1_000
    if state.limits is not None:
        state.streaks[instance] = after_trade(
            state.streaks.get(instance, Streak()), float(result), turn.us, state.limits
        )
    known = state.closed.get(instance, Closed())
    state.closed[instance] = Closed(
        known.trades + 1,
        known.wins + (result > ZERO),
        known.won + max(result, ZERO),
        known.lost - min(result, ZERO),
    )


def _exit_reason(position: Position, deal: Deal, order: Order | None) -> ExitReason:
    if deal.reason is DealReason.SL:
        return position.sl_kind
    if deal.reason in _BY_VENUE:
        return _BY_VENUE[deal.reason]
    if order is not None and order.purpose is OrderPurpose.EXIT:
        return order.reason
    return ExitReason.OPPOSITE if order is not None else ExitReason.UNKNOWN


def _decision_price(deal: Deal, order: Order | None, position: Position | None = None) -> float:
    """What the price is measured against: the level that triggered it, or the quote that it was decided on."""
    if position is not None and deal.reason is DealReason.SL and position.sl is not None:
        return position.sl
    if position is not None and deal.reason is DealReason.TP and position.tp is not None:
        return position.tp
    if order is None:
        return deal.price
    if order.type is not OrderType.MARKET and order.price is not None:
        return order.price
    quote = order.decision_ask if deal.side is Side.LONG else order.decision_bid
    return quote if quote > 0 else deal.price


def _say_fill(
    turn: Turn,
    deal: Deal,
    position: Position,
    order: Order | None,
    entry: DealEntry,
    volume: Decimal,
    commission: Decimal,
    swap: Decimal,
    profit: Decimal,
    costs: Costs,
    decision_price: float,
) -> None:
    """A Fill; its signal is that of the order, or of the position that a stop or target closed."""
    instance = order.instance if order else position.instance
    cause = order.cause if order else position.cause
    reason = _exit_reason(position, deal, order) if entry is DealEntry.OUT else ExitReason.NONE
    turn.say(
        "fills", Fill, order_no=deal.order_no, instance=instance, listing=deal.listing, **caused(cause),
        deal=deal.deal, position=deal.position, side=deal.side, entry=entry, reason=reason, volume=float(volume),
        price=deal.price, time_ms=deal.time_ms, n=deal.n, bid=deal.bid, ask=deal.ask, decision_price=decision_price,
        slippage_points=costs.slippage_points, spread_points=costs.spread_points, commission=commission, swap=swap,
        profit=profit, spread_cost=costs.spread, slippage_cost=costs.slippage,
    )  # fmt: skip


def _digits(turn: Turn, listing: str) -> int:
    spec = turn.state.specs.get(listing)
    return spec.digits if spec is not None else 5
