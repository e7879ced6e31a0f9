"""What the report's pictures are drawn from: a run's series, cut down to what a screen shows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from api.lab.days import Days, month, server_ms, weekday
from api.lab.run import Doubles, Longs, Run

CURVE_BUCKETS: Final = 1_000
"""Of each, the first, lowest, highest and last equity are kept."""
ROLLING_DAYS: Final = 63
"""A quarter of trading days; runs shorter than two of them take a fifth of their own length, 10 at least."""
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
MONTHS: Final = 12


def trade_columns(run: Run) -> dict[str, list[Any]]:
    """The trades for the table and the pictures, by column."""
    trades = run.trades
    names = ("entry_ms", "entry_price", "exit_ms", "exit_price", "side", "order_no", "position", "entry_n", "exit_n")
    money = ("pnl", "gross", "commission", "swap", "spread_cost", "slippage_cost", "mae", "mfe", "lots")
    columns = {name: trades[name].tolist() for name in (*names, "exit_reason", "strategy", "listing")}
    columns |= {name: np.round(trades[name], 8).tolist() for name in money}
    columns["risk"] = [value if value == value else None for value in np.round(trades["risk"], 8).tolist()]
    return columns


def equity_curve(run: Run) -> dict[str, list[float]]:
    """s (UTC seconds), equity, balance, drawdown (%, ≤ 0), margin; extremes are kept."""
    start = float(run.start_balance)
    time = np.concatenate(([run.from_ms], run.equity_ms, [max(run.to_ms, run.from_ms)]))
    last = (run.equity[-1], run.balance[-1]) if len(run.equity) else (start, start)
    equity = np.concatenate(([start], run.equity, [last[0]]))
    balance = np.concatenate(([start], run.balance, [last[1]]))
    margin = np.concatenate(([0.0], run.margin, [0.0]))
    peak = np.maximum.accumulate(equity)
    down = np.divide(equity - peak, peak, out=np.zeros(len(equity)), where=peak > 0) * 100
    kept = _kept(time, equity, down)
    return {
        "s": (time[kept] // 1000).tolist(), "equity": np.round(equity[kept], 2).tolist(),
        "balance": np.round(balance[kept], 2).tolist(), "drawdown": np.round(down[kept], 3).tolist(),
        "margin": np.round(margin[kept], 2).tolist(),
    }  # fmt: skip


def _kept(time: Longs, equity: Doubles, down: Doubles) -> Longs:
    """Indices of at most 4 a bucket of equal time."""
    n = len(time)
    if n <= 4 * CURVE_BUCKETS:
        return np.arange(n)
    edges = np.linspace(float(time[0]), float(time[-1]), CURVE_BUCKETS + 1)[1:-1]
    first = np.unique(np.concatenate(([0], np.searchsorted(time, edges), [n])))
    kept = {0, n - 1}
    for start, end in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        part = equity[start:end]
        kept |= {start, start + int(part.argmin()), start + int(part.argmax()), start + int(down[start:end].argmin())}
    return np.array(sorted(kept))


def month_table(days: Days) -> list[tuple[int, list[float | None], float]]:
    """A row a year: its number, the returns of its months (None: no trading day), the year's; shares."""
    if not len(days.returns):
        return []
    grown: dict[int, float] = {}
    for at, value in zip(month(days.day).tolist(), days.returns.tolist(), strict=True):
        grown[at] = grown.get(at, 1.0) * (1.0 + value)
    rows = []
    for year in range(min(grown) // MONTHS, max(grown) // MONTHS + 1):
        found = [grown.get(year * MONTHS + m) for m in range(MONTHS)]
        total = float(np.prod([g for g in found if g is not None]))
        rows.append((1970 + year, [None if g is None else g - 1.0 for g in found], total - 1.0))
    return rows


def hours(run: Run) -> dict[str, list[float]]:
    """Sum of results and number of trades by hour (24) and weekday (7, from Monday) of the entry, server's clock."""
    entry = server_ms(run, run.trades["entry_ms"])
    hour, of_week, pnl = entry // _HOUR_MS % 24, weekday(entry // _DAY_MS), run.trades["pnl"]
    return {
        "hour_pnl": np.round(np.bincount(hour, pnl, 24), 2).tolist(),
        "hour_count": np.bincount(hour, minlength=24).tolist(),
        "weekday_pnl": np.round(np.bincount(of_week, pnl, 7), 2).tolist(),
        "weekday_count": np.bincount(of_week, minlength=7).tolist(),
    }


def rolling_sharpe(days: Days) -> dict[str, Any]:
    """window (trading days), s (UTC seconds of days), value: Sharpe ratio a year of the window that ends there."""
    n = len(days.returns)
    window = ROLLING_DAYS if n >= 2 * ROLLING_DAYS else max(n // 5, 10)
    if n <= window:
        return {"window": window, "s": [], "value": []}
    parts = np.lib.stride_tricks.sliding_window_view(days.returns, window)
    spread = parts.std(axis=1, ddof=1)
    value = np.divide(parts.mean(axis=1), spread, out=np.full(len(spread), np.nan), where=spread > 1e-12)
    value *= days.a_year**0.5
    known = np.isfinite(value)
    at = days.day[window - 1 :]
    return {"window": window, "s": (at[known] * 86_400).tolist(), "value": np.round(value[known], 3).tolist()}


def distribution(run: Run) -> dict[str, list[float]]:
    """Counts of results in bins that have 0 as an edge; edges has one more."""
    pnl = run.trades["pnl"]
    if not len(pnl):
        return {"edges": [], "count": []}
    low, high = min(float(pnl.min()), 0.0), max(float(pnl.max()), 0.0)
    width = _round_up((high - low) / 30) if high > low else 1.0
    edges = np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width
    if len(edges) < 2:
        edges = np.array([0.0, width])
    return {"edges": np.round(edges, 6).tolist(), "count": np.histogram(pnl, edges)[0].tolist()}


def _round_up(x: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(x))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= x))
