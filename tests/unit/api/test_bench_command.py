"""`tickledger bench`: which there are, and what it prints."""

from __future__ import annotations

import importlib
import json

import pytest

from api.bench.result import Report, Result
from api.cli import main
from api.commands import bench


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["bench", *arguments])
    return int(ended.value.code or 0)


def test_an_unknown_one_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("replays") == 2
    said = capsys.readouterr().err
    assert "there is no benchmark 'replays' (near: replay): there are codec, bars, " in said


def test_each_one_can_be_run() -> None:
    for module in bench.BENCHMARKS.values():
        assert callable(importlib.import_module(module).run)


def test_json_is_all_that_is_on_stdout_and_unequal_results_exit_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = Report("bars", True, [Result("bars.x", 2.0, "ticks/s", 1.0)]), Report("codec", False)
    monkeypatch.setattr(bench, "_run", lambda module: lambda: bad if module.endswith("codec") else good)
    assert run("bars", "--json") == 0
    expected = {"id": "bars.x", "value": 2.0, "unit": "ticks/s", "goal": 1.0}
    assert json.loads(capsys.readouterr().out) == {"name": "bars", "equal": True, "results": [expected]}
    assert run("codec") == 1
    assert "there are no rates" in capsys.readouterr().err
    assert run("all", "--json") == 1
    said = capsys.readouterr()
    assert [report["name"] for report in json.loads(said.out)] == ["codec"] + ["bars"] * (len(bench.BENCHMARKS) - 1)
    assert "bench replay" in said.err
