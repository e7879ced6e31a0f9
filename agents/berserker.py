"""BERSERKER: mean reversion of a quote over seconds to minutes, when the quotes themselves have begun to turn.

FX quotes carry no volume, so nothing here claims to see order flow. The rule uses bid and ask alone:

- **Mean and deviation.** An average of the mid, weighted by the time that each quote stood, and the same average of
  its squared distance from it: m += a (x - m), v = (1 - a)(v + a (x - m)²), a = dt / (mean_ms + dt), where x is the mid
  that stood for dt. This is the backward Euler step of the exponential average of an uneven series (Eckner,
  *Algorithms for Unevenly Spaced Time Series*, 2012); it needs no exp, so every machine gets the same bits.
- **Entry**, against the deviation d of the mid from m, when all of these hold: |d| ≥ entry_deviations · √v; |d| in
  points exceeds what a round turn costs, spread + commission_points, by more than min_edge_points; the spread is at
  most max_spread_points; of the last turn_changes changes of bid or ask, at least turn_agree, the last among them, went
  back toward m (the quote imbalance); the averages are warm (ticks and time); cooldown_ms have passed since the exit.
- **Plan.** Target: the bid (of a short: the ask) at which the mid is back at m. Stop: stop_deviations · √v, at least
  min_stop_points. Time exit after max_hold_ms, break-even at breakeven_at of the stop distance; an opposite entry
  closes.
- **Exit.** Once the mid is back at m, EXIT. The rule sees no position: it remembers only that it entered, and forgets
  it after max_hold_ms, when the plan's time exit has acted.

A suspect tick moves the averages and decides nothing. Broken and synthetic ticks are not looked at. A gap, or a silence
longer than reset_after_ms, starts everything anew. `strength` is |d| / √v; `from_n` the oldest quote change counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from agents.parameters import BadParameters, bounded, check
from agents.signals import (
    CLOSE,
    ENTER,
    EXIT,
    IGNORE,
    LONG,
    MARKET,
    NO_ENTRY,
    SHORT,
    SIGNAL_DTYPE,
    SIGNAL_WORDS,
    Signals,
)
from schemas.jit import kernel
from schemas.quality import BROKEN, SUSPECT, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class BerserkerParameters:
    """What the rule can be told; times in milliseconds, distances in points. Raises BadParameters."""

    mean_ms: int = bounded(120_000, 1_000, 86_400_000)
    """Time constant of the averages."""
    entry_deviations: float = bounded(2.5, 0.5, 20.0)
    """Least distance from the mean, in deviations."""
    commission_points: float = bounded(7.0, 0.0, 10_000.0)
    """Commission of a round turn: 7 points of a five-digit EURUSD are 7 USD a lot."""
    min_edge_points: float = bounded(10.0, 0.0, 10_000.0)
    """What the way back must bring beyond all costs."""
    max_spread_points: float = bounded(20.0, 0.0, 10_000.0)
    turn_changes: int = bounded(6, 1, 60)
    """Changes of bid or ask that are counted."""
    turn_agree: int = bounded(4, 1, 60)
    """How many of them must go back toward the mean."""
    warm_up_ticks: int = bounded(300, 1, 10_000_000)
    warm_up_ms: int = bounded(360_000, 0, 864_000_000)
    reset_after_ms: int = bounded(300_000, 1_000, 864_000_000)
    """Silence after which the averages start anew."""
    stop_deviations: float = bounded(3.0, 0.1, 100.0)
    min_stop_points: float = bounded(40.0, 1.0, 100_000.0)
    breakeven_at: float = bounded(0.5, 0.0, 100.0)
    """Share of the stop distance that must be gained before the stop goes to the entry."""
    max_hold_ms: int = bounded(900_000, 1_000, 864_000_000)
    valid_for_ms: int = bounded(2_000, 1, 3_600_000)
    cooldown_ms: int = bounded(60_000, 0, 864_000_000)

    def __post_init__(self) -> None:
        check(self)
        if self.turn_agree > self.turn_changes:
            raise BadParameters(f"turn_agree = {self.turn_agree} is more than turn_changes = {self.turn_changes}")


_WINDOW: Final = 60
# State words, the last four of the named ones floats, then a ring of the n of the last quote changes.
TICKS, SINCE_MS, LAST_MS, SIDE, SIDE_MS, FREE_MS, FILLED, HEAD, TURNS = range(9)
BID, ASK, MEAN, VARIANCE = range(9, 13)
CHANGE_N: Final = 13
WORDS: Final = CHANGE_N + _WINDOW

# The parameters as the kernel takes them, float64.
_RULE: Final = (
    "mean_ms", "entry_deviations", "commission_points", "min_edge_points", "max_spread_points", "turn_changes",
    "turn_agree", "warm_up_ticks", "warm_up_ms", "reset_after_ms", "stop_deviations", "min_stop_points",
    "breakeven_at", "max_hold_ms", "valid_for_ms", "cooldown_ms",
)  # fmt: skip
(
    _MEAN_MS, _ENTRY, _COMMISSION, _EDGE, _MAX_SPREAD, _CHANGES, _AGREE, _WARM_TICKS, _WARM_MS, _RESET_MS,
    _STOP, _MIN_STOP, _BREAKEVEN, _HOLD_MS, _VALID_MS, _COOLDOWN_MS,
) = range(16)  # fmt: skip

_ABSURD: Final = 1e30
_UNUSED: Final = BROKEN | int(Quality.SYNTHETIC)


class Berserker:
    """The strategy with one set of parameters. Its buffer is its own: one object, one thread."""

    name: Final = "berserker"
    version: Final = 1

    def __init__(self, parameters: BerserkerParameters | None = None) -> None:
        self.parameters = parameters or BerserkerParameters()
        self._rule: npt.NDArray[np.float64] = np.array(
            [float(getattr(self.parameters, name)) for name in _RULE], np.float64
        )
        self._grow(1)

    def initial(self) -> npt.NDArray[np.int64]:
        """The state before the first tick: int64[WORDS]."""
        return np.zeros(WORDS, np.int64)

    def fold(
        self,
        state: npt.NDArray[np.int64],
        first_n: int,
        gap: bool,
        digits: int,
        time_ms: npt.NDArray[np.int64],
        bid: npt.NDArray[np.float64],
        ask: npt.NDArray[np.float64],
        quality: npt.NDArray[np.int32],
    ) -> Signals:
        """The signals of consecutive ticks, which start at number `first_n`; `gap` holds before the first."""
        if len(quality) > self._ticks:
            self._grow(len(quality))
        count = fold_berserker(time_ms, bid, ask, quality, first_n, gap, 10.0**digits, self._rule, state, self._out)
        return np.frombuffer(self._out[:count].tobytes(), SIGNAL_DTYPE) if count else _NO_SIGNALS

    def _grow(self, ticks: int) -> None:
        self._ticks = ticks
        self._out: npt.NDArray[np.int64] = np.zeros((ticks, SIGNAL_WORDS), np.int64)


_NO_SIGNALS: Final[Signals] = np.empty(0, SIGNAL_DTYPE)


@kernel
def _change(up: bool, n: Any, window: Any, state: Any) -> None:
    """One quote change goes into the ring: its n, with the direction as its lowest bit."""
    head = state[HEAD]
    if state[FILLED] == window:
        state[TURNS] -= state[CHANGE_N + head] & 1
    else:
        state[FILLED] += 1
    state[CHANGE_N + head] = 2 * n + (1 if up else 0)
    state[TURNS] += 1 if up else 0
    state[HEAD] = (head + 1) % window


@kernel
def _changes(bid: float, ask: float, n: Any, window: Any, state: Any, prices: Any) -> None:
    if bid != prices[BID]:
        _change(bid > prices[BID], n, window, state)
    if ask != prices[ASK]:
        _change(ask > prices[ASK], n, window, state)


@kernel
def _turned(side: Any, window: Any, agree: Any, state: Any) -> Any:
    """Whether enough of the last changes, the last of all among them, went the way of `side`."""
    if state[FILLED] < window:
        return False
    last = state[CHANGE_N + (state[HEAD] + window - 1) % window] & 1
    if side == LONG:
        return last == 1 and state[TURNS] >= agree
    return last == 0 and window - state[TURNS] >= agree


@kernel
def _plan(out: Any, prices: Any, rule: Any, distance: float, deviation: float, spread: float, scale: float) -> None:
    """The exit plan of an entry `distance` from the mean, into one row's words; distances in whole points."""
    stop = max(rule[_STOP] * deviation * scale, rule[_MIN_STOP])
    out[9] = np.int64(rule[_VALID_MS])
    prices[10] = np.rint(stop) / scale
    prices[11] = np.rint((distance - spread) * scale) / scale
    prices[14] = rule[_BREAKEVEN]
    out[15] = np.int64(rule[_HOLD_MS])
    out[16] = CLOSE
    out[19] = MARKET


