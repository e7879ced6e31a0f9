"""`bench graph` compares before it measures."""

from __future__ import annotations

import numpy as np
import pytest

import api.bench.graph
from api.bench.graph import run


def test_it_measures_three_sizes_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.bench.graph, "seconds", lambda work, least_s: 0.5)
    report = run()
    assert report.equal
    assert [r.id.split(".")[2] for r in report.results] == ["whole", "block100", "block1"]
    assert all(r.value > 0 for r in report.results)


def test_values_that_differ_give_no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.bench.graph, "seconds", lambda work, least_s: 1.0)
    monkeypatch.setattr(api.bench.graph, "slow_values", lambda columns: np.zeros((3, columns.shape[1])))
    report = run()
    assert not report.equal
    assert report.results == []
