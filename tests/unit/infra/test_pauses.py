"""Pauses that the interpreter makes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from infra.pauses import SWITCH_S, shorten_pauses


@pytest.fixture
def as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)
    gc.unfreeze()


@pytest.mark.usefixtures("as_before")
def test_what_is_there_is_left_to_no_later_collection_and_no_thread_keeps_the_others_waiting() -> None:
    kept = ["something", ["that", "is", "there"]]
    assert any(one is kept for one in gc.get_objects())
    shorten_pauses()
    assert not any(one is kept for one in gc.get_objects())
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    later = ["made", ["afterwards"]]
    assert any(one is later for one in gc.get_objects())
