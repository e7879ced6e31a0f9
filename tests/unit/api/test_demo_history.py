"""The ticks of the log beside the terminal's history: every column that a block keeps is compared."""

from __future__ import annotations

import numpy as np
import pytest

from api.demo.history import compared
from producers.recorder.polling import Rows, rows_of_page
from producers.terminal.simulation import in_process
from tests.unit.producers.terminal.playing import walk

LISTING = "demo/EURUSD"


@pytest.fixture(scope="module")
def rows() -> Rows:
    """What a terminal serves."""
    with in_process({"EURUSD": walk(200)}) as simulation:
        mt5 = simulation.connect()
        mt5.initialize()
        simulation.control.step(3_600_000_000)
        return rows_of_page(mt5.copy_ticks_range("EURUSD", 0, 2**31 - 1, -1))


def test_the_same_rows_are_equal(rows: Rows) -> None:
    same = compared(LISTING, rows, rows.copy())

    assert same.equal
    assert (same.listing, same.terminal, same.log) == (LISTING, 200, 200)


@pytest.mark.parametrize(
    ("column", "says"),
    [(0, ""), (1, "/"), (2, "/"), (3, "last 1.5"), (4, "volume 1.5"), (5, "flags 4609434218613702656")],
)
def test_a_row_of_which_one_column_differs_is_found_and_shown(rows: Rows, column: int, says: str) -> None:
    log = rows.copy()
    log[7, column] = np.float64(1.5).view(np.int64)

    same = compared(LISTING, rows, log)

    assert not same.equal
    assert same.differs.startswith("tick 7: ")
    there, _, here = same.differs.partition(" at the terminal, ")
    assert there.removeprefix("tick 7: ") != here.removesuffix(" on the log")
    assert says in here


def test_a_flag_that_was_lost_is_found(rows: Rows) -> None:
    log = rows.copy()
    log[-1, 5] = 0

    assert compared(LISTING, rows, log).differs.endswith("flags 0 on the log")


@pytest.mark.parametrize("left", [0, 199])
def test_rows_that_are_missing_at_the_end_are_counted(rows: Rows, left: int) -> None:
    assert compared(LISTING, rows, rows[:left]).differs == f"the terminal has 200 ticks, the log {left}"
