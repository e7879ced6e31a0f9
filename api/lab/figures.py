"""What metrics are computed from, once a run: its trades by column, their streaks, and its falls from peaks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from api.lab.days import Days, month, trading_days
from api.lab.returns import correlation, deviation, ratio
from api.lab.run import Doubles, Longs, Run


class Fall(NamedTuple):
    """Drawdowns of a series from its peak so far, the start being a peak.

    absolute: the start less the lowest; maximal: the greatest fall, and maximal_share of its peak; relative: the
    greatest share of a peak, and relative_money; longest_ms: from a peak to the first value at or above it, or to the
    end; mean: of the falls between two peaks, shares. Shares are of 1.
    """

    absolute: float
    maximal: float
    maximal_share: float
    relative: float
    relative_money: float
    longest_ms: int
    mean: float


class Streaks(NamedTuple):
    """Runs of wins and of losses: longest (count, money), richest or poorest (money, count), mean length."""

    longest: int
    longest_money: float
    greatest_money: float
    greatest: int
    mean: float


@dataclass
class Figures:
    """A run, cut into what formulas take; trades in the order of their exits. What few of them take is computed when
    it is asked for: a sweep's rows need little of it."""

    run: Run
    pnl: Doubles
    wins: Doubles
    losses: Doubles
    hold_s: Doubles
    balance: Doubles
    """Before the first trade and after each."""
    days: Days

    @cached_property
    def months(self) -> Doubles:
        """Return of each calendar month, a share."""
        return monthly(self.days)

    @cached_property
    def balance_fall(self) -> Fall:
        return self._fall(self.run.balance)

    @cached_property
    def equity_fall(self) -> Fall:
        return self._fall(self.run.equity)

    @cached_property
    def won(self) -> Streaks:
        return streaks(self.pnl, self.pnl > 0)

    @cached_property
    def lost(self) -> Streaks:
        return streaks(self.pnl, self.pnl < 0)

    @property
    def start(self) -> float:
        return float(self.run.start_balance)

    @property
    def net(self) -> float:
        return float(self.pnl.sum())

    @property
    def growths(self) -> Doubles:
        """What each trade made of the balance before it; empty where one began with nothing."""
        found: Doubles = self.balance[1:] / self.balance[:-1] if (self.balance[:-1] > 0).all() else np.zeros(0)
        return found

    def _fall(self, value: Doubles) -> Fall:
        return fall(self.start, self.run.from_ms, self.run.equity_ms, value, self.run.to_ms)

    def column(self, name: str) -> Doubles:
        found: Doubles = self.run.trades[name].astype(np.float64)
        return found

    def side(self, side: int) -> Doubles:
        """Results of the longs (1) or shorts (-1)."""
        found: Doubles = self.pnl[self.run.trades["side"] == side]
        return found

    @property
    def r_multiples(self) -> Doubles:
        """Result over the risk at entry, of trades that had a stop."""
        risk = self.column("risk")
        known = np.isfinite(risk) & (risk > 0)
        found: Doubles = self.pnl[known] / risk[known]
        return found


def figures(run: Run) -> Figures:
    """All that the metrics need of `run`."""
    trades, start = run.trades, float(run.start_balance)
    pnl: Doubles = trades["pnl"].astype(np.float64)
    return Figures(
        run, pnl, pnl[pnl > 0], pnl[pnl < 0], (trades["exit_ms"] - trades["entry_ms"]) / 1000.0,
        np.concatenate(([start], start + np.cumsum(pnl))), trading_days(run),
    )  # fmt: skip


def monthly(days: Days) -> Doubles:
    """Compounded return of each month that has a trading day."""
    if not len(days.returns):
        return np.zeros(0)
    first = np.flatnonzero(np.diff(month(days.day), prepend=-1))
    found: Doubles = np.multiply.reduceat(1.0 + days.returns, first) - 1.0
    return found


