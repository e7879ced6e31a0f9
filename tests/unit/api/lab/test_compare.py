"""Two runs compared: the first event that differs, inputs, metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from api.lab.compare import compare
from api.lab.files import write_run
from api.lab.run import Run
from infra.errors import BadFile
from schemas.trading import Fill
from tests.lab_runs import make_run


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run(bars=900)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(run, tmp_path_factory.mktemp("runs") / "a").folder


def other(run: Run, folder: Path, name: str) -> Path:
    return write_run(run, folder.parent / name).folder


def test_a_run_is_the_same_as_itself(folder: Path) -> None:
    found = compare(folder, folder)
    assert found.same
    assert found.first is None
    assert "All events are the same: journal, orders, fills, risk, portfolio" in found.text()
    assert "All metrics are the same" in found.text()


def test_the_first_fill_that_differs_is_named_with_its_fields(run: Run, folder: Path) -> None:
    fills = [i for i, one in enumerate(run.decided) if isinstance(one, Fill)]
    decided = list(run.decided)
    for i in fills[3:]:
        fill = decided[i]
        assert isinstance(fill, Fill)
        decided[i] = replace(fill, price=fill.price + 0.001)
    found = compare(folder, other(replace(run, decided=decided), folder, "fills"))
    assert {topic for topic, one in found.topics.items() if one} == {"fills"}
    first = found.first
    assert first is not None
    assert (first.topic, first.at, first.record, list(first.fields)) == ("fills", 3, "Fill", ["price"])
    assert "First difference: fills, number 3 (Fill)" in found.text()


def test_an_event_that_is_missing_at_the_end_differs(run: Run, folder: Path) -> None:
    found = compare(folder, other(replace(run, decided=run.decided[:-1]), folder, "shorter"))
    assert found.first is not None
    assert found.first.topic == "portfolio"
    assert found.first.counts[0] == found.first.counts[1] + 1
    assert not found.same


def test_only_positions_on_the_log_differ(run: Run, folder: Path) -> None:
    decided = [replace(one, ref_no=9) for one in run.decided]
    assert compare(folder, other(replace(run, decided=decided), folder, "moved")).same


def test_inputs_and_metrics_that_differ_are_shown(folder: Path) -> None:
    again = replace(make_run(bars=900, seed=9), manifest={"strategy": {"parameters": {"fast": 21}}, "more": [1]})
    found = compare(folder, other(again, folder, "seed"))
    assert found.inputs["strategy.parameters.fast"] == (20, 21)
    assert found.inputs["more[0]"] == ("(none)", 1)
    values = found.as_json()["metrics"]["net_profit"]
    assert values["difference"] == pytest.approx(values["values"][1] - values["values"][0])
    json.dumps(found.as_json(), allow_nan=False)
    text = found.text()
    assert "strategy.parameters.fast" in text
    assert "Total net profit" in text
    assert "First difference: journal, number 0" in text


def test_of_many_inputs_that_differ_three_are_named_and_the_rest_counted(run: Run, folder: Path) -> None:
    more = replace(run, manifest={"options": {f"option_{i}": i for i in range(1_005)}})
    found = compare(folder, other(more, folder, "many"))
    assert len(found.inputs) >= 1_005
    text = found.text()
    assert text.partition("Inputs that differ\n")[2].partition("\n\n")[0].count("  A ") == 3
    assert f"and {len(found.inputs) - 3:,} more (all by --json)" in text
    assert len(found.as_json()["inputs"]) == len(found.inputs)


def test_a_folder_that_is_no_run_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="name the folder that a backtest wrote"):
        compare(folder, tmp_path)
