"""Compiles the venue's kernel into numba's cache: `python -m streams.venue.warm`, at set-up."""

from __future__ import annotations

import numpy as np

from streams.venue.watch import NEVER_MS, Market, scan, watch


def warm() -> None:
    """Calls it once, with columns as a log's blocks have them."""
    prices, marks = np.ones(1, np.float64), np.zeros(1, np.int32)
    scan(Market(0, 0, np.zeros(1, np.int64), prices, prices, marks), 0, 1, watch([], [], None), NEVER_MS)


if __name__ == "__main__":
    warm()
