"""A signal's entry: what it does to what is held, whether it may be made, how large, and the order.

In this order, and the first that says no gives the Denied: the instance trades and its entry is in time; it has no
position or entry order of that side; what it holds on the other side is closed, kept or stops it, as that position's
plan says; cool-down; trading state; consensus; a size; the risk checks. What the opposite entry closes is closed
even if the entry itself is then denied.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

from agents.money import ZERO, MissingRate, Quote, exact, rounded
from agents.risk import Check, Verdict, decided_lots, decided_verdict, no_limits, run_checks
from agents.sizing import ClosedTrades, SizeRequest, size_of
from agents.volumes import fitted
from schemas.configuration import PositionMode, Sizing, StrategyConfig
from schemas.events import EntryType, ListingSpec, OnOpposite, Side, Signal
from schemas.trading import Denied, ExitReason, OrderPurpose, OrderType, RiskDecision, TradingState
from streams.operators.desk.account_view import MINUTE_US, UnknownExposure, account_view, candidate_of, no_spec
from streams.operators.desk.accounting import equity_units, margin_before_entry, money_digits, rates_of
from streams.operators.desk.consensus import consent, note
from streams.operators.desk.exits import leave, submit, take_number, withdraw
from streams.operators.desk.state import Cause, Closed, DeskState, Order, Plan, Position, place
from streams.operators.desk.turn import MONEY_DIGITS, Turn, caused
from streams.operators.desk.volatility import yearly_volatility

_TYPES = {EntryType.LIMIT: OrderType.LIMIT, EntryType.STOP: OrderType.STOP}


class Refusal(NamedTuple):
    """Why an entry isn't made."""

    code: str
    reason: str


def enter(turn: Turn, instance: str, signal: Signal) -> None:
    """Takes an ENTER: Denied, or RiskDecision and Submitted."""
    state = turn.state
    strategy = state.strategies.get(instance)
    if strategy is None or not strategy.active:
        _deny(turn, instance, signal, Refusal("inactive", f"{instance} is not traded on this account"))
        return
    note(state, instance, signal)
    refusal = _settle_held(turn, instance, signal) or _barred(turn, strategy, signal) or _make(turn, strategy, signal)
    if refusal is not None:
        _deny(turn, instance, signal, refusal)


def own_positions(state: DeskState, instance: str, listing: str) -> list[Position]:
    """The instance's open positions of a listing, oldest number first."""
    return [
        state.positions[number]
        for number in sorted(state.positions)
        if state.positions[number].instance == instance and state.positions[number].listing == listing
    ]


def own_entries(state: DeskState, instance: str, listing: str) -> list[Order]:
    """The instance's entry orders of a listing that may still fill."""
    return [
        state.orders[number]
        for number in sorted(state.orders)
        if state.orders[number].instance == instance
        and state.orders[number].listing == listing
        and state.orders[number].purpose is OrderPurpose.ENTRY
    ]


def _settle_held(turn: Turn, instance: str, signal: Signal) -> Refusal | None:
    """What the instance holds already: the same side stops the entry, the other side is left as its plan says."""
    state = turn.state
    positions = [p for p in own_positions(state, instance, signal.listing) if not p.leaving]
    entries = [o for o in own_entries(state, instance, signal.listing) if o.leave is ExitReason.NONE]
    held: list[Position | Order] = [*positions, *entries]
    for one in held:
        if one.side is signal.side:
            what = f"position {one.position}" if isinstance(one, Position) else f"entry order {one.order_no}"
            return Refusal("duplicate", f"{instance} has {what} of the same side already")
    expected = [one.plan.on_opposite if one.plan is not None else OnOpposite.IGNORE for one in held]
    if OnOpposite.IGNORE in expected or OnOpposite.UNKNOWN in expected:
        return Refusal("opposite", f"{instance} is on the other side, and its plan ignores opposite entries")
    for position in positions:
        leave(turn, position, ExitReason.OPPOSITE)
    for order in entries:
        withdraw(turn, order, ExitReason.OPPOSITE)
    if OnOpposite.CLOSE in expected:
        return Refusal("opposite", f"{instance} was on the other side: its plan closes and doesn't reverse")
    return None


