"""A few minutes of an account's life, made at random: quotes, signals, a careless broker, people; and its journal.

The journal is recorded with only those clocks that have to be in it (protocol.md, 5): where a watched listing has a new
quote, where a timer is due, and at the last whole second before each input. Replays put others in, and cut it anew.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from agents.risk import no_limits
from schemas.configuration import BreachAction, LossBasis, PositionMode
from schemas.events import EntryType, OnOpposite, Side, SignalKind
from schemas.executions import (
    Accepted,
    Adopted,
    Canceled,
    Command,
    CommandKind,
    DealEntry,
    DealReason,
    Execution,
    Filled,
    OrderRequest,
    PartiallyFilled,
    Rejected,
)
from schemas.journal_columns import ClockRows
from schemas.trading import CancelRequested, Decided, ModifyRequested, OrderPurpose, Submitted
from streams.operators.desk import Desk, DeskState, Input, bare_time
from tests.unit.streams.desk.account import CONFIG, FACT, LONG, SHORT, SPEC, rows, signal, strategy

SECOND = 1_000_000
DAY_END = 1_700_006_400_000_000 - 7_200_000_000
"""17:00 New York, 2023-11-14: the ny7 day ends."""
NAMES = ("test/EURUSD", "test/USDJPY")
STRANGE = "test/EURJPY"
"""A listing without quotes, which isn't ours to trade."""
SPECS = (SPEC, replace(SPEC, listing=NAMES[1], digits=3, currency_base="USD", currency_profit="JPY", stops_level=3))


class Quoted(NamedTuple):
    """The quote of a listing that prevails at a second."""

    n: int
    bid: float
    ask: float
    second: int
    """When its tick came."""


class Day(NamedTuple):
    """What happened: quotes[second][listing], inputs in order, and the seconds at which a clock has to be."""

    start_us: int
    quotes: list[list[Quoted]]
    inputs: list[tuple[int, Input]]
    needed: dict[int, list[int]]
    """Listings by second."""
    said: list[Decided]
    digest: str


def make_day(seed: int, seconds: int = 150, *, stranger: bool = False, robbed: bool = False) -> Day:
    """The day that a seed makes, and what the desk says to it with the fewest clocks. `stranger`: somebody else holds a
    position for a while, whose specification comes late. `robbed`: now and then a position loses stop and target, and
    the gateway gives it its stop back."""
    rng = random.Random(seed)
    start = DAY_END - rng.randrange(10, 140) * SECOND
    day = Day(start, _quotes(rng, seconds), [], {}, [], "")
    broker, desk = _Broker(rng, day), Desk()
    state = desk.initial("test")
    for record in _reference(rng):
        _take(day, desk, state, broker, start - 10 * SECOND + len(day.inputs), record)
    others = _stranger(seed, start, seconds) if stranger else []
    robber = random.Random(-1 - seed) if robbed else None
    shown = [-1, -1]
    for second in range(1, seconds):
        us = start + second * SECOND
        inputs = broker.due(us, us + SECOND) + _signals(rng, us)
        inputs += [(at, record) for at, record in others if us <= at < us + SECOND]
        if robber is not None:
            inputs += broker.rob(robber, us)
        watched = [NAMES.index(name) for name in desk.watching(state) if name in NAMES]
        told = [k for k in (0, 1) if (inputs or k in watched) and day.quotes[second][k].n != shown[k]]
        if told or desk.next_timer_us(state) == us:
            day.needed[second] = told
            for k in told:
                shown[k] = day.quotes[second][k].n
            _clock(day, desk, state, broker, _rows(day, second, told))
        for at, record in sorted(inputs, key=lambda pair: pair[0]):
            _take(day, desk, state, broker, max(at, state.now_us + 1), record)
    return day._replace(digest=desk.digest(state))


def entries(day: Day, extra: Iterable[int] = ()) -> list[tuple[int, Input | ClockRows]]:
    """The journal with further clocks at the seconds `extra`: (us, input or rows), in order."""
    found: list[tuple[int, Input | ClockRows]] = list(day.inputs)
    for second in {*day.needed, *extra}:
        told = [0, 1] if second in set(extra) else day.needed[second]
        found.append((day.start_us + second * SECOND, _rows(day, second, told)))
    return sorted(found, key=lambda entry: (entry[0], not isinstance(entry[1], ClockRows)))


