"""The journal of `bench desk`, and the two folds that it holds equal."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import api.bench.desk
from api.bench.desk import journal, plain_fold, run, service_fold
from schemas.journal import EntryKind
from schemas.journal_columns import read_entry


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder: Path = tmp_path_factory.mktemp("desk")
    # The first trades are over by then.
    return journal(folder, 1)[:12_000]


def test_its_journal_is_a_live_ones(values: list[bytes]) -> None:
    entries = [read_entry(value) for value in values]
    assert [entry.seq for entry in entries] == list(range(len(entries)))
    times = [entry.taken_us for entry in entries]
    assert times == sorted(times)
    clocks = [entry for entry in entries if entry.kind is EntryKind.CLOCK]
    assert all(later.taken_us - one.taken_us == 1_000_000 for one, later in pairwise(clocks))
    streams = {entry.stream.partition("/")[0] for entry in entries}
    assert streams == {"", "reference", "signals", "executions", "commands"}
    assert any(entry.marks for entry in clocks)


def test_both_folds_decide_the_same(values: list[bytes]) -> None:
    assert service_fold(values) == plain_fold(values)
    assert service_fold(values) != service_fold(values[:-1_000])


def test_it_gives_a_rate_only_if_they_do(values: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.bench.desk, "journal", lambda *_: values)
    report = run(1, 1)
    assert [(r.id, r.goal, r.value > 0) for r in report.results] == [("desk.entries_per_s", 50e3, True)]
    monkeypatch.setattr(api.bench.desk, "service_fold", lambda _: "others")
    report = run(1, 1)
    assert not report.equal
    assert report.results == []
