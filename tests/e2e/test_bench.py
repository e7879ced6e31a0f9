"""Benchmarks that need services, made short: what they compare is equal, and all their numbers are there."""

from __future__ import annotations

import pytest

from api.bench import memory, recovery, replay

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]


def test_replay_gives_the_bars_of_records_folded_one_by_one_in_any_cut() -> None:
    report = replay.run(days=1, rounds=1)
    assert report.equal
    assert [r.id for r in report.results if r.goal] == ["replay.bars.kafka.ticks_per_s", "replay.block100.ticks_per_s"]
    assert all(r.value > 0 for r in report.results)


@pytest.mark.kill
def test_recovery_ends_with_nothing_missing() -> None:
    report = recovery.run(kills=1)
    assert report.equal, report.notes
    assert [r.id for r in report.results] == ["recovery.worker_s", "recovery.broker_s"]


def test_memory_is_told_of_each_service() -> None:
    report = memory.run(times=1)
    assert report.equal
    assert [r.id.split(".")[1] for r in report.results[::2]] == ["kafka", "postgres", "worker", "projector"]
    assert all(r.value > 0 for r in report.results)