def join_clocks(journal: list[tuple[int, Input | ClockRows]]) -> list[tuple[int, Input | ClockRows]]:
    """The journal with every run of clocks as one."""
    found: list[tuple[int, Input | ClockRows]] = []
    for us, entry in journal:
        if isinstance(entry, ClockRows) and found and isinstance(found[-1][1], ClockRows):
            found[-1] = us, _joined(found[-1][1], entry)
        else:
            found.append((us, entry))
    return found


def say(desk: Desk, state: DeskState, entry: tuple[int, Input | ClockRows], step: int = 10**9) -> list[Decided]:
    """What the desk says to one entry, rows in pieces of at most `step`."""
    us, what = entry
    if not isinstance(what, ClockRows):
        return desk.records(state, desk.take(state, us, what))
    start, found = 0, list[Decided]()
    while start < len(what.us):
        count, out = desk.clock(state, what.part(start, min(start + step, len(what.us))))
        found += desk.records(state, out)
        start += count
    return found


def _quotes(rng: random.Random, seconds: int) -> list[list[Quoted]]:
    prices, quotes = [1.1, 150.0], [Quoted(-1, 0.0, 0.0, 0), Quoted(-1, 0.0, 0.0, 0)]
    found = []
    for second in range(seconds):
        for k, spec in enumerate(SPECS):
            if second == 0 or rng.random() < 0.4:
                point = 10.0**-spec.digits
                prices[k] = round(prices[k] + rng.randrange(-40, 41) * point, spec.digits)
                ask = round(prices[k] + rng.randrange(0, 5) * point, spec.digits)
                quotes[k] = Quoted(max(quotes[k].n, 0) + rng.randrange(1, 4), prices[k], ask, second)
        found.append(list(quotes))
    return found


def _reference(rng: random.Random) -> list[Input]:
    netting = rng.random() < 0.3
    limits = replace(
        no_limits("test"),
        max_daily_loss=rng.choice([None, None, 0.002, 0.005]),
        daily_loss_basis=rng.choice([LossBasis.BALANCE, LossBasis.EQUITY, LossBasis.HIGHER]),
        daily_loss_action=rng.choice([BreachAction.BLOCK, BreachAction.REDUCE, BreachAction.FLATTEN]),
        max_drawdown=rng.choice([None, None, 0.005]),
        drawdown_action=rng.choice([BreachAction.BLOCK, BreachAction.REDUCE, BreachAction.FLATTEN]),
    )
    mode = PositionMode.NETTING if netting else PositionMode.HEDGING
    later = replace(strategy("two", size=0.3), effective_from_us=DAY_END + rng.randrange(-50, 50) * SECOND + 7)
    return [*SPECS, replace(CONFIG, position_mode=mode), strategy("one"), strategy("two"), limits, later]


def _stranger(seed: int, start: int, seconds: int) -> list[tuple[int, Input]]:
    rng = random.Random(-1 - seed)
    opened, known, closed = sorted(rng.sample(range(1, seconds), 3))
    of: dict[str, Any] = {"listing": STRANGE, "side": LONG, "price": 165.0, "time_ms": 0}
    spec = replace(SPEC, listing=STRANGE, digits=3, currency_profit="JPY")
    return [
        (start + opened * SECOND + 3, Adopted(**FACT, order_no=0, position=77, volume=0.2, **of)),
        (start + known * SECOND + 4, spec),
        (start + closed * SECOND + 5, Adopted(**FACT, order_no=0, position=77, volume=0.0, **of)),
    ]


def _signals(rng: random.Random, us: int) -> list[tuple[int, Input]]:
    if rng.random() < 0.75:
        return []
    place = rng.randrange(2)
    instance, listing = rng.choice(["one", "two"]), NAMES[place]
    point = 10.0 ** -SPECS[place].digits
    middle = (1.1, 150.0)[place]
    kind = rng.choice([SignalKind.ENTER, SignalKind.ENTER, SignalKind.EXIT, SignalKind.LEVELS])
    fields: dict[str, Any] = {"listing": listing, "bid": middle, "ask": middle + 2 * point}
    side = Side.NONE
    if kind is not SignalKind.EXIT:
        fields |= {"trail_long": middle - rng.randrange(-50, 90) * point, "trail_short": middle + 80 * point}
    if kind is SignalKind.ENTER:
        side = rng.choice([LONG, SHORT])
        limit = rng.random() < 0.2
        fields |= {
            "entry_type": EntryType.LIMIT if limit else EntryType.MARKET,
            "price": middle if limit else None,
            "stop_distance": rng.choice([None, 40 * point, 90 * point]),
            "target_distance": rng.choice([None, 60 * point]),
            "breakeven_at": rng.choice([None, 0.5]),
            "partial_at": rng.choice([None, 0.6]),
            "partial_share": 0.5,
            "max_hold_ms": rng.choice([0, 7_300, 30_000]),
            "cooldown_ms": rng.choice([0, 4_000]),
            "on_opposite": rng.choice([OnOpposite.REVERSE, OnOpposite.CLOSE, OnOpposite.IGNORE]),
        }
    us += rng.randrange(1, SECOND)
    # Numbers of the signals' ticks are old: quotes are the clock's.
    return [(us, replace(signal(kind, side, us, 0, instance, **fields), out_seq=rng.randrange(10**6)))]


