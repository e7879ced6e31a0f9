"""How far a worker reads `reference`: as far as a block's number asks, and the broker is asked only for what is new."""

from __future__ import annotations

import pytest

from streams import reference_follower as module
from streams.reference_follower import ReferenceFollower
from tests.integration.streams.line import KEYS, Line
from tests.property.references import spec

pytestmark = pytest.mark.stack


def test_what_the_view_has_is_not_asked_for_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual()
    follower = ReferenceFollower(line.kafka, KEYS)
    asked: list[str] = []
    end_of = module.end_of

    def noting(bootstrap: str, topic: str, partition: int) -> int:
        asked.append(topic)
        return end_of(bootstrap, topic, partition)

    monkeypatch.setattr(module, "end_of", noting)
    assert follower.read_until(line.ref_no)
    assert asked == []

    newest = line.configure(spec(listing=line.listing))
    assert follower.read_until(newest)
    assert asked == ["reference"]
    assert follower.read_until(newest)
    assert asked == ["reference"]


def test_a_number_that_does_not_come_is_waited_for_and_then_missing(line: Line) -> None:
    line.usual()
    follower = ReferenceFollower(line.kafka, KEYS, wait_s=0.1)
    assert not follower.read_until(line.ref_no + 1_000)
