"""The scan for the next tick that matters, compiled and as plain Python, and what it may skip."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from streams.venue import watch
from streams.venue.warm import warm
from tests.kernels import bounds_checked, plain
from tests.unit.streams.venue.venues import BUY, EURUSD, HERE, LIMIT, START_MS, START_US, order, ticks, venue


def test_after_set_up_nothing_is_compiled_again() -> None:
    warm()
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    assert at.find(EURUSD, ticks((1.1, 1.1001), (1.09950, 1.09960)), 0, 2) == 1
    assert len(watch.first_in_reach.signatures) == 1


def test_the_kernel_reads_within_its_bounds_and_says_the_same_as_plain_python() -> None:
    rng = np.random.default_rng(3)
    rows = [(1.1 + float(x) / 1e5, 1.1001 + float(x) / 1e5) for x in rng.integers(-40, 40, 700)]
    market = ticks(*rows)
    at = venue()
    at.place(START_US + 5_000_000, order(1, BUY, 1.0, sl=1.09962, tp=1.10039), HERE)
    at.place(START_US, order(2, BUY, 1.0, LIMIT, 1.09972, expires_ms=START_MS + 650_000), HERE)

    def found() -> list[int]:
        return [at.find(EURUSD, market, start, end) for start in range(0, 700, 7) for end in (start, start + 3, 700)]

    compiled = found()
    with bounds_checked(watch):
        assert found() == compiled
    with plain(watch):
        assert found() == compiled
    assert len(set(compiled)) > 50


def test_far_from_a_stop_out_the_account_is_not_looked_at() -> None:
    at = venue(balance=Decimal("3000.00"))
    at.place(START_US, order(1, BUY, 1.0), HERE)
    # The margin call comes at an equity of 1100.10, 1899.90 below: at a bid of 1.081101.
    assert at.find(EURUSD, ticks((1.08112, 1.08122), (1.5, 1.6), (1.08110, 1.08120)), 0, 3) == 2


def test_find_changes_nothing() -> None:
    at = venue()
    at.place(START_US, order(1, BUY, 1.0, sl=1.09950), HERE)
    before = at.digest()
    at.find(EURUSD, ticks((1.0, 1.1)), 0, 1)
    assert at.digest() == before
