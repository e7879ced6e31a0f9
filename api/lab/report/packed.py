"""Numbers and text for a page, small: differences of int32 by byte planes, deflated, in base64."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from api.lab.run import Chart, Doubles, Longs

MISSING: Final = -(2**31)
"""Stands for NaN."""
LINE_PARTS: Final = 10
"""A line's values are in tenths of a point."""


def packed(values: Longs) -> str:
    """int64[n] within 32 bits, to be read by `unpack` of chart.js."""
    whole = values.astype("<i4")
    steps = np.diff(whole, prepend=np.int32(0))
    return _runs_deflated(np.ascontiguousarray(steps.view(np.uint8).reshape(-1, 4).T).tobytes())


def packed_json(value: Any) -> str:
    """JSON, deflated."""
    return deflated(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def deflated(data: bytes) -> str:
    return b64encode(zlib.compress(data, 1)).decode("ascii")


def _runs_deflated(data: bytes) -> str:
    """Deflated as runs and by frequency only: far quicker, and noise has no longer matches to be found."""
    squeezed = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return b64encode(squeezed.compress(data) + squeezed.flush()).decode("ascii")


def points(prices: Doubles, digits: int, parts: int = 1) -> Longs:
    """Prices in points (or `parts` of one), NaN as MISSING."""
    scaled = np.round(prices * (10.0**digits * parts))
    known = np.isfinite(scaled) & (np.abs(scaled) < 2**31)
    whole: Longs = np.where(known, scaled, MISSING).astype(np.int64)
    return whole


def packed_chart(chart: Chart) -> Mapping[str, Any]:
    """A chart's bars (opening in UTC seconds, prices in points) and lines, for chart.js."""
    bars = chart.bars
    # Prices too large for 32 bits of points lose digits that no screen shows.
    digits = chart.digits
    top = float(np.abs(bars["high"]).max()) if len(bars) else 0.0
    while digits > 0 and top * 10.0**digits * LINE_PARTS >= 2**31:
        digits -= 1
    columns = {name: packed(points(bars[name], digits)) for name in ("open", "high", "low", "close")}
    return {
        "listing": chart.listing,
        "timeframe": chart.timeframe,
        "digits": chart.digits,
        "scale": digits,
        "count": len(bars),
        "time": packed(bars["time_ms"] // 1000),
        "offset": packed(bars["server_offset_s"]),
        **columns,
        "lines": [
            {"name": name, "values": packed(points(values, digits, LINE_PARTS))} for name, values in chart.lines.items()
        ],
    }
