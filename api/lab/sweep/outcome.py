"""What is kept of a set's run: its parameters and metrics as one row."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from api.lab.figures import figures
from api.lab.metrics import METRICS, Value
from api.lab.run import Run
from api.lab.sweep.axes import Number
from infra.errors import SettingsError

KEPT: Final = (
    "net_profit", "trades", "profit_factor", "expected_payoff", "profit_trades_percent", "sharpe", "sortino",
    "recovery_factor", "return_year", "equity_drawdown_maximal", "equity_drawdown_relative", "sqn", "costs",
    "commission", "swap", "spread_cost", "slippage_cost", "time_in_market", "skew", "kurtosis",
)  # fmt: skip
"""Keys of the report's metrics, by whose definitions they are computed."""
BY: Final = {
    "sharpe": 1, "sortino": 1, "net_profit": 1, "profit_factor": 1, "expected_payoff": 1, "profit_trades_percent": 1,
    "recovery_factor": 1, "return_year": 1, "sqn": 1, "equity_drawdown_maximal": -1, "equity_drawdown_relative": -1,
}  # fmt: skip
"""What sets may be chosen by: 1 where more is better, -1 where less is."""


class Row(NamedTuple):
    """One set's run. stage: -1 over the whole range, else the walk-forward window whose training it is.

    metrics: of KEPT, None where it says nothing; days: daily returns that the Sharpe ratio is of, a_year: how many make
    a year; refused: entries that were not traded; failed: why it has no result, empty if it has one.
    """

    stage: int
    number: int
    parameters: Mapping[str, Number]
    metrics: Mapping[str, Value]
    days: int
    a_year: int
    refused: int
    failed: str

    def metric(self, key: str) -> Value:
        """A metric; None if the run has none."""
        return self.metrics.get(key)

    @property
    def trades(self) -> int:
        """Closed trades."""
        return int(self.metrics.get("trades") or 0)

    def line(self) -> str:
        """The row as a line of JSON; doubles in shortest round-trip form."""
        return json.dumps(self._asdict(), separators=(",", ":"), allow_nan=False)


def row_of(stage: int, number: int, parameters: Mapping[str, Number], run: Run, failed: str) -> Row:
    """The row of a finished run."""
    found = figures(run)
    metrics = {key: _plain(METRICS[key].value(found)) for key in KEPT}
    refused = sum(run.refused.values())
    return Row(stage, number, dict(parameters), metrics, len(found.days.returns), found.days.a_year, refused, failed)


def failed_row(stage: int, number: int, parameters: Mapping[str, Number], reason: str) -> Row:
    """The row of a set that could not be run."""
    return Row(stage, number, dict(parameters), {}, 0, 0, 0, reason)


def parse_row(line: str) -> Row:
    """A row from its line. Raises ValueError."""
    try:
        found = json.loads(line)
        return Row(**found)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{line[:60]!r} is not a result: {error}") from error


def check_by(by: str) -> str:
    """`by`, if sets may be chosen by it. Raises SettingsError."""
    if by not in BY:
        raise SettingsError(f"--by {by}: sets are chosen by one of {', '.join(BY)}")
    return by


def ranked(rows: Sequence[Row], by: str, least_trades: int) -> list[Row]:
    """The rows that may be chosen, best first; of equals the one that comes first."""
    fit = [row for row in rows if not row.failed and row.trades >= least_trades and row.metric(by) is not None]
    return sorted(fit, key=lambda row: -BY[by] * (row.metric(by) or 0.0))


def sharpes(rows: Sequence[Row]) -> list[float]:
    """The annualised Sharpe ratios of the rows that have one."""
    return [value for row in rows if not row.failed and (value := row.metric("sharpe")) is not None]


def _plain(value: Any) -> Value:
    return None if value is None or not math.isfinite(value) else float(value)