def _barred(turn: Turn, strategy: StrategyConfig, signal: Signal) -> Refusal | None:
    """Whether something forbids the entry before its size matters."""
    state, us, instance, listing = turn.state, turn.us, strategy.instance, signal.listing
    until = valid_until_us(signal)
    if until and us > until:
        return Refusal(
            "expired", f"it was valid for {signal.valid_for_ms} ms and came {(us - until) // 1_000} ms later"
        )
    if signal.side not in (Side.LONG, Side.SHORT):
        return Refusal("side", f"its side is {signal.side}")
    if state.config is None or not state.config.active:
        return Refusal("account", f"account {state.account} doesn't trade")
    if signal.listing not in state.specs:
        return Refusal("spec", no_spec(signal.listing))
    cooled = state.cooldowns.get(place(instance, listing), 0)
    if us < cooled:
        return Refusal("cooldown", f"{instance} waits {(cooled - us) // 1_000} ms more after its last exit")
    if state.trading is TradingState.HALTED:
        return Refusal("halted", "the account is halted: resume allows entries again")
    if state.trading is not TradingState.ACTIVE and not _room(state, signal):
        return Refusal("reducing", "the account only takes entries that reduce what it holds: resume allows all again")
    if state.config.position_mode is PositionMode.NETTING:
        others = [p.instance for p in state.positions.values() if p.listing == listing and p.instance != instance]
        others += [
            o.instance
            for o in state.orders.values()
            if o.listing == listing and o.instance != instance and o.purpose is OrderPurpose.ENTRY
        ]
        if others:
            holder = min(others) or "somebody else"
            return Refusal("netting", f"this account nets, and {holder} is in {listing}: its position would be changed")
    return None


def _room(state: DeskState, signal: Signal) -> Decimal:
    """Lots by which the account is on the other side of the listing on balance; 0 = it isn't."""
    net = ZERO
    for position in state.positions.values():
        if position.listing == signal.listing and not position.leaving:
            net += -position.volume if position.side is signal.side else position.volume
    return max(net, ZERO)


def valid_until_us(signal: Signal) -> int:
    """When an entry is too late, UTC microseconds; 0 = never."""
    return (signal.time_ms + signal.valid_for_ms) * 1_000 if signal.valid_for_ms > 0 else 0


def _make(turn: Turn, strategy: StrategyConfig, signal: Signal) -> Refusal | None:
    """Asks the others, sizes and checks the entry and submits it."""
    state = turn.state
    said = consent(state, strategy.instance, signal, turn.us)
    if said.code:
        return Refusal(said.code, said.reason)
    scale = said.scale
    spec = state.specs[signal.listing]
    try:
        rates_of(state).rate(spec.currency_profit, gain=False)
    except MissingRate as missing:
        return Refusal("conversion", str(missing))
    quote = newest_quote(state, signal)
    market = quote.ask if signal.side is Side.LONG else quote.bid
    kind = _TYPES.get(signal.entry_type, OrderType.MARKET)
    if kind is not OrderType.MARKET and signal.price is None:
        return Refusal("price", f"a {kind.lower()} entry needs a price")
    limit = None if kind is OrderType.MARKET or signal.price is None else round(signal.price, spec.digits)
    price = market if limit is None else limit
    worth = equity_units(state)
    used = sum((margin_before_entry(state, p) for p in state.positions.values()), ZERO)
    equity = Decimal(worth).scaleb(-MONEY_DIGITS)
    size = size_of(_request(state, strategy, signal, spec, price, equity))
    lots, reason = exact(size.lots), size.reason
    if scale < 1.0 and lots:
        lots, reason = _scaled(lots, scale, spec), f"the consensus leaves {scale:.3g} of {lots} lots: too few"
    if lots and state.trading is not TradingState.ACTIVE:
        lots, reason = fitted(min(lots, _room(state, signal)), spec), "what is held is less than the smallest order"
    stopless = strategy.sizing in (Sizing.RISK, Sizing.KELLY) and not signal.stop_distance
    if not lots:
        _say_decision(turn, signal, strategy.instance, 0.0, 0.0, (), equity, used)
        return Refusal("no_stop" if stopless else "size", reason)
    order = _order(state, strategy, signal, spec, kind, lots, quote, price, limit)
    signal_price = limit if limit is not None else signal.ask if signal.side is Side.LONG else signal.bid
    try:
        view = account_view(state, strategy.instance, signal.listing, turn.us, worth / 10**MONEY_DIGITS)
    except UnknownExposure as unknown:
        return Refusal("exposure", str(unknown))
    candidate = candidate_of(state, order, signal_price, turn.us, price)
    if quote.n == signal.n and quote is not state.quotes.get(signal.listing):
        # The signal's own tick is the newest quote, and no entry is signalled on a suspect one.
        candidate = candidate._replace(quote_ms=signal.time_ms, suspect=False)
    limits = state.limits or no_limits(state.account)
    checks = run_checks(candidate, view, limits, spec, state.sessions.get(signal.listing))
    allowed = decided_lots(float(lots), checks, spec)
    _say_decision(turn, signal, strategy.instance, float(lots), allowed, checks, equity, used)
    if allowed <= 0:
        return _refused(checks)
    order.volume = exact(allowed)
    order.order_no = take_number(turn)
    state.order_times[:] = [*(at for at in state.order_times if at > turn.us - MINUTE_US), turn.us]
    expires = signal.time_ms + signal.expires_ms if limit is not None and signal.expires_ms > 0 else 0
    submit(turn, order, quote.n, valid_until_us=valid_until_us(signal), expires_ms=expires, retry=0)
    return None