class _Broker:
    """Answers late, in part, or not as asked; now and then a person halts, resumes, flattens or trades by hand."""

    def __init__(self, rng: random.Random, day: Day) -> None:
        self.rng, self.day = rng, day
        self.waiting: list[tuple[int, Input]] = []
        self.deals = self.hands = 0
        self.open: dict[int, tuple[Submitted, Decimal]] = {}

    def due(self, start: int, end: int) -> list[tuple[int, Input]]:
        rng = self.rng
        found = [(us, record) for us, record in self.waiting if us < end]
        self.waiting = [pair for pair in self.waiting if pair[0] >= end]
        if rng.random() < 0.005:
            kind = rng.choice(
                [CommandKind.HALT, CommandKind.RESUME, CommandKind.RESUME, CommandKind.RESUME, CommandKind.FLATTEN]
            )
            command = Command(**FACT, kind=kind, who="ann", why="", argument="", valid_until_us=0)
            found.append((start + rng.randrange(SECOND), command))
        for number, (order, volume) in list(self.open.items()):
            if rng.random() < 0.03:
                del self.open[number]
                found.append((start + rng.randrange(SECOND), self._deal(order, volume, start, number, out=True)))
        if rng.random() < 0.01:
            self._trade_by_hand(start)
        return found

    def hear(self, us: int, said: list[Decided]) -> None:
        rng = self.rng
        for record in said:
            at = us + rng.randrange(1, 3 * SECOND)
            if isinstance(record, ModifyRequested) and rng.random() < 0.9:
                answer: dict[str, Any] = {**FACT, "order_no": record.order_no, "request": OrderRequest.MODIFY}
                if rng.random() < 0.8:
                    self.waiting.append(
                        (at, Accepted(**answer, ticket=1, position=record.position, time_ms=0, sl=record.sl, tp=None))
                    )
                else:
                    self.waiting.append((at, Rejected(**answer, retcode=10016, reason="no", time_ms=0)))
            elif isinstance(record, CancelRequested) and rng.random() < 0.5:
                fields: dict[str, Any] = {"order_no": record.order_no, "ticket": 1, "remaining": 0.1}
                self.waiting.append((at, Canceled(**FACT, **fields, reason="asked", time_ms=0)))
            elif isinstance(record, Submitted):
                self._answer(record, at)

    def rob(self, rng: random.Random, start: int) -> list[tuple[int, Input]]:
        """What the gateway says after somebody has taken a position's levels away."""
        able = [order for order, _ in self.open.values() if order.sl is not None and order.tp is not None]
        if not able or rng.random() < 0.5:
            return []
        order = rng.choice(able)
        names: dict[str, Any] = {"order_no": 0, "ticket": order.order_no, "position": order.order_no}
        given = Accepted(**FACT, **names, request=OrderRequest.MODIFY, time_ms=0, sl=order.sl, tp=None)
        return [(start + rng.randrange(SECOND), given)]

    def _trade_by_hand(self, start: int) -> None:
        """A position that is opened and closed in two parts; Adopted records and deals come in any order."""
        rng, at, place = self.rng, start, self.rng.randrange(2)
        self.hands += 1
        side, price = rng.choice([LONG, SHORT]), (1.1, 150.0)[place]
        named: dict[str, Any] = {
            **FACT, "order_no": 0, "position": 900_000 + self.hands, "listing": NAMES[place], "time_ms": 0,
        }  # fmt: skip
        for entry, volume in ((DealEntry.IN, 0.03), (DealEntry.OUT, 0.01), (DealEntry.OUT, 0.02)):
            self.deals += 1
            at += rng.randrange(20 * SECOND)
            way = side if entry is DealEntry.IN else SHORT if side is LONG else LONG
            profit = rng.randrange(-900, 900) if entry is DealEntry.OUT else 0
            filled = Filled(
                **named, ticket=1, deal=self.deals, side=way, entry=entry, reason=DealReason.CLIENT, volume=volume,
                remaining=0.0, price=price, n=1, bid=price, ask=price, commission=Decimal("-0.33"), swap=Decimal(0),
                profit=Decimal(profit) / 100,
            )  # fmt: skip
            self.waiting.append((at, filled))
        at = start
        for volume in (0.03, 0.02, 0.0):
            at += rng.randrange(20 * SECOND)
            self.waiting.append((at, Adopted(**named, side=side, volume=volume, price=price)))

    def _answer(self, order: Submitted, at: int) -> None:
        rng = self.rng
        number = order.position or order.order_no
        if rng.random() < 0.15:
            self.waiting.append(
                (
                    at,
                    Rejected(
                        **FACT, order_no=order.order_no, request=OrderRequest.PLACE, retcode=10006, reason="no",
                        time_ms=0,
                    ),
                )
            )  # fmt: skip
            return
        volume = Decimal(repr(order.volume))
        if order.purpose is OrderPurpose.EXIT:
            held = self.open.get(number)
            if held is None:
                return
            volume = min(volume, held[1])
            if volume == held[1]:
                del self.open[number]
            else:
                self.open[number] = held[0], held[1] - volume
            self.waiting.append((at, self._deal(order, volume, at, number, out=True)))
            return
        self.open[number] = order, volume
        parts = [volume] if rng.random() < 0.7 else [Decimal("0.04"), volume - Decimal("0.04")]
        for k, part in enumerate(parts):
            last = k == len(parts) - 1
            self.waiting.append((at + k, self._deal(order, part, at, number, out=False, last=last)))

    def _deal(
        self, order: Submitted, volume: Decimal, at: int, number: int, *, out: bool, last: bool = True
    ) -> Execution:
        rng = self.rng
        self.deals += 1
        second = min(max((at - self.day.start_us) // SECOND, 0), len(self.day.quotes) - 1)
        quote = self.day.quotes[second][NAMES.index(order.listing)]
        stopped = out and order.purpose is OrderPurpose.ENTRY
        side = (SHORT if order.side is LONG else LONG) if stopped else order.side
        return (Filled if last else PartiallyFilled)(
            **FACT, order_no=order.order_no, ticket=1, deal=self.deals, position=number, listing=order.listing,
            side=side, entry=DealEntry.OUT if out else DealEntry.IN,
            reason=rng.choice([DealReason.SL, DealReason.TP]) if stopped else DealReason.EXPERT,
            volume=float(volume), remaining=0.0, price=quote.ask if side is LONG else quote.bid, time_ms=at // 1000,
            n=quote.n, bid=quote.bid, ask=quote.ask, commission=Decimal("-0.35"), swap=Decimal(0),
            profit=Decimal(rng.randrange(-900, 900)) / 100 if out else Decimal(0),
        )  # fmt: skip


def _take(day: Day, desk: Desk, state: DeskState, broker: _Broker, us: int, record: Input) -> None:
    day.inputs.append((us, record))
    said = desk.records(state, desk.take(state, us, record))
    day.said.extend(said)
    broker.hear(us, said)


def _clock(day: Day, desk: Desk, state: DeskState, broker: _Broker, told: ClockRows) -> None:
    said = say(desk, state, (int(told.us[-1]), told))
    day.said.extend(said)
    broker.hear(int(told.us[-1]), said)


def _rows(day: Day, second: int, told: list[int]) -> ClockRows:
    us = day.start_us + second * SECOND
    if not told:
        return bare_time(us)
    quotes = [day.quotes[second][k] for k in told]
    found = rows(*((us, q.n, q.bid, q.ask, k) for k, q in zip(told, quotes, strict=True)), names=NAMES)
    return found._replace(time_ms=np.array([(day.start_us + q.second * SECOND) // 1000 for q in quotes], np.int64))


def _joined(first: ClockRows, second: ClockRows) -> ClockRows:
    columns = [np.concatenate(pair) for pair in zip(first[1:], second[1:], strict=True)]
    return ClockRows(NAMES, *columns)
