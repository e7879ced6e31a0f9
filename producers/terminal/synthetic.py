"""A feed for load: many symbols whose quotes walk at random, as many ticks a second as wanted.

`synthetic:50x500` is 50 currency pairs of 500 ticks a second each, for two minutes (`synthetic:50x500x60`: one). Ticks
are made a second ahead of market time; the seed, the symbol and the second say which, so that a restarted terminal
makes the same again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import permutations
from typing import Final, NamedTuple

import numpy as np

from infra.errors import SettingsError
from producers.terminal.ticks import TickHistory, Ticks

START_MS: Final = 1_767_600_000_000
"""2026-01-05 08:00 UTC, a Monday."""
DIGITS: Final = 5
PREFIX: Final = "synthetic:"

_FORM: Final = re.compile(r"synthetic:(\d+)x(\d+)(?:x(\d+))?")
_DEFAULT_S: Final = 120
_SECOND_MS: Final = 1000
_CURRENCIES: Final = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "SGD", "PLN", "SEK", "NOK")
_PAIRS: Final = tuple("".join(pair) for pair in permutations(_CURRENCIES, 2))
"""In the order in which brokers quote them first: EURUSD, not USDEUR, converts a euro."""
_POINT: Final = 10.0**-DIGITS


class Load(NamedTuple):
    """How many symbols, ticks a second of each, and for how long."""

    symbols: int
    ticks_per_s: int
    seconds: int

    @property
    def names(self) -> tuple[str, ...]:
        return names(self.symbols)

    @property
    def end_us(self) -> int:
        """When the last tick happens, at the latest."""
        return (START_MS + self.seconds * _SECOND_MS) * 1000


def load_of(text: str) -> Load:
    """What `synthetic:50x500` asks for. Raises SettingsError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"terminal.data = {text!r}: a synthetic feed is synthetic:SYMBOLSxTICKS_A_SECOND, such as synthetic:50x500"
        )
    load = Load(int(match[1]), int(match[2]), int(match[3] or _DEFAULT_S))
    if not (1 <= load.symbols <= len(names(None)) and 1 <= load.ticks_per_s <= 100_000 and load.seconds >= 1):
        raise SettingsError(
            f"terminal.data = {text!r}: it takes 1 to {len(names(None))} symbols and 1 to 100000 ticks a second of each"
        )
    return load


def names(count: int | None) -> tuple[str, ...]:
    """The first so many pairs, each of two currencies one way round only."""
    order = {currency: place for place, currency in enumerate(_CURRENCIES)}
    pairs = [pair for pair in _PAIRS if order[pair[:3]] < order[pair[3:]]]
    dollars = [pair for pair in pairs if "USD" in pair]
    return tuple([*dollars, *(pair for pair in pairs if pair not in dollars)][:count])


class RandomWalks:
    """Makes the ticks of a load; a `producers.terminal.market.Source`."""

    def __init__(self, load: Load, seed: int) -> None:
        self._load, self._seed = load, seed
        self._made = 0
        """Seconds."""
        self._bid = {name: 1.0 + 0.01 * place for place, name in enumerate(load.names)}

    def first(self) -> dict[str, Ticks]:
        """The first second of each symbol."""
        self._made = 1
        return {name: self._second(place, name, 0) for place, name in enumerate(self._load.names)}

    def feed(self, histories: Mapping[str, TickHistory], until_us: int) -> None:
        """Lets the histories grow to a second behind `until_us`."""
        wanted = min(self._load.seconds, (until_us // 1000 - START_MS) // _SECOND_MS + 2)
        while self._made < wanted:
            for place, name in enumerate(self._load.names):
                histories[name].grow(self._second(place, name, self._made))
            self._made += 1

    def _second(self, place: int, name: str, second: int) -> Ticks:
        n = self._load.ticks_per_s
        random = np.random.default_rng([self._seed, place, second])
        within = np.sort(random.integers(0, _SECOND_MS, n))
        steps = random.integers(-1, 2, n)
        bid = np.round(self._bid[name] + np.cumsum(steps) * _POINT, DIGITS)
        bid = np.maximum(bid, 0.5)
        self._bid[name] = float(bid[-1])
        ask = np.round(bid + random.integers(1, 4, n) * _POINT, DIGITS)
        return Ticks.of_quotes(START_MS + second * _SECOND_MS + within, bid, ask)
