"""Bars of a LEAN file by the standard library alone: no code, no rule and no constant of the program is used."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

SERVER = timedelta(hours=3)
"""New York + 7 h in May."""

FRAMES = {"M1": 1, "M5": 5, "M15": 15, "M30": 30, "H1": 60, "H4": 240, "D1": 1440}
Row = dict[str, Any]


def rows_of(path: Path) -> Iterator[tuple[datetime, float, float]]:
    """(UTC, bid, ask) of a zip of milliseconds since midnight UTC, bid, ask."""
    midnight = datetime.strptime(path.name[:8], "%Y%m%d").replace(tzinfo=UTC)
    with zipfile.ZipFile(path) as archive:
        text = io.TextIOWrapper(archive.open(archive.namelist()[0]), newline="")
        for milliseconds, bid, ask in csv.reader(text):
            yield midnight + timedelta(milliseconds=int(float(milliseconds))), float(bid), float(ask)


def bars(path: Path, frame: str) -> list[Row]:
    """The closed bars of a timeframe: the one that is forming at the end isn't there."""
    length = timedelta(minutes=FRAMES[frame])
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    found: list[Row] = []
    for time, bid, ask in rows_of(path):
        opening = epoch + (time + SERVER - epoch) // length * length - SERVER
        spread = round((ask - bid) * 100_000)
        if not found or found[-1]["time"] != opening:
            found.append({"time": opening, "open": bid, "high": bid, "low": bid, "spreads": [], "first": not found})
        bar = found[-1]
        bar["high"], bar["low"] = max(bar["high"], bid), min(bar["low"], bid)
        bar["close"], bar["ask_close"] = bid, ask
        bar["spreads"].append(spread)
    for bar in found:
        spreads = bar.pop("spreads")
        bar |= {"ticks": len(spreads), "spread_min": min(spreads), "spread_max": max(spreads)}
        bar["spread_mean"] = float(Fraction(sum(spreads), len(spreads)))
    return found[:-1]