@kernel
def _put(
    out: Any, prices: Any, kind: int, side: int, t: int, n: int, from_n: int, bid: float, ask: float, strength: float
) -> None:
    """What ENTER and EXIT have in common, into one row's words; without a plan."""
    out[0] = n
    out[1] = t
    out[2] = kind
    out[3] = side
    out[4] = t
    out[5] = n
    out[6] = from_n
    prices[7] = bid
    prices[8] = ask
    out[9] = 0
    for word in range(10, 15):
        prices[word] = np.nan
    out[15] = 0
    out[16] = IGNORE
    prices[18] = strength
    out[19] = NO_ENTRY
    prices[20] = np.nan
    out[21] = 0
    prices[22] = np.nan
    prices[23] = np.nan


@kernel
def fold_berserker(
    time_ms: Any,
    bid: Any,
    ask: Any,
    quality: Any,
    first_n: int,
    gap: bool,
    scale: float,
    rule: Any,
    state: Any,
    out: Any,
) -> int:
    """Folds consecutive ticks into state int64[WORDS], writes the signals, and returns how many.

    scale: points in 1.0; rule: float64[16] as _RULE; out: int64[room, SIGNAL_WORDS], with room for one row a tick.
    """
    prices = state.view(np.float64)
    out_prices = out.view(np.float64)
    window = np.int64(rule[_CHANGES])
    count = 0
    if gap:
        state[TICKS] = 0
    for i in range(time_ms.shape[0]):
        if quality[i] & _UNUSED:
            continue
        t = time_ms[i]
        n = first_n + i
        mid = (bid[i] + ask[i]) * 0.5
        silence = t - state[LAST_MS]
        state[LAST_MS] = t
        if state[TICKS] == 0 or silence > rule[_RESET_MS]:
            state[TICKS] = 1
            state[SINCE_MS] = t
            state[SIDE] = 0
            state[SIDE_MS] = 0
            state[FILLED] = 0
            state[HEAD] = 0
            state[TURNS] = 0
            for k in range(_WINDOW):
                state[CHANGE_N + k] = 0
            prices[BID] = bid[i]
            prices[ASK] = ask[i]
            prices[MEAN] = mid
            prices[VARIANCE] = 0.0
            continue
        state[TICKS] += 1
        weight = silence / (rule[_MEAN_MS] + silence)
        away = (prices[BID] + prices[ASK]) * 0.5 - prices[MEAN]
        step = weight * away
        prices[MEAN] += step
        prices[VARIANCE] = (1.0 - weight) * (prices[VARIANCE] + away * step)
        if not prices[VARIANCE] <= _ABSURD:
            # Prices that overflow: NaN must not get into the state, and the averages could never forget it.
            state[TICKS] = 0
            prices[MEAN] = 0.0
            prices[VARIANCE] = 0.0
            continue
        _changes(bid[i], ask[i], n, window, state, prices)
        prices[BID] = bid[i]
        prices[ASK] = ask[i]

        side = state[SIDE]
        if side != 0 and t - state[SIDE_MS] >= rule[_HOLD_MS]:
            state[SIDE] = side = 0
            state[FREE_MS] = t + np.int64(rule[_COOLDOWN_MS])
        if quality[i] & SUSPECT:
            continue
        from_mean = mid - prices[MEAN]
        from_n = state[CHANGE_N + state[HEAD] % max(state[FILLED], 1)] >> 1
        deviation = np.sqrt(prices[VARIANCE])
        if side != 0:
            if (side == LONG and from_mean >= 0.0) or (side == SHORT and from_mean <= 0.0):
                strength = abs(from_mean) / deviation if deviation > 0.0 else 0.0
                _put(out[count], out_prices[count], EXIT, side, t, n, from_n, bid[i], ask[i], strength)
                out[count, 17] = np.int64(rule[_COOLDOWN_MS])
                count += 1
                state[SIDE] = 0
                state[FREE_MS] = t + np.int64(rule[_COOLDOWN_MS])
            continue
        if state[TICKS] < rule[_WARM_TICKS] or t - state[SINCE_MS] < rule[_WARM_MS] or t < state[FREE_MS]:
            continue
        distance = abs(from_mean)
        spread = ask[i] - bid[i]
        if deviation == 0.0 or distance < rule[_ENTRY] * deviation or spread * scale > rule[_MAX_SPREAD] + 0.5:
            continue
        if (distance - spread) * scale <= rule[_COMMISSION] + rule[_EDGE]:
            continue
        side = LONG if from_mean < 0.0 else SHORT
        if not _turned(side, window, np.int64(rule[_AGREE]), state):
            continue
        _put(out[count], out_prices[count], ENTER, side, t, n, from_n, bid[i], ask[i], distance / deviation)
        _plan(out[count], out_prices[count], rule, distance, deviation, spread, scale)
        out[count, 17] = np.int64(rule[_COOLDOWN_MS])
        count += 1
        state[SIDE] = side
        state[SIDE_MS] = t
    return count
