"""Bars of bids beside bars of asks: two files of one range, read as one with both prices.

Dukascopy gives a side a file, and names them alike but for BID and ASK. Their rows are the same minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from infra.errors import BadFile
from producers.formats.layouts import ASK_VALUES, BAR_PRICES
from producers.formats.source import Batch, Damage, Source
from schemas.times import iso_ms

_SIDE: Final = re.compile(r"(?<=_)(?:BID|ASK)(?=[_.])", re.IGNORECASE)


def with_partners(paths: Sequence[Path]) -> list[tuple[Path, Path | None]]:
    """The files to read, each with that of its asks if both are among `paths`; that one isn't read by itself."""
    named: dict[tuple[str, str], list[Path]] = {}
    for path in dict.fromkeys(paths):
        if side := _side(path):
            named.setdefault((side, _SIDE.sub("*", path.name)), []).append(path)
    # A name that is there twice, in two folders, says nothing.
    alone = {key: found[0] for key, found in named.items() if len(found) == 1}
    bids = {name: path for (side, name), path in alone.items() if side == "bid"}
    beside = {path: alone["ask", name] for name, path in bids.items() if ("ask", name) in alone}
    taken = set(beside.values())
    return [(path, beside.get(path)) for path in paths if path not in taken]


def _side(path: Path) -> str:
    found = _SIDE.findall(path.name)
    return str(found[0]).lower() if len(found) == 1 else ""


def joined(bids: Source, asks: Source, path: Path, ask_path: Path) -> Source:
    """Bars of bids with the values ask_open … ask_close. Reading it raises BadFile where the two don't match."""
    if not (bids.bars and asks.bars):
        raise BadFile(f"{path} and {ask_path}: are named as bars of bids and of asks, and don't hold bars")
    return bids._replace(batches=_batches(bids.batches, asks.batches, path, ask_path))


def _batches(bids: Iterator[Batch], asks: Iterator[Batch], path: Path, ask_path: Path) -> Iterator[Batch]:
    times, prices, digits = np.empty(0, np.int64), np.empty((len(ASK_VALUES), 0)), 0
    for bid in bids:
        count = len(bid.wall_ms)
        while len(times) < count and (ask := _next(asks, ask_path)) is not None:
            times = np.concatenate((times, ask.wall_ms))
            prices = np.concatenate((prices, np.stack([ask.values[name] for name in BAR_PRICES])), axis=1)
            digits = max(digits, ask.digits)
        shared = min(count, len(times))
        other = np.flatnonzero(times[:shared] != bid.wall_ms[:shared])
        if len(other) or shared < count:
            at = int(other[0]) if len(other) else shared
            raise BadFile(
                f"{ask_path}: has no bar of asks for that of {path} at {iso_ms(int(bid.wall_ms[at]))}, on their "
                "clock: get both of the same range, or name the bids alone and tell a spread"
            )
        values = {**bid.values, **dict(zip(ASK_VALUES, prices[:, :count], strict=True))}
        times, prices = times[count:], prices[:, count:]
        yield bid._replace(values=values, digits=max(bid.digits, digits))
    if len(times) or _next(asks, ask_path) is not None:
        raise BadFile(f"{ask_path}: goes on after the last bar of {path}: get both of the same range")


def _next(asks: Iterator[Batch], path: Path) -> Batch | None:
    try:
        return next(asks, None)
    except Damage as damage:
        raise BadFile(f"{path}{damage.args[0]}") from None
