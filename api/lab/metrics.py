"""What a run is judged by: each metric with its name in MT5's words where MT5 has one, its unit and its definition.

Money is in the account's currency. A metric that says nothing (no trades, no deviation) is None, shown as –.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from api.lab import returns as of
from api.lab.figures import Figures, figures, in_market_ms, line, margin_level, most_open, real_share, z_score
from api.lab.returns import of_some, ratio
from api.lab.run import Run

Value = float | None


class Metric(NamedTuple):
    """One figure. unit: money, % (the value is in per cent), s, R, factor, none, or what is counted."""

    key: str
    name: str
    group: str
    unit: str
    definition: str
    value: Callable[[Figures], Value]


def measure(run: Run) -> dict[str, Value]:
    """All metrics of `run` by key, in the order of METRICS."""
    found = figures(run)
    values = {key: metric.value(found) for key, metric in METRICS.items()}
    return {key: None if value is None else float(value) for key, value in values.items()}


def shown(value: Value, unit: str, money_digits: int = 2) -> str:
    """A metric's value as a person reads it, without its currency."""
    if value is None:
        return "–"
    if unit == "s":
        return duration(value)
    if unit in ("trades", "days", "ticks", "positions"):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    if unit == "money":
        return f"{value:,.{money_digits}f}".replace("-", "−")
    if unit == "factor":
        return f"{value:.5f}"
    text = f"{value:,.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"
    return text.replace("-", "−") + {"%": " %", "R": " R", "lots": " lots"}.get(unit, "")


def duration(seconds: float) -> str:
    """Two of days, hours, minutes, seconds."""
    if seconds < 0:
        return f"−{duration(-seconds)}"
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days:,} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def percent(value: Value) -> Value:
    return None if value is None else value * 100.0


def _trades(f: Figures) -> int:
    return len(f.pnl)


def _share_won(f: Figures, side: int) -> Value:
    pnl = f.side(side)
    return percent(ratio(float((pnl > 0).sum()), float(len(pnl))))


def _cost(name: str) -> Callable[[Figures], Value]:
    return lambda f: float(f.run.trades[name].sum())


def _costs(f: Figures) -> float:
    return sum(float(f.run.trades[name].sum()) for name in ("spread_cost", "slippage_cost", "commission", "swap"))


def _daily(formula: Callable[..., Value], *, yearly: bool = False, share: bool = False) -> Callable[[Figures], Value]:
    def value(f: Figures) -> Value:
        found = formula(f.days.returns, f.days.a_year) if yearly else formula(f.days.returns)
        return percent(found) if share else found

    return value


def _expected(f: Figures) -> Value:
    return ratio(f.net, _trades(f))


def _sqn(f: Figures) -> Value:
    n = min(_trades(f), 100)
    return None if not n else ratio(float(f.pnl.mean()) * n**0.5, of.deviation(f.pnl))


def _kelly(f: Figures) -> Value:
    payoff = _payoff(f)
    decided = len(f.wins) + len(f.losses)
    won = ratio(len(f.wins), decided)
    return None if won is None or not payoff else percent(won - (1 - won) / payoff)


def _payoff(f: Figures) -> Value:
    won, lost = of_some(np.mean, f.wins), of_some(np.mean, f.losses)
    return None if lost is None else ratio(won, -lost)


def _trade_sharpe(f: Figures) -> Value:
    gained = f.growths - 1.0
    return ratio(of_some(np.mean, gained), of.deviation(gained))


def _geometric(f: Figures) -> Value:
    return float(f.growths.prod() ** (1.0 / len(f.growths))) if len(f.growths) else None


def _edge(f: Figures) -> Value:
    return ratio(of_some(np.mean, f.column("mfe")), -(of_some(np.mean, f.column("mae")) or 0.0))


def _kept(f: Figures) -> Value:
    best = float(f.column("mfe").sum())
    return percent(ratio(f.net, best))


