"""`bench storage` reads back what it wrote before it says how large it is."""

from __future__ import annotations

import pytest

from api.bench import storage

pytestmark = pytest.mark.stack


def test_a_tick_takes_fewer_bytes_than_the_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "ALONE", 5)
    report = storage.run(sizes=[4_096])
    assert report.equal
    found = {r.id: (r.goal, r.better, r.met) for r in report.results}
    assert found == {
        "storage.block4096.bytes_per_tick": (11.0, "lower", True),
        "storage.block100.alone.bytes_per_tick": (None, "lower", None),
    }


def test_without_equality_there_are_no_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    day = storage.sample_blocks(storage.SAMPLE_DAY[0], 0)
    assert storage._same(day, day)
    assert not storage._same(day, day[:-1])
