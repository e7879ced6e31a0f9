"""Threads that are measured begin, also when two of them do at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traced_threads import ATTEMPTS, patient


def test_a_trace_function_is_installed_once_no_other_is_being_installed() -> None:
    asked: list[Any] = []

    def install(function: Any) -> None:
        asked.append(function)
        if len(asked) < 3:
            raise RuntimeError("Cannot install a trace function while another trace function is being installed")

    patient(install)("own")
    assert asked == ["own"] * 3


def test_one_that_never_can_be_says_so() -> None:
    asked: list[Any] = []

    def install(function: Any) -> None:
        asked.append(function)
        raise RuntimeError("busy")

    with pytest.raises(RuntimeError, match="busy"):
        patient(install)("own")
    assert len(asked) == ATTEMPTS + 1
