"""The scan never passes a tick that matters: found ticks alone give what every tick gives, with several listings."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.money import Quote
from schemas.executions import Execution
from streams.venue.lab import Venue
from streams.venue.watch import Market
from tests.unit.streams.venue.venues import BUY, SELL, START_MS, order, spec, venue

NAMES = ("t/EURUSD", "t/USDJPY", "t/EURGBP", "t/GBPUSD")
STARTS = (1.1, 150.0, 0.85, 1.25)
STEP_MS = 4


def _markets(rng: np.random.Generator, size: int) -> dict[str, Market]:
    """Ticks of all listings, of none at the same time as of another."""
    found = {}
    for place, (name, start) in enumerate(zip(NAMES, STARTS, strict=True)):
        digits = 3 if name.endswith("JPY") else 5
        walk = start * np.exp(np.cumsum(rng.normal(0, rng.choice([0.0005, 0.004]), size)))
        bid = np.round(walk, digits)
        ask = np.round(bid * (1 + rng.choice([0.0, 0.0001, 0.002], size)), digits)
        quality = rng.choice([0, 0, 0, 0, 512, 4], size).astype(np.int32)
        quality[0] = 0
        time_ms = START_MS + (np.cumsum(rng.integers(1, 4, size)) * STEP_MS) + place
        found[name] = Market(0, 0, time_ms, bid, ask, quality)
    return found


def _opened(rng: np.random.Generator, markets: dict[str, Market], balance: int) -> Venue:
    """Positions in three listings; the fourth only converts."""
    at = venue(
        of=[spec(name, digits=3 if name.endswith("JPY") else 5) for name in NAMES], balance=Decimal(balance),
        leverage=400.0, conversion_listings=NAMES,
    )  # fmt: skip
    for name in NAMES:
        at.quote(name, _quote(markets[name], 0))
    for number in range(1, int(rng.integers(2, 9))):
        name, side = str(rng.choice(NAMES[:3])), BUY if rng.random() < 0.5 else SELL
        lots = int(rng.integers(1, 100)) / 100
        at.place(START_MS * 1000, order(number, side, lots, listing=name), _quote(markets[name], 0))
    return at


def _quote(market: Market, index: int) -> Quote:
    return Quote(float(market.bid[index]), float(market.ask[index]), index, int(market.time_ms[index]))


def _good(market: Market, index: int) -> bool:
    return int(market.quality[index]) & 0xFF == 0


def _every_tick(at: Venue, markets: dict[str, Market]) -> list[Execution]:
    said = []
    ticks = [(int(t), name, i) for name, m in markets.items() for i, t in enumerate(m.time_ms) if i and _good(m, i)]
    for _, name, i in sorted(ticks):
        said += at.apply(name, markets[name], i)
    return said


def _found_ticks(at: Venue, markets: dict[str, Market], looked: list[int]) -> list[Execution]:
    said: list[Execution] = []
    place = dict.fromkeys(markets, 1)
    while at.open:
        found = []
        for name in at.open_listings:
            market = markets[name]
            index = at.find(name, market, place[name], len(market.time_ms))
            if index < len(market.time_ms):
                found.append((int(market.time_ms[index]), name, index))
        if not found:
            break
        time_ms, name, index = min(found)
        for other, market in markets.items():
            if other != name:
                while place[other] < len(market.time_ms) and market.time_ms[place[other]] < time_ms:
                    if _good(market, place[other]):
                        at.quote(other, _quote(market, place[other]))
                    place[other] += 1
        place[name] = index + 1
        looked.append(index)
        said += at.apply(name, markets[name], index)
    return said


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2_000, 5_000, 20_000]))
def test_a_stop_out_over_several_listings_and_conversions_is_never_passed(seed: int, balance: int) -> None:
    rng = np.random.default_rng(seed)
    markets = _markets(rng, 60)
    state = rng.bit_generator.state
    every = _opened(rng, markets, balance)
    rng.bit_generator.state = state
    scanned = _opened(rng, markets, balance)
    assert every.dump() == scanned.dump()
    said, looked = _every_tick(every, markets), []
    assert _found_ticks(scanned, markets, looked) == said
    assert (scanned.balance, scanned.margin_calls) == (every.balance, every.margin_calls)
