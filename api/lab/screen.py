"""What the terminal shows of a run: a screenful of 80 columns and 24 rows, whatever there is to say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import shorten, wrap
from typing import Final

from api.lab.metrics import HEADLINES, METRICS, Value, measure, shown
from api.lab.report.verdict import modelling, refusals
from api.lab.run import Run

COLUMNS: Final = 80
ROWS: Final = 24
"""Of both, the command's own last lines need a few."""
_SPARE: Final = 2
_COSTS: Final = ("spread_cost", "slippage_cost", "commission", "swap")


def screen(run: Run, folder: Path, metrics: Mapping[str, Value] | None = None) -> str:
    """The ten numbers that matter, costs split, data, refused entries, warnings, time, and where the report is."""
    values = measure(run) if metrics is None else metrics
    head = [
        _line(_title(run)),
        _line(_range(run)),
        "",
        *_numbers(run, values),
        "",
        _line(_costs(run, values)),
        _line(_data(run)),
    ]
    foot = [_line(_took(run)), f"report  {folder / 'report.html'}"]
    room = ROWS - _SPARE - len(head) - len(foot) - 1
    return "\n".join([*head, *_told(run, room), "", *foot])


def _title(run: Run) -> str:
    parameters = " ".join(f"{name}={value}" for name, value in dict(run.strategy.get("parameters", {})).items())
    return f"{run.name}{'' if run.complete else ' INCOMPLETE'}  {parameters}".rstrip()


def _range(run: Run) -> str:
    from api.lab.report.page import day

    listings = ", ".join(str(found["listing"]) for found in run.data)
    return f"{listings}  {run.strategy.get('timeframe', '')}  {day(run.from_ms)} to {day(run.to_ms)}"


def _numbers(run: Run, values: Mapping[str, Value]) -> list[str]:
    """Two columns of five."""
    cells = []
    for key in HEADLINES:
        unit = f" {run.account['currency']}" if METRICS[key].unit == "money" and values[key] is not None else ""
        text = shown(values[key], METRICS[key].unit, int(run.account.get("digits", 2))) + unit
        cells.append(f"{METRICS[key].name:<24} {text:>13}")
    half = len(cells) // 2
    return [f"{left}  {right}".rstrip() for left, right in zip(cells[:half], cells[half:], strict=True)]


def _costs(run: Run, values: Mapping[str, Value]) -> str:
    names = ("spread", "slippage", "commission", "swap")
    digits = int(run.account.get("digits", 2))
    parts = (f"{name} {shown(values[key], 'money', digits)}" for name, key in zip(names, _COSTS, strict=True))
    return f"costs   {', '.join(parts)}"


def _data(run: Run) -> str:
    ticks = int(sum(int(found.get("ticks") or 0) for found in run.data))
    return f"data    {ticks:,} ticks; {modelling(run).rstrip('.')}"


def _took(run: Run) -> str:
    stages = dict(run.seconds)
    total = stages.pop("until_report", None)
    parts = ", ".join(f"{name.replace('_', ' ')} {seconds:.2f}" for name, seconds in stages.items())
    code = f"; the strategy's own code {run.python_us_per_tick:.2f} µs a tick" if run.python_us_per_tick else ""
    return f"time    {f'{total:.2f} s' if total is not None else f'{sum(stages.values()):.2f} s'} ({parts}){code}"


def _told(run: Run, room: int) -> list[str]:
    """Refused entries, warnings, then assumptions, as many as there is room for."""
    lines: list[str] = []
    if run.refused:
        total = sum(run.refused.values())
        why = ", ".join(f"{reason} {count:,}" for reason, count in refusals(run))
        lines += _wrapped("refused ", f"{total:,} {'entry' if total == 1 else 'entries'} not traded: {why}", 2)
    if not len(run.trades):
        lines += _wrapped("note    ", "no trade was made", 1)
    lines += _list("warning ", run.warnings, max(room - len(lines) - 2, 2))
    return lines + _list("assumed ", run.assumptions, room - len(lines))


def _list(name: str, texts: Iterable[str], room: int) -> list[str]:
    """Each text on one or two lines; where room ends, how many more there are."""
    left = list(texts)
    lines: list[str] = []
    while left:
        found = _wrapped(name, left[0], 5 if name.startswith("warning") else 2)
        if len(lines) + len(found) + (len(left) > 1) > room:
            break
        lines += found
        left.pop(0)
    if left and room > len(lines):
        more = f"{len(left)} more" if lines else f"{len(left)}"
        lines.append(f"{name}{more}, in the report")
    return lines


def _wrapped(name: str, text: str, most: int) -> list[str]:
    rows = wrap(shorten(text, (COLUMNS - len(name)) * most - 12, placeholder=" …"), COLUMNS - len(name))[:most]
    return [(name if i == 0 else " " * len(name)) + row for i, row in enumerate(rows)]


def _line(text: str) -> str:
    return text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…"
