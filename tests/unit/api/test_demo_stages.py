"""What the demo shows of its stages, and when it says that they disagree."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from api.demo import next_steps, screen
from api.demo.agreement import findings
from api.demo.counts import ListingCounts, LogCounts, by_reason
from api.demo.database import InDatabase
from api.demo.importing import Importing
from api.demo.sample_files import CountedFile, counted_files
from api.demo.stages import Pace, Stages
from api.demo.topics import Fold, OnTopics, Quote
from infra.settings import load_settings
from producers.importer import ImportedFile, ImportResult
from producers.sample import SAMPLE_DAY
from schemas.identity import SignalId
from streams.verify import Report

NAME = "oanda/EURUSD"
SAMPLE = SAMPLE_DAY[0]


def counts() -> LogCounts:
    return LogCounts({NAME: ListingCounts(Counter({0: 95, 4: 3, 20: 2}), 7, 2)})


def importing() -> Importing:
    file = ImportedFile(SAMPLE.path, 0, 100, 100)
    reasons = Counter(crossed=5, repeated=2)
    result = ImportResult(listing=NAME, files=[file], refused=5, reasons=reasons, n=100)
    return Importing([CountedFile(SAMPLE, 100)], [result])


def topics() -> OnTopics:
    folds = {("bars@1", NAME): Fold(100, 7), ("berserker@2", NAME): Fold(100, 2)}
    return OnTopics(
        counts=counts(),
        blocks=1,
        derived=9,
        quotes={NAME: Quote(1_399_420_796_123, 1.39287, 1.39298)},
        folds={**folds, ("berserker@0", NAME): Fold(10, 1)},
        outputs={("bars@1", NAME): 7, ("berserker@2", NAME): 2},
        topic_of={"bars@1": "bars", "berserker@2": "signals"},
    )


REPORT = Report(blocks=1, ticks=100, refused=5, bars=7, signals=2)


def disagreeing(**changed: object) -> dict[str, str]:
    """Stage and first problem of each finding that has one."""
    given = {
        "importing": importing(),
        "topics": topics(),
        "database": InDatabase(counts()),
        "report": REPORT,
        **changed,
    }
    return {f.stage: f.problems[0] for f in findings(**given) if f.problems}  # type: ignore[arg-type]


def test_reasons_are_counted_each() -> None:
    assert by_reason(counts().listings[NAME].judged) == Counter(crossed=5, repeated=2)
    assert (counts().total().ticks, counts().total().refused) == (100, 5)


def test_stages_that_agree_have_no_problem() -> None:
    assert disagreeing() == {}


def test_a_stage_that_has_another_count_than_the_one_before_is_named() -> None:
    more_rows = importing()
    more_rows.files[0] = CountedFile(SAMPLE, 101)
    assert "has 101 rows, imported 100" in disagreeing(importing=more_rows)["importer"]

    other_reason = importing()
    other_reason.results[0].reasons = Counter(crossed=5)
    said = disagreeing(importing=other_reason)["ticks"]
    assert "the importer said, refused as crossed 5, the topic, refused as" in said

    behind = topics()
    behind.folds["bars@1", NAME] = Fold(60, 6)
    assert disagreeing(topics=behind) == {"worker": "bars@1 has folded 60 ticks of oanda/EURUSD, the topic has 100"}
    lost = replace(topics(), outputs={("bars@1", NAME): 6, ("berserker@2", NAME): 2})
    assert "bars@1 has sent 7 outputs" in disagreeing(topics=lost)["worker"]
    assert "has no operator" in disagreeing(topics=replace(topics(), folds={}))["worker"]

    fewer = counts()
    fewer.listings[NAME].signals = 1
    assert disagreeing(database=InDatabase(fewer)) == {
        "database": "the topics have 2 signals of oanda/EURUSD, the database 1"
    }
    assert disagreeing(report=replace(REPORT, bars=6)) == {"verify": "the topics have 7 bars, verify 6"}
    assert disagreeing(report=replace(REPORT, unverifiable=["a program"])) == {
        "verify": "could not be checked: a program"
    }


def test_a_home_that_had_the_day_already_compares_what_is_there() -> None:
    again = importing()
    again.results[0] = ImportResult(listing=NAME, files=[ImportedFile(SAMPLE.path, 0, 100, 0)], n=100)
    assert disagreeing(importing=again) == {}
    rows = Stages([NAME]).rows(0.0, again, topics(), InDatabase(counts()))
    assert (rows[0].refused, rows[0].reasons) == (None, None)


def test_pace_counts_from_the_moment_at_which_it_begins_to_move() -> None:
    pace = Pace()
    assert [pace.at(*sample) for sample in ((0, 50), (9, 50), (10, 150), (11, 250), (60, 250))] == [
        None, None, 100.0, 100.0, 100.0,
    ]  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_the_terminal(width: int) -> None:
    rows = Stages([NAME]).rows(0.0, importing(), topics(), InDatabase(counts(), left=3))
    console = Console(file=io.StringIO(), width=width)
    view = screen.View("all has arrived", 3.0, rows, [NAME], topics())
    console.print(screen.tables(view, width))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    assert "refused as crossed (ask below bid): importer 5, ticks 5, database 5" in shown
    assert "2014-05-06 23:59" in shown
    assert screen.line(view).endswith("database 100 ticks, 7 bars, 2 signals (lag 3 records)")


def test_the_files_have_the_rows_that_they_are_said_to_have() -> None:
    assert [file.rows for file in counted_files()] == [file.ticks for file in SAMPLE_DAY]


def test_lines_to_copy_name_the_home_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signal = SignalId("berserker@2", NAME, 25)
    usual = next_steps.lines_to_copy(load_settings(), None, signal)
    assert usual[0].endswith("tickledger query bars --symbol oanda/EURUSD --timeframe H1")
    assert usual[3].endswith("query audit berserker@2/oanda/EURUSD/25")
    assert usual[-1].endswith("tickledger verify")
    elsewhere = next_steps.lines_to_copy(load_settings(home=tmp_path / "a home"), Path("my file.toml"), None)
    assert elsewhere[-1].endswith(f"verify --home '{tmp_path}/a home' --config 'my file.toml'")
    assert len(elsewhere) == 4
