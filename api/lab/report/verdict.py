"""What a run's figures can carry, in plain words: the quality of its data, and how many trades and days there were."""

from __future__ import annotations

from api.lab.figures import real_share
from api.lab.run import Run

FEW_TRADES = 30
SHORT_DAYS = 90
_DAY_MS = 86_400_000


def modelling(run: Run) -> str:
    """Modelling quality as MT5's tester means it: the share of real ticks."""
    share = real_share(run)
    if share is None:
        return "modelling quality is not known."
    if share == 0:
        return "modelling quality 0 %: no real ticks, four synthetic ones a minute bar."
    if share == 1:
        return "modelling quality 100 %: all ticks are real."
    return f"modelling quality {share * 100:.4g} %: the share of real ticks."


def refusals(run: Run) -> list[tuple[str, int]]:
    """Why entries were not traded, most frequent first; reasons that differ only behind a colon are one."""
    counts: dict[str, int] = {}
    alike: dict[str, set[str]] = {}
    for reason, count in run.refused.items():
        key = reason.partition(":")[0]
        counts[key] = counts.get(key, 0) + count
        alike.setdefault(key, set()).add(reason)
    said = {key: min(reasons) if len(reasons) == 1 else key for key, reasons in alike.items()}
    return sorted(((said[key].replace("_", " "), count) for key, count in counts.items()), key=lambda one: -one[1])


def verdict(run: Run) -> tuple[str, list[str]]:
    """A level (`good`, `fair` or `poor`) and the sentences behind it."""
    share, trades = real_share(run), len(run.trades)
    days = (run.to_ms - run.from_ms) / _DAY_MS
    said, level = [], "good"
    if not run.complete:
        level = "poor"
        said.append("This run was stopped before its end: all figures are of what had been reached.")
    said.append(modelling(run)[0].upper() + modelling(run)[1:])
    if not share:
        level = max(level, "fair", key=_RANK.index)
        said.append(
            "What happened inside a minute is not known, so stops and targets only a few points away mean little."
        )
    elif share < 1:
        level = max(level, "fair", key=_RANK.index)
        said.append("Part of the range rests on minute bars.")
    if trades == 0:
        level = "poor"
        said.append("No trade was made: there is nothing to judge.")
    elif trades < FEW_TRADES:
        level = "poor"
        said.append(f"{trades} trades are too few to tell skill from luck.")
    if days < SHORT_DAYS:
        level = max(level, "fair", key=_RANK.index)
        said.append(f"The range is {days:.0f} days long: what is told as a year's is an extrapolation.")
    net = float(run.trades["pnl"].sum())
    costs = sum(float(run.trades[name].sum()) for name in ("spread_cost", "slippage_cost", "commission", "swap"))
    if net <= 0 < net + costs:
        said.append("Before costs it earned something; costs took more than that.")
    if run.warnings:
        level = max(level, "fair", key=_RANK.index)
        count = len(run.warnings)
        said.append(
            f"There {'is a warning' if count == 1 else f'are {count} warnings'} below: read before the figures."
        )
    if run.open_positions:
        one = run.open_positions == 1
        said.append(
            f"{'A position' if one else f'{run.open_positions} positions'} still open at the end "
            f"{'was' if one else 'were'} closed at the last quote and counted{' as a trade' if one else ''}."
        )
    said.append("A backtest shows what these rules did with this data; it promises nothing.")
    return level, said


_RANK = ["good", "fair", "poor"]
