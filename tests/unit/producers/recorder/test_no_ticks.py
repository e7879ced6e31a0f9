"""What a call for ticks that returns None says: that there are none, or that it failed."""

from __future__ import annotations

import pytest

from producers.recorder.listing import means_no_ticks


@pytest.mark.parametrize("error", [(1, "Success"), (-3, "No memory")])
def test_an_empty_range_is_no_failure(error: tuple[int, str]) -> None:
    assert means_no_ticks(*error)


@pytest.mark.parametrize("error", [(-3, "Terminal: Out of memory"), (-3, ""), (-1, "Terminal: Call failed")])
def test_a_terminal_out_of_memory_is_a_failure(error: tuple[int, str]) -> None:
    assert not means_no_ticks(*error)