def newest_quote(state: DeskState, signal: Signal) -> Quote:
    """The newest known quote of the signal's listing: the clock's, or the signal's own."""
    known = state.quotes.get(signal.listing)
    if known is None or signal.n > known.n:
        return Quote(signal.bid, signal.ask, signal.n, signal.time_ms)
    return known


def _request(
    state: DeskState, strategy: StrategyConfig, signal: Signal, spec: ListingSpec, price: float, equity: Decimal
) -> SizeRequest:
    closed = state.closed.get(strategy.instance, Closed())
    losses = closed.trades - closed.wins
    return SizeRequest(
        spec=spec,
        rates=rates_of(state),
        sizing=strategy.sizing,
        size=strategy.size,
        equity=equity,
        side=signal.side,
        price=price,
        stop_distance=signal.stop_distance or math.nan,
        max_lots=strategy.max_lots,
        volatility=yearly_volatility(state, signal.listing),
        periods_per_year=1.0,
        closed=ClosedTrades(
            closed.trades,
            closed.wins,
            float(closed.won / closed.wins) if closed.wins else 0.0,
            float(closed.lost / losses) if losses else 0.0,
        ),
    )


def _order(
    state: DeskState,
    strategy: StrategyConfig,
    signal: Signal,
    spec: ListingSpec,
    kind: OrderType,
    lots: Decimal,
    quote: Quote,
    price: float,
    limit: float | None,
) -> Order:
    sign = 1.0 if signal.side is Side.LONG else -1.0
    stop, target = signal.stop_distance, signal.target_distance
    return Order(
        order_no=0,
        instance=strategy.instance,
        listing=signal.listing,
        cause=Cause(signal.operator, signal.listing, signal.out_seq),
        purpose=OrderPurpose.ENTRY,
        type=kind,
        side=signal.side,
        volume=lots,
        price=limit,
        sl=None if not stop else round(price - sign * stop, spec.digits),
        tp=None if not target else round(price + sign * target, spec.digits),
        position=0,
        reason=ExitReason.NONE,
        decision_bid=quote.bid,
        decision_ask=quote.ask,
        plan=Plan(
            stop or None,
            target or None,
            signal.breakeven_at,
            signal.partial_at,
            signal.partial_share,
            signal.max_hold_ms,
            signal.on_opposite,
            signal.cooldown_ms,
        ),
        trail=signal.trail_long if signal.side is Side.LONG else signal.trail_short,
    )


def _scaled(lots: Decimal, scale: float, spec: ListingSpec) -> Decimal:
    return fitted(lots * exact(scale), spec)


def _refused(checks: tuple[Check, ...]) -> Refusal:
    """The first check that leaves nothing."""
    for check in checks:
        if check.verdict is Verdict.DENY:
            return Refusal(check.name, f"{check.name} is {check.measured:g} {check.unit}, its limit {check.limit:g}")
    return Refusal("size", "the checks together leave less than the smallest order")


def _say_decision(
    turn: Turn,
    signal: Signal,
    instance: str,
    asked: float,
    allowed: float,
    checks: tuple[Check, ...],
    equity: Decimal,
    used: Decimal,
) -> None:
    if turn.terse:
        turn.pass_over("risk")
        return
    digits = money_digits(turn.state)
    names, limits, measured, units, verdicts, _ = zip(*checks, strict=True) if checks else ((),) * 6
    turn.say(
        "risk", RiskDecision, instance=instance, listing=signal.listing, signal_operator=signal.operator,
        signal_listing=signal.listing, signal_seq=signal.out_seq, side=signal.side, asked=asked, allowed=allowed,
        verdict=str(decided_verdict(asked, allowed)), checks=names, limits=limits, measured=measured, units=units,
        verdicts=tuple(map(str, verdicts)), equity=rounded(equity, digits), margin=rounded(used, digits),
    )  # fmt: skip


def _deny(turn: Turn, instance: str, signal: Signal, refusal: Refusal) -> None:
    turn.order(
        Denied, instance=instance, listing=signal.listing,
        **caused(Cause(signal.operator, signal.listing, signal.out_seq)), side=signal.side, reason=refusal.reason,
        code=refusal.code,
    )  # fmt: skip
