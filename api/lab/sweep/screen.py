"""A screenful about a sweep, and its answer in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from api.lab.metrics import METRICS
from api.lab.sweep.findings import Findings
from api.lab.sweep.outcome import Row, ranked
from api.lab.sweep.walk import parameters_text

_SHOWN: Final = ("net_profit", "trades", "profit_factor", "profit_trades_percent", "sharpe", "equity_drawdown_relative")
_HEADS: Final = ("net profit", "trades", "profit factor", "won %", "Sharpe", "drawdown %")
_ROWS: Final = 10


def screen(found: Findings, folder: Path, took: float) -> str:
    """The text."""
    words = [f"{found.name}: {len(found.rows):,} of {found.asked:,} sets in {took:.1f} s"]
    words += [f"  {fact}" for fact in found.facts[:2]]
    words += ["", *_table(found), ""]
    if found.luck is not None and found.luck.warning is None:
        words.append(_sentence(found.luck.words))
    if found.walked is not None:
        out = found.walked.metrics
        net, trades, sharpe, fall = (
            found.money(key, out[key]) for key in ("net_profit", "trades", "sharpe", "equity_drawdown_relative")
        )
        words.append(
            f"Walk forward ({found.walk_words}, {len(found.walked.steps)} windows): out of sample net profit {net}, "
            f"{trades} trades, Sharpe {sharpe}, drawdown {fall}."
        )
    words += [f"warning: {text}" for text in (*found.data_warnings, *found.warnings)]
    words.append(f"page: {folder / 'sweep.html'}")
    if not found.complete:
        words.append(f"stopped: these results are partial; go on with tickledger sweep --resume {folder}")
    return "\n".join(words)


def answer_of(found: Findings, folder: Path, took: float) -> dict[str, Any]:
    """The JSON value."""
    answer: dict[str, Any] = {
        "folder": str(folder),
        "page": str(folder / "sweep.html"),
        "results": str(folder / "results.parquet"),
        "sets": len(found.rows),
        "asked": found.asked,
        "failed": len(found.failed),
        "by": found.by,
        "best": None if found.best is None else _row(found.best),
        "luck": None if found.luck is None else found.luck._asdict() | {"words": found.luck.words},
        "warnings": [*found.data_warnings, *found.warnings],
        "complete": found.complete,
        "seconds": took,
    }
    if found.walked is not None:
        answer["walk_forward"] = {
            "metrics": dict(found.walked.metrics),
            "kept": found.walked.kept,
            "windows": [
                {
                    **step.window._asdict(),
                    "parameters": None if step.chosen is None else dict(step.chosen.parameters),
                    "train": None if step.chosen is None else dict(step.chosen.metrics),
                    "test": dict(step.judged),
                }
                for step in found.walked.steps
            ],
        }
    return answer


def _row(row: Row) -> dict[str, Any]:
    return {"set": row.number, "parameters": dict(row.parameters), "metrics": dict(row.metrics)}


def _table(found: Findings) -> list[str]:
    order = (ranked(found.rows, found.by, found.least_trades) or ranked(found.rows, found.by, 1))[:_ROWS]
    if not order:
        return ["no set has a result that can be ranked"]
    names = [axis.name for axis in found.varied]
    fixed = {axis.name: axis.values[0] for axis in found.axes if not axis.varied}
    title = f"Best by {METRICS[found.by].name}" + (f", {parameters_text(fixed)}" if fixed else "")
    rows: list[Sequence[str]] = [[*names, *_HEADS]]
    rows += [
        [*(f"{row.parameters[name]:g}" for name in names), *(_cell(found, key, row) for key in _SHOWN)] for row in order
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [title] + [
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]


def _cell(found: Findings, key: str, row: Row) -> str:
    from api.lab.metrics import shown

    return shown(row.metric(key), METRICS[key].unit, found.money_digits).removesuffix(" %")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
