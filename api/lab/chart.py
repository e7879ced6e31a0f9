"""The report's chart on a page of its own: bars, a strategy's lines and its signals, nothing traded."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from agents.signals import EXIT, KINDS, LEVELS, LONG, SHORT
from api.lab.files import cannot_write
from api.lab.report.packed import packed_chart
from api.lab.report.page import chart_frame, day, page, section
from api.lab.run import Chart

Signals = Mapping[str, Sequence[np.ndarray[Any, np.dtype[np.void]]]]
"""Rows of SIGNAL_DTYPE by listing, in pieces, in order."""


def write_chart(charts: Sequence[Chart], signals: Signals, path: Path) -> None:
    """Writes `path`, one HTML file that needs nothing else. Raises CannotWrite; nothing half-written is left."""
    text = chart_page(charts, signals)
    made: str | None = None
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        number, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(made).chmod(0o644)
        Path(made).replace(path)
        made = None
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if made is not None:
            Path(made).unlink(missing_ok=True)


def chart_page(charts: Sequence[Chart], signals: Signals) -> str:
    """The page: a chart a listing, its entries as triangles, its exits as squares."""
    names = [f"{chart.listing} {chart.timeframe}" for chart in charts]
    marks = {chart.listing: _marks(signals.get(chart.listing, ())) for chart in charts}
    counts = ", ".join(f"{count:,} {kind}" for kind, count in _counts(signals).items()) or "no signals"
    bars = [chart.bars for chart in charts if len(chart.bars)]
    span = (
        f"{day(min(int(b['time_ms'][0]) for b in bars))} to {day(max(int(b['time_ms'][-1]) for b in bars))}"
        if bars
        else ""
    )
    said = " · ".join(text for text in (span, counts) if text)
    inside = chart_frame(names) if bars else '<p class="note">There is no closed bar to draw.</p>'
    body = (
        f'<header><div class="top"><div><h1>{escape(", ".join(names))}</h1><p class="facts">{escape(said)}</p></div>'
        '<button id="theme" type="button" aria-label="Switch between light and dark">◐</button></div></header>'
        f'<main id="main">{section("chart", "Price, lines and signals", inside)}</main>'
    )
    packs = {f"chart-{i}": json.dumps(packed_chart(chart)) for i, chart in enumerate(charts)} if bars else {}
    return page(f"{', '.join(names)}: chart", body, {"signals": marks}, packs, ("chart.js", "signals.js"))


def _marks(parts: Sequence[np.ndarray[Any, np.dtype[np.void]]]) -> list[list[float]]:
    """Of each entry and exit: UTC seconds, the price on its side, 1 long, -1 short or 0 neither, 1 for an exit."""
    marks = []
    for rows in parts:
        for row in rows[rows["kind"] != LEVELS]:
            side = 1 if row["side"] == LONG else -1 if row["side"] == SHORT else 0
            leaves = int(row["kind"] == EXIT)
            price = row["price"] if np.isfinite(row["price"]) else row["ask"] if side > 0 else row["bid"]
            # A signal at a bar's end belongs to the bar that ended.
            marks.append([(int(row["time_ms"]) - 1) / 1000, float(price), side, leaves])
    return marks


def _counts(signals: Signals) -> dict[str, int]:
    found: dict[str, int] = {}
    for parts in signals.values():
        for rows in parts:
            for kind, count in zip(*np.unique(rows["kind"], return_counts=True), strict=True):
                name = str(KINDS[int(kind)])
                found[name] = found.get(name, 0) + int(count)
    return dict(sorted(found.items()))