def fall(start: float, from_ms: int, time_ms: Longs, value: Doubles, to_ms: int) -> Fall:
    """The falls of `value` (float64[n] at time_ms, int64[n]) that began as `start` at from_ms."""
    x = np.concatenate(([start], value))
    t = np.concatenate(([from_ms], time_ms, [max(to_ms, int(time_ms[-1]) if len(time_ms) else to_ms)]))
    peak = np.maximum.accumulate(x)
    down = peak - x
    share = np.divide(down, peak, out=np.zeros(len(x)), where=peak > 0)
    most, widest = int(down.argmax()), int(share.argmax())
    at_peak = np.flatnonzero(x == peak)
    spans = t[np.append(at_peak[1:], len(x))] - t[at_peak]
    under = np.append(at_peak[1:], len(x)) - at_peak > 1
    between = np.maximum.reduceat(share, at_peak)[under]
    return Fall(
        max(start - float(x.min()), 0.0), float(down[most]), float(share[most]), float(share[widest]),
        float(down[widest]), int(spans[under].max()) if under.any() else 0,
        float(between.mean()) if len(between) else 0.0,
    )  # fmt: skip


def streaks(pnl: Doubles, held: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Streaks:
    """The runs of consecutive trades for which `held`."""
    edge = np.diff(np.concatenate(([False], held, [False])).astype(np.int8))
    first, end = np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)
    if not len(first):
        return Streaks(0, 0.0, 0.0, 0, 0.0)
    total = np.concatenate(([0.0], np.cumsum(pnl)))
    length, money = end - first, total[end] - total[first]
    long, great = int(length.argmax()), int(np.abs(money).argmax())
    return Streaks(int(length[long]), float(money[long]), float(money[great]), int(length[great]), float(length.mean()))


def z_score(pnl: Doubles) -> float | None:
    """(N(R - ½) - X) / √(X(X - N) / (N - 1)), X = 2 · wins · losses, R runs among N trades that won or lost.

    Ralph Vince's runs test, as in MT5's report. Negative: wins follow wins; positive: they alternate.
    """
    won = pnl[pnl != 0] > 0
    n, w = len(won), int(won.sum())
    x = 2.0 * w * (n - w)
    if n < 3 or x <= n:
        return None
    runs = 1 + int((won[1:] != won[:-1]).sum())
    return float((n * (runs - 0.5) - x) / np.sqrt(x * (x - n) / (n - 1)))


def line(balance: Doubles) -> tuple[float | None, float | None]:
    """How straight the balance after each trade runs: correlation with its number, and the standard error of a
    straight line through it, in money."""
    n = len(balance)
    if n < 4 or deviation(balance) is None:
        return None, None
    x = np.arange(n, dtype=np.float64)
    fitted = np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyfit(x, balance, 1))
    return correlation(x, balance), float(np.sqrt(((balance - fitted) ** 2).sum() / (n - 2)))


def in_market_ms(run: Run) -> int:
    """How long at least one position was open."""
    if not len(run.trades):
        return 0
    order = np.argsort(run.trades["entry_ms"], kind="stable")
    begin, end = run.trades["entry_ms"][order], np.maximum.accumulate(run.trades["exit_ms"][order])
    before = np.concatenate(([begin[0]], end[:-1]))
    return int(np.maximum(end - np.maximum(begin, before), 0).sum())


def most_open(run: Run) -> tuple[int, float]:
    """Positions and lots open at once, at most; at one instant what closes comes first."""
    trades = run.trades
    if not len(trades):
        return 0, 0.0
    time = np.concatenate((trades["exit_ms"], trades["entry_ms"]))
    order = np.argsort(time, kind="stable")
    ones = np.ones(len(trades))
    count = np.cumsum(np.concatenate((-ones, ones))[order])
    lots = np.cumsum(np.concatenate((-trades["lots"], trades["lots"]))[order])
    return int(count.max()), round(float(lots.max()), 8)


def margin_level(run: Run) -> float | None:
    """The lowest equity as a share of margin while there was margin."""
    used = run.margin > 0
    return float((run.equity[used] / run.margin[used]).min()) if used.any() else None


def real_share(run: Run) -> float | None:
    """Real ticks among all ticks of all listings."""
    ticks = [float(found.get("ticks") or 0) for found in run.data]
    shares = [float(found.get("real_share") or 0) for found in run.data]
    return ratio(sum(t * s for t, s in zip(ticks, shares, strict=True)), sum(ticks))