def _weeks(f: Figures) -> float:
    return (f.run.to_ms - f.run.from_ms) / (7 * 86_400_000.0)


RESULT, TRADES, STREAKS = "Result", "Trades", "Streaks"
DRAWDOWN, RETURNS, EXPOSURE = "Drawdown", "Daily returns", "Exposure and time"
COSTS, EXCURSION, DATA = "Costs", "Excursion", "Data"

_ALL: Final = (
    Metric("net_profit", "Total net profit", RESULT, "money", "Sum of all trades' results after all costs.",
           lambda f: f.net),
    Metric("net_profit_percent", "Net profit, % of deposit", RESULT, "%",
           "Total net profit over the balance at the start.",
           lambda f: percent(ratio(f.net, f.start))),
    Metric("gross_profit", "Gross profit", RESULT, "money", "Sum of the trades that won.",
           lambda f: float(f.wins.sum())),
    Metric("gross_loss", "Gross loss", RESULT, "money", "Sum of the trades that lost, ≤ 0.",
           lambda f: float(f.losses.sum())),
    Metric("final_balance", "Final balance", RESULT, "money", "Balance at the start and total net profit.",
           lambda f: f.start + f.net),
    Metric("profit_factor", "Profit factor", RESULT, "", "Gross profit over gross loss, without its sign.",
           lambda f: ratio(float(f.wins.sum()), -float(f.losses.sum()))),
    Metric("expected_payoff", "Expected payoff", RESULT, "money", "Total net profit over the number of trades.",
           _expected),
    Metric("recovery_factor", "Recovery factor", RESULT, "", "Total net profit over the maximal equity drawdown.",
           lambda f: ratio(f.net, f.equity_fall.maximal)),
    Metric("sharpe_trades", "Sharpe ratio of trades", RESULT, "",
           "(AHPR - 1) over the deviation of the trades' returns on the balance before each; not annualised.",
           _trade_sharpe),
    Metric("ahpr", "AHPR", RESULT, "factor",
           "Average holding period return: mean of balance after over balance before a trade.",
           lambda f: of_some(np.mean, f.growths)),
    Metric("ghpr", "GHPR", RESULT, "factor",
           "Geometric holding period return: the root, of as many as there are trades, of the"
           " final over the first balance.", _geometric),
    Metric("lr_correlation", "LR correlation", RESULT, "",
           "Correlation of the balance after each trade with the trade's number: 1 is a straight climb.",
           lambda f: line(f.balance)[0]),
    Metric("lr_standard_error", "LR standard error", RESULT, "money",
           "Standard error of the balance after each trade around its regression line.", lambda f: line(f.balance)[1]),
    Metric("z_score", "Z-score", RESULT, "", "Runs test of wins and losses: below -2 streaks, above 2 alternation, more"
           " than chance would have.", lambda f: z_score(f.pnl)),
    Metric("sqn", "System quality number", RESULT, "",
           "√n · mean over deviation of the trades' results, n at most 100 (Van Tharp).", _sqn),
    Metric("kelly", "Kelly fraction", RESULT, "%",
           "Share won less share lost over payoff ratio: the bet that would have"
           " grown fastest; a ceiling, not advice.", _kelly),

    Metric("trades", "Total trades", TRADES, "trades", "Closed positions; a part closed by itself counts as one.",
           _trades),
    Metric("profit_trades", "Profit trades", TRADES, "trades", "Trades with a result above 0.", lambda f: len(f.wins)),
    Metric("profit_trades_percent", "Profit trades, % of total", TRADES, "%", "Profit trades over total trades.",
           lambda f: percent(ratio(len(f.wins), _trades(f)))),
    Metric("loss_trades", "Loss trades", TRADES, "trades", "Trades with a result below 0.", lambda f: len(f.losses)),
    Metric("long_trades", "Long trades", TRADES, "trades", "Trades that bought first.", lambda f: len(f.side(1))),
    Metric("long_trades_won", "Long trades won, %", TRADES, "%", "Share of the long trades with a result above 0.",
           lambda f: _share_won(f, 1)),
    Metric("short_trades", "Short trades", TRADES, "trades", "Trades that sold first.", lambda f: len(f.side(-1))),
    Metric("short_trades_won", "Short trades won, %", TRADES, "%", "Share of the short trades with a result above 0.",
           lambda f: _share_won(f, -1)),
    Metric("long_net", "Net profit of longs", TRADES, "money", "Sum of the long trades.",
           lambda f: float(f.side(1).sum())),
    Metric("short_net", "Net profit of shorts", TRADES, "money", "Sum of the short trades.",
           lambda f: float(f.side(-1).sum())),
    Metric("largest_profit", "Largest profit trade", TRADES, "money",
           "The best result.", lambda f: of_some(np.max, f.wins)),
    Metric("largest_loss", "Largest loss trade", TRADES, "money",
           "The worst result.", lambda f: of_some(np.min, f.losses)),
    Metric("average_profit", "Average profit trade", TRADES, "money", "Mean of the trades that won.",
           lambda f: of_some(np.mean, f.wins)),
    Metric("average_loss", "Average loss trade", TRADES, "money", "Mean of the trades that lost.",
           lambda f: of_some(np.mean, f.losses)),
    Metric("payoff_ratio", "Payoff ratio", TRADES, "",
           "Average profit trade over average loss trade, without its sign.",
           _payoff),
    Metric("median_trade", "Median trade", TRADES, "money", "Half of the trades did better.",
           lambda f: of_some(np.median, f.pnl)),
    Metric("trade_deviation", "Deviation of trades", TRADES, "money", "Standard deviation of the trades' results.",
           lambda f: of.deviation(f.pnl)),
    Metric("trade_skew", "Skewness of trades", TRADES, "", "Above 0: the long tail is on the winning side.",
           lambda f: of.skew(f.pnl)),
    Metric("r_mean", "Mean R multiple", TRADES, "R", "Mean of result over risk at entry (what the first stop would have"
           " lost), of trades that had a stop.", lambda f: of_some(np.mean, f.r_multiples)),
    Metric("r_worst", "Worst R multiple", TRADES, "R", "Below -1: the stop was gapped, or costs came on top.",
           lambda f: of_some(np.min, f.r_multiples)),

    Metric("most_wins", "Maximum consecutive wins", STREAKS, "trades", "The longest run of profit trades.",
           lambda f: f.won.longest),
    Metric("most_wins_money", "Maximum consecutive wins, money", STREAKS, "money", "What that run earned.",
           lambda f: f.won.longest_money),
    Metric("most_losses", "Maximum consecutive losses", STREAKS, "trades", "The longest run of loss trades.",
           lambda f: f.lost.longest),
    Metric("most_losses_money", "Maximum consecutive losses, money", STREAKS, "money", "What that run lost.",
           lambda f: f.lost.longest_money),
    Metric("maximal_wins", "Maximal consecutive profit", STREAKS, "money",
           "The most that a run of profit trades earned.",
           lambda f: f.won.greatest_money),
    Metric("maximal_wins_count", "Maximal consecutive profit, trades", STREAKS, "trades", "The trades of that run.",
           lambda f: f.won.greatest),
    Metric("maximal_losses", "Maximal consecutive loss", STREAKS, "money", "The most that a run of loss trades lost.",
           lambda f: f.lost.greatest_money),
    Metric("maximal_losses_count", "Maximal consecutive loss, trades", STREAKS, "trades", "The trades of that run.",
           lambda f: f.lost.greatest),
    Metric("average_wins", "Average consecutive wins", STREAKS, "trades", "Mean length of the runs of profit trades.",
           lambda f: f.won.mean),
    Metric("average_losses", "Average consecutive losses", STREAKS, "trades", "Mean length of the runs of loss trades.",
           lambda f: f.lost.mean),

    Metric("balance_drawdown_absolute", "Balance drawdown absolute", DRAWDOWN, "money",
           "Balance at the start less the lowest balance.", lambda f: f.balance_fall.absolute),
    Metric("balance_drawdown_maximal", "Balance drawdown maximal", DRAWDOWN, "money",
           "Greatest fall of the balance from its peak so far.", lambda f: f.balance_fall.maximal),
    Metric("balance_drawdown_maximal_percent", "Balance drawdown maximal, % of its peak", DRAWDOWN, "%",
           "That fall over the peak before it.", lambda f: percent(f.balance_fall.maximal_share)),
    Metric("balance_drawdown_relative", "Balance drawdown relative", DRAWDOWN, "%",
           "Greatest fall of the balance in per cent of its peak so far.", lambda f: percent(f.balance_fall.relative)),
    Metric("balance_drawdown_relative_money", "Balance drawdown relative, money", DRAWDOWN, "money",
           "That fall in money.", lambda f: f.balance_fall.relative_money),
    Metric("equity_drawdown_absolute", "Equity drawdown absolute", DRAWDOWN, "money",
           "Balance at the start less the lowest equity.", lambda f: f.equity_fall.absolute),
    Metric("equity_drawdown_maximal", "Equity drawdown maximal", DRAWDOWN, "money",
           "Greatest fall of the equity from its peak so far, at whole minutes and fills.",
           lambda f: f.equity_fall.maximal),
    Metric("equity_drawdown_maximal_percent", "Equity drawdown maximal, % of its peak", DRAWDOWN, "%",
           "That fall over the peak before it.", lambda f: percent(f.equity_fall.maximal_share)),
    Metric("equity_drawdown_relative", "Equity drawdown relative", DRAWDOWN, "%",
           "Greatest fall of the equity in per cent of its peak so far.", lambda f: percent(f.equity_fall.relative)),
    Metric("equity_drawdown_relative_money", "Equity drawdown relative, money", DRAWDOWN, "money",
           "That fall in money.", lambda f: f.equity_fall.relative_money),
    Metric("longest_drawdown", "Longest drawdown", DRAWDOWN, "s",
           "Longest time from a peak of the equity to the first value as high, or to the end.",
           lambda f: f.equity_fall.longest_ms / 1000.0),
    Metric("average_drawdown", "Average drawdown", DRAWDOWN, "%",
           "Mean of the greatest falls between two peaks of the equity.", lambda f: percent(f.equity_fall.mean)),
    Metric("ulcer_index", "Ulcer index", DRAWDOWN, "%", "Root of the mean square of the daily falls from the peak.",
           _daily(of.ulcer, share=True)),

    Metric("return_year", "Return a year", RETURNS, "%",
           "Compound growth of the daily returns, by trading days a year.",
           _daily(of.growth, yearly=True, share=True)),
    Metric("volatility", "Volatility a year", RETURNS, "%", "Deviation of the daily returns, × √(trading days a year).",
           _daily(of.volatility, yearly=True, share=True)),
    Metric("sharpe", "Sharpe ratio", RETURNS, "",
           "Mean over deviation of the daily returns, × √(trading days a year); no risk-free rate.",
           _daily(of.sharpe, yearly=True)),
    Metric("sortino", "Sortino ratio", RETURNS, "", "Mean daily return a year over the downside deviation.",
           _daily(of.sortino, yearly=True)),
    Metric("downside", "Downside deviation a year", RETURNS, "%",
           "Root of the mean of min(return, 0)², × √(trading days a year).",
           _daily(of.downside, yearly=True, share=True)),
    Metric("daily_drawdown", "Drawdown of days", RETURNS, "%",
           "Deepest fall of the equity at days' ends from its peak, ≤ 0.", _daily(of.deepest, share=True)),
    Metric("calmar", "Calmar ratio", RETURNS, "", "Return a year over the drawdown of days, without its sign.",
           lambda f: ratio(of.growth(f.days.returns, f.days.a_year), -(of.deepest(f.days.returns) or 0.0))),
    Metric("martin", "Martin ratio", RETURNS, "", "Return a year over the ulcer index.",
           lambda f: ratio(of.growth(f.days.returns, f.days.a_year), of.ulcer(f.days.returns))),
    Metric("omega", "Omega ratio", RETURNS, "", "Sum of the daily gains over the sum of the daily losses.",
           _daily(of.omega)),
    Metric("tail_ratio", "Tail ratio", RETURNS, "", "95th over 5th percentile of the daily returns, without signs.",
           _daily(of.tail)),
    Metric("value_at_risk", "Value at risk, 5 %", RETURNS, "%", "Five days of a hundred did worse.",
           _daily(of.value_at_risk, share=True)),
    Metric("conditional_value_at_risk", "Expected shortfall, 5 %", RETURNS, "%",
           "Mean of the worst five of a hundred days.",
           _daily(of.conditional_value_at_risk, share=True)),
    Metric("skew", "Skewness of days", RETURNS, "", "Above 0: the long tail is on the winning side.", _daily(of.skew)),
    Metric("kurtosis", "Excess kurtosis of days", RETURNS, "",
           "Above 0: more extreme days than a normal distribution has.",
           _daily(of.kurtosis)),
    Metric("stability", "Stability", RETURNS, "",
           "R² of a straight line through the logarithm of the compounded returns.",
           _daily(of.stability)),
    Metric("best_day", "Best day", RETURNS, "%", "Greatest daily return.",
           lambda f: percent(of_some(np.max, f.days.returns))),
    Metric("worst_day", "Worst day", RETURNS, "%", "Smallest daily return.",
           lambda f: percent(of_some(np.min, f.days.returns))),
    Metric("positive_days", "Days that gained", RETURNS, "%", "Of the days on which the equity moved.",
           lambda f: percent(ratio(float((f.days.returns > 0).sum()), float((f.days.returns != 0).sum())))),
    Metric("best_month", "Best month", RETURNS, "%", "Greatest return of a calendar month.",
           lambda f: percent(of_some(np.max, f.months))),
    Metric("worst_month", "Worst month", RETURNS, "%", "Smallest return of a calendar month.",
           lambda f: percent(of_some(np.min, f.months))),
    Metric("positive_months", "Months that gained", RETURNS, "%", "Of all calendar months.",
           lambda f: percent(ratio(float((f.months > 0).sum()), float(len(f.months))))),

    Metric("trading_days", "Trading days", EXPOSURE, "days", "Days, by the server's clock, with a bar or a trade.",
           lambda f: len(f.days.day)),
    Metric("trades_per_week", "Trades a week", EXPOSURE, "trades", "Total trades over the weeks of the range.",
           lambda f: ratio(_trades(f), _weeks(f))),
    Metric("time_in_market", "Time in market", EXPOSURE, "%",
           "Time with a position over the whole range, weekends too.",
           lambda f: percent(ratio(in_market_ms(f.run), f.run.to_ms - f.run.from_ms))),
    Metric("holding_average", "Average position holding time", EXPOSURE, "s", "Mean time from entry to exit.",
           lambda f: of_some(np.mean, f.hold_s)),
    Metric("holding_minimal", "Minimal position holding time", EXPOSURE, "s", "Shortest time from entry to exit.",
           lambda f: of_some(np.min, f.hold_s)),
    Metric("holding_maximal", "Maximal position holding time", EXPOSURE, "s", "Longest time from entry to exit.",
           lambda f: of_some(np.max, f.hold_s)),
    Metric("volume", "Volume", EXPOSURE, "lots", "Lots of all trades, each counted once.",
           lambda f: float(f.run.trades["lots"].sum())),
    Metric("most_positions", "Most positions at once", EXPOSURE, "positions", "Trades open at one instant, at most.",
           lambda f: most_open(f.run)[0]),
    Metric("most_lots", "Most lots at once", EXPOSURE, "lots", "Lots open at one instant, at most.",
           lambda f: most_open(f.run)[1]),
    Metric("margin_level", "Margin level, lowest", EXPOSURE, "%", "Smallest equity over margin used.",
           lambda f: percent(margin_level(f.run))),
    Metric("most_margin", "Margin used, highest", EXPOSURE, "money", "Greatest margin used.",
           lambda f: of_some(np.max, f.run.margin)),

    Metric("spread_cost", "Spread paid", COSTS, "money", "Half the spread at each deal.", _cost("spread_cost")),
    Metric("slippage_cost", "Slippage paid", COSTS, "money", "Fill against the price decided on, below 0 = better.",
           _cost("slippage_cost")),
    Metric("commission", "Commission paid", COSTS, "money", "By the broker's specification.", _cost("commission")),
    Metric("swap", "Swap paid", COSTS, "money", "Over nights, below 0 = earned.", _cost("swap")),
    Metric("costs", "All costs", COSTS, "money", "Spread, slippage, commission and swap.", _costs),
    Metric("before_costs", "Profit before costs", COSTS, "money", "Total net profit and all costs: what the idea earned"
           " between mid prices.", lambda f: f.net + _costs(f)),
    Metric("costs_per_lot", "Costs a lot", COSTS, "money", "All costs over the lots of all trades.",
           lambda f: ratio(_costs(f), float(f.run.trades["lots"].sum()))),
    Metric("costs_share", "Costs, % of profit before costs", COSTS, "%", "Says nothing where there was none.",
           lambda f: percent(ratio(_costs(f), f.net + _costs(f))) if f.net + _costs(f) > 0 else None),

    Metric("mae_average", "Average MAE", EXCURSION, "money", "Mean of the worst floating result while open, ≤ 0.",
           lambda f: of_some(np.mean, f.column("mae"))),
    Metric("mfe_average", "Average MFE", EXCURSION, "money", "Mean of the best floating result while open, ≥ 0.",
           lambda f: of_some(np.mean, f.column("mfe"))),
    Metric("profit_mfe", "Correlation (profits, MFE)", EXCURSION, "", "1: what was there was kept.",
           lambda f: of.correlation(f.pnl, f.column("mfe"))),
    Metric("profit_mae", "Correlation (profits, MAE)", EXCURSION, "", "1: what went far against it stayed lost.",
           lambda f: of.correlation(f.pnl, f.column("mae"))),
    Metric("mfe_mae", "Correlation (MFE, MAE)", EXCURSION, "", "Of the best and the worst floating result.",
           lambda f: of.correlation(f.column("mfe"), f.column("mae"))),
    Metric("edge_ratio", "Edge ratio", EXCURSION, "", "Average MFE over average MAE, without its sign.", _edge),
    Metric("kept", "Kept of MFE", EXCURSION, "%", "Total net profit over the sum of all MFE.", _kept),

    Metric("history_quality", "Modelling quality", DATA, "%", "Share of real ticks among all ticks.",
           lambda f: percent(real_share(f.run))),
    Metric("ticks", "Ticks", DATA, "ticks", "Ticks of all listings, synthetic ones included.",
           lambda f: float(sum(int(found.get("ticks") or 0) for found in f.run.data))),
)  # fmt: skip

METRICS: Final[Mapping[str, Metric]] = {metric.key: metric for metric in _ALL}
"""By key, in the order of the report."""

HEADLINES: Final = (
    "net_profit", "net_profit_percent", "profit_factor", "expected_payoff", "equity_drawdown_relative",
    "recovery_factor", "sharpe", "trades", "profit_trades_percent", "costs",
)  # fmt: skip
"""The ten that matter."""
