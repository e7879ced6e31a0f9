"""The venue against one written slowly, whatever comes, however the ticks are cut, and over a restart."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.money import Quote
from schemas.configuration import MarginMode, PositionMode
from schemas.executions import Accepted, Canceled, Execution, Expired, OrderRequest, Rejected
from schemas.quality import BROKEN
from streams.venue.lab import Venue
from streams.venue.model import VenueModel
from streams.venue.watch import Market
from tests.unit.streams.venue.slow_venue import Rules, SlowVenue
from tests.unit.streams.venue.venues import (
    BAR_OPEN,
    BUY,
    EURUSD,
    LIMIT,
    MARKET,
    PATH,
    SELL,
    START_MS,
    STOP,
    move,
    order,
    spec,
    take_back,
    venue,
)

MIDDLE = 110_000


@dataclass
class Scene:
    """Ticks, and what is asked when, with everything in points."""

    rules: Rules
    market: Market
    asked: list[tuple[Any, ...]]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rules = Rules(
        netting=draw(st.booleans()),
        balance=draw(st.sampled_from([30_000, 60_000, 100_000_000])),
        leverage=500,
        stops_level=draw(st.sampled_from([0, 0, 15])),
        freeze_level=draw(st.sampled_from([0, 0, 8])),
        tenths_a_side=draw(st.sampled_from([0, 35])),
        swap_long=draw(st.sampled_from([0, -7])),
        swap_short=draw(st.sampled_from([0, 3])),
        slippage=draw(st.sampled_from([0, 0, 2])),
        largest=draw(st.sampled_from([0, 0, 0, 70])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    market = _market(rng, draw(st.sampled_from(["real", "bars", "both"])), draw(st.integers(1, 100)))
    asked = [_asked(rng, number, market) for number in range(1, draw(st.integers(1, 20)))]
    return Scene(rules, market, sorted(asked, key=lambda each: (each[0], each[2])))


def _market(rng: np.random.Generator, kind: str, size: int) -> Market:
    rows: list[tuple[int, int, int, int]] = []
    price, now, slow = MIDDLE, START_MS, int(rng.choice([1000, 20_000_000]))
    wild = int(rng.choice([60, 400]))
    while len(rows) < size:
        spread = int(rng.integers(0, 21))
        if kind == "bars" or (kind == "both" and rng.random() < 0.5):
            price += int(rng.integers(-30, 31))
            for step in range(4):
                now += 1 + int(rng.integers(0, slow))
                rows.append((now, price, price + spread, BAR_OPEN if step == 0 else PATH))
                price += int(rng.integers(-wild, wild + 1))
        else:
            now += int(rng.integers(0, 3)) * int(rng.integers(0, slow))
            price += int(rng.integers(-20, 21)) if rng.random() < 0.9 else int(rng.integers(-3 * wild, 3 * wild + 1))
            rows.append((now, price, price + spread, int(rng.choice([0, 0, 0, 512]))))
            if rng.random() < 0.1:
                rows.append(
                    (now, int(rng.integers(-5, 300_000)), int(rng.integers(-5, 5)), int(rng.choice([2, 4, 16])))
                )
    time_ms, bid, ask, quality = zip(*rows, strict=True)
    return Market(
        5, 0, np.array(time_ms, np.int64), np.array(bid) / 100_000, np.array(ask) / 100_000, np.array(quality, np.int32)
    )


def _asked(rng: np.random.Generator, number: int, market: Market) -> tuple[Any, ...]:
    """Time, kind, order number and what is asked; prices as distances from the quote then."""
    at_us = int(market.time_ms[int(rng.integers(0, len(market.time_ms)))]) * 1000 + int(
        rng.choice([0, 0, 1, 999, 1500])
    )
    far = [None if rng.random() < 0.5 else int(rng.integers(-5, 150)) for _ in range(3)]
    lots, buy = int(rng.integers(1, 150)), bool(rng.random() < 0.5)
    about = int(rng.integers(1, number + 1))
    kind = str(rng.choice(["market", "market", "pending", "pending", "close", "modify", "cancel"]))
    life = int(rng.choice([0, 0, 1, 3_000, 60_000_000]))
    limit = bool(rng.random() < 0.5)
    return at_us, kind, number, about, buy, lots, far, life, limit


def _run_slowly(scene: Scene) -> SlowVenue:
    slow = SlowVenue(scene.rules)
    market, waiting = scene.market, list(scene.asked)
    last: tuple[int, int, int] | None = None
    for i, time_ms in enumerate(market.time_ms.tolist()):
        while waiting and waiting[0][0] < time_ms * 1000:
            _ask_slowly(slow, waiting.pop(0), last)
        if int(market.quality[i]) & BROKEN:
            continue
        bid, ask = round(market.bid[i] * 100_000), round(market.ask[i] * 100_000)
        path = last[:2] if int(market.quality[i]) == PATH and last is not None else None
        slow.tick(market.first_n + i, time_ms, bid, ask, path)
        last = (bid, ask, market.first_n + i)
    for each in waiting:
        _ask_slowly(slow, each, last)
    return slow


def _ask_slowly(slow: SlowVenue, each: tuple[Any, ...], last: tuple[int, int, int] | None) -> None:
    if last is None:
        return
    kind, at_us, no, a = absolute(each, last[0], last[1], [(p.number, p.buy, p.volume) for p in slow.held])
    if kind == "place":
        slow.place(
            at_us, no, a["type"], a["buy"], a["lots"], a["price"], a["sl"], a["tp"], a["position"], a["expires"], last
        )
    elif kind == "modify":
        slow.modify(at_us, no, a["position"], a["sl"], a["tp"], last)
    else:
        slow.cancel(no, last)


def absolute(
    each: tuple[Any, ...], bid: int, ask: int, held: list[tuple[int, bool, int]]
) -> tuple[str, int, int, dict[str, Any]]:
    at_us, kind, no, about, buy, lots, far, life, limit = each
    if kind == "cancel":
        return "cancel", at_us, about, {}
    if kind in ("close", "modify") and held:
        number, buy, most = held[about % len(held)]
    else:
        number, most = 0, lots
    base = bid if buy else ask
    a: dict[str, Any] = {"type": "MARKET", "buy": buy, "lots": lots, "price": None, "position": 0}
    if kind == "close" and held:
        a |= {"buy": not buy, "lots": most if limit else min(lots, most), "position": number}
        far = (None, None, None)
    elif kind == "pending":
        away = 20 if far[2] is None else far[2]
        base = ask + away if buy != limit else bid - away
        if buy == limit:
            base = ask - away if buy else bid - away
        elif not buy and limit:
            base = bid + away
        a |= {"type": "LIMIT" if limit else "STOP", "price": base}
    a["expires"] = at_us // 1000 + life if life and kind == "pending" else 0
    sign = 1 if buy else -1
    a["sl"] = None if far[0] is None else base - sign * far[0]
    a["tp"] = None if far[1] is None else base + sign * far[1]
    if kind == "modify":
        return "modify", at_us, about, {"position": number, "sl": a["sl"], "tp": a["tp"]}
    return "place", at_us, no, a


def _of(scene: Scene) -> Venue:
    rules = scene.rules
    listing = spec(
        stops_level=rules.stops_level, freeze_level=rules.freeze_level,
        commission_per_lot_side=rules.tenths_a_side / 10, swap_long=float(rules.swap_long),
        swap_short=float(rules.swap_short), margin_mode=MarginMode.CFD_LEVERAGE,
    )  # fmt: skip
    return venue(
        VenueModel(slippage_points=float(rules.slippage), max_deal_lots=rules.largest / 100),
        of=[listing],
        position_mode=PositionMode.NETTING if rules.netting else PositionMode.HEDGING,
        balance=Decimal(rules.balance) / 100,
        leverage=float(rules.leverage),
        margin_call_level=float(rules.call), stop_out_level=float(rules.out),
    )  # fmt: skip


def _run(scene: Scene, cuts: list[int], restart_at: int = -1) -> tuple[Venue, list[Execution]]:
    """As a driver does it: window by window, and in a window from request to request."""
    at, said, last = _of(scene), [], None
    market, waiting, asked = scene.market, list(scene.asked), 0
    ends = sorted({*(cut % (len(market.time_ms) + 1) for cut in cuts), len(market.time_ms)})
    start = 0
    for end in ends:
        window = Market(market.first_n + start, 0, *(column[start:end].copy() for column in market[2:]))
        times = window.time_ms * 1000
        index = 0
        while True:
            arrival = waiting[0][0] if waiting else None
            stop = len(times) if arrival is None else bisect.bisect_right(times, arrival)
            if last is not None:
                at.quote(EURUSD, last)
            while at.open and (index := at.find(EURUSD, window, index, stop)) < stop:
                if index % 2:  # A driver may tell the tick itself first.
                    at.quote(EURUSD, newest(window, index + 1) or Quote(0, 0))
                said += at.apply(EURUSD, window, index)
                index += 1
            index = stop
            last = newest(window, stop) or last
            # A request waits for the window of the first tick after it.
            if arrival is None or (stop == len(times) and end < len(market.time_ms)):
                break
            if last is not None:
                said += _ask(at, waiting[0], last)
            waiting.pop(0)
            asked += 1
            if asked == restart_at:
                dumped, at = at.dump(), _of(scene)
                at.load(dumped)
                assert at.dump() == dumped
        start = end
    if last is not None:
        at.quote(EURUSD, last)
    return at, said


def newest(window: Market, end: int) -> Quote | None:
    good = [i for i in range(end) if int(window.quality[i]) & BROKEN == 0]
    if not good:
        return None
    i = good[-1]
    return Quote(float(window.bid[i]), float(window.ask[i]), window.first_n + i, int(window.time_ms[i]))


def _ask(at: Venue, each: tuple[Any, ...], last: Quote) -> list[Execution]:
    held = [(p.number, p.side is BUY, int(p.volume * 100)) for p in at.positions]
    kind, at_us, no, a = absolute(each, round(last.bid * 100_000), round(last.ask * 100_000), held)
    if kind == "cancel":
        return at.cancel(at_us, take_back(no), last)
    levels = {name: None if a[name] is None else a[name] / 100_000 for name in ("sl", "tp")}
    if kind == "modify":
        return at.modify(at_us, move(no, position=a["position"], **levels), last)
    type = {"MARKET": MARKET, "LIMIT": LIMIT, "STOP": STOP}[a["type"]]
    price = None if a["price"] is None else a["price"] / 100_000
    request = order(
        no, BUY if a["buy"] else SELL, a["lots"] / 100, type, price, position=a["position"], expires_ms=a["expires"],
        **levels,
    )  # fmt: skip
    return at.place(at_us, request, last)


def _plain(said: Execution) -> tuple[Any, ...]:
    """As the slow venue says it."""

    def points(price: float | None) -> int | None:
        return None if price is None else round(price * 100_000)

    match said:
        case Rejected():
            return "refused", said.order_no, said.retcode
        case Accepted():
            if said.request is OrderRequest.PLACE:
                return "placed", said.order_no
            return "changed", said.order_no, points(said.sl), points(said.tp)
        case Canceled():
            return "gone", said.order_no, round(said.remaining * 100)
        case Expired():
            return "expired", said.order_no, round(said.remaining * 100)
        case _:
            money = [int(amount * 100) for amount in (said.commission, said.swap, said.profit)]
            lots = round(said.volume * 100), round(said.remaining * 100)
            where = said.order_no, said.position, str(said.entry), str(said.reason)
            return "deal", *where, *lots, points(said.price), said.n, *money


@settings(max_examples=100, deadline=None)
@given(scenes(), st.lists(st.integers(0, 100), max_size=8))
def test_the_venue_says_what_the_slow_one_says_however_the_ticks_are_cut(scene: Scene, cuts: list[int]) -> None:
    slow = _run_slowly(scene)
    at, said = _run(scene, cuts)
    assert [_plain(each) for each in said] == slow.said
    assert (at.balance * 100, [c.at_us for c in at.margin_calls]) == (slow.balance, slow.calls)
    if slow.held:
        assert (at.equity * 100, at.margin * 100) == (slow.equity, slow.margin)


@settings(max_examples=25, deadline=None)
@given(scenes(), st.lists(st.integers(0, 100), max_size=4), st.integers(1, 10))
def test_a_restarted_venue_goes_on_as_if_nothing_had_been(scene: Scene, cuts: list[int], restart: int) -> None:
    whole, said = _run(scene, [])
    again, repeated = _run(scene, cuts, restart)
    assert repeated == said
    assert again.digest() == whole.digest()
