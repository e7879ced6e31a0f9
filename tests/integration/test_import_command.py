"""`tickledger import` as a person meets it: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from api.bench import import_ as bench
from api.cli import main
from api.commands.import_ import _report
from api.progress_line import ProgressLine
from api.start import running_stack
from infra.settings import load_settings
from infra.stack.services import ALL
from infra.stack.stack import Running
from producers.progress import Progress, Stage
from producers.sample import SAMPLE_DAY
from tests.unit.producers import exports

ROWS = "1000,1.30001,1.30012\n1001,1.30003,1.30001\n1002,1.30002,1.30013\n"


def quotes(folder: Path, text: str = ROWS, name: str = "20140506_quote.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["import", *arguments])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "no file is named: tickledger import 20140506_quote.zip --symbol EURUSD"),
        (("none.csv",), 2, "none.csv: can't be read: No such file"),
        (("20140506_none.csv",), 2, "20140506_none.csv: can't be read: No such file or directory"),
        (("GOOD", "--tz", "New York"), 2, "there is no time zone 'New York' (near: America/New_York"),
        (("GOOD", "--server-clock", "ny8"), 2, "there is no server clock 'ny8' (near: ny7"),
        (("GOOD", "--feed", "Oanda EU"), 2, "feed 'Oanda EU' can't be used"),
        (("GOOD", "--spec", "none.toml"), 2, "none.toml: can't be read: No such file"),
        (("GOOD", "--format", "mt9"), 2, "there is no format 'mt9'; --format takes mt5-ticks"),
        (("GOOD", "--stamp", "middle"), 2, "--stamp"),
        (("GOOD", "--format", "mt5"), 1, "line 1: '1000 1.30001 1.30012' is in no form that is known"),
        (("GOOD", "--colour", "red"), 2, "--colour"),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    named = [quotes(tmp_path) if argument == "GOOD" else argument for argument in arguments]
    home = tmp_path / "home"
    assert run(*named, "--symbol", "EURUSD", "--home", str(home)) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.splitlines()[-1].startswith("error: ")
    assert not home.exists()


@pytest.mark.parametrize("symbol", ["EUR/USD", " EURUSD", "", "E" * 30, "EUR\tUSD", "EUR\u200bUSD", "A\u0308"])
def test_symbols_that_no_listing_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str], symbol: str) -> None:
    assert run(quotes(tmp_path), "--symbol", symbol, "--home", str(tmp_path / "home")) == 2
    assert "error: " in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """All four services on a home of their own."""
    settings = load_settings(home=tmp_path_factory.mktemp("home") / "a home")
    with running_stack(settings, frozenset(ALL)) as running:
        yield running


@pytest.mark.stack
def test_it_returns_when_all_is_derived_and_the_second_time_there_is_nothing_new(
    services: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = SAMPLE_DAY[1]
    wanted = [str(sample.path), "--symbol", "EURUSD", "--feed", "fxcm", "--tz", sample.tz, "--format", "lean"]
    assert run(*wanted, "--home", str(services.home)) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"fxcm/EURUSD: {sample.ticks:,} new ticks, ")
    assert "crossed" in said.out
    for stage in ("reading", "comparing", "writing", "deriving"):
        assert f"{stage}: " in said.err
    assert f"writing: {sample.ticks:,} of {sample.ticks:,} ticks" in said.err
    with psycopg.connect(services.postgres_dsn) as database:
        assert database.execute("select count(*) from tickledger.ticks").fetchone() == (sample.ticks,)
    assert run(*wanted, "--home", str(services.home)) == 0
    assert capsys.readouterr().out.startswith("nothing new: the log of fxcm/EURUSD has all ticks of these files")


@pytest.mark.stack
def test_a_damaged_file_among_others(services: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = quotes(tmp_path, ROWS + "2000,1.3\n")
    twin = quotes(tmp_path, ROWS, "20140505_b.csv")
    late = quotes(tmp_path, ROWS, "20140507_quote.csv")
    files = [late, damaged, quotes(tmp_path, ROWS, "20140505_a.csv"), twin]
    assert run(*files, "--symbol", "#US 500", "--json", "--home", str(services.home)) == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert (answer["listing"], answer["new"], answer["refused"], answer["ticks"]) == ("import/#US 500", 6, 2, 6)
    assert answer["reasons"] == {"crossed": 2}
    assert [(file["first_n"], file["ticks"], file["new"]) for file in answer["files"]] == [(0, 3, 3), (3, 3, 3)]
    assert (answer["twins"], answer["left_out"]) == ([twin], [late])
    message = said.err.splitlines()[-1]
    assert message == "error: " + answer["error"]
    assert f"{damaged}, line 4: 2 columns instead of 3 (ms,bid,ask); the 3 rows before it are whole" in message
    assert f"kept on the log (3 of them new); left out, since they come after it: {late}; mend the file" in message


@pytest.mark.stack
def test_a_spec_a_clock_and_a_negative_zone_without_waiting(
    services: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text("digits = 3\n")
    more = ["--spec", str(spec), "--server-clock", "+3", "--tz", "-05:00", "--no-wait", "--home", str(services.home)]
    one, two = quotes(tmp_path), quotes(tmp_path, ROWS, "20140506_twin.csv")
    assert run(one, two, "--symbol", "-X", *more) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"{two}: the same ticks as another file, taken once",
        "import/-X: 3 new ticks, 1 of them kept but refused (crossed 1); the log has 3",
    ]
    assert "deriving" not in said.err


@pytest.mark.stack
def test_ticks_that_are_too_old_are_refused(
    services: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--symbol", "OLD", "--no-wait", "--home", str(services.home)]
    assert run(quotes(tmp_path), *more) == 0
    capsys.readouterr()
    assert run(quotes(tmp_path, ROWS, "20140505_quote.csv"), *more) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "before the log of import/OLD ends at 2014-05-06T00:00:01.002Z" in said.err
    assert "--feed NAME" in said.err


@pytest.mark.stack
def test_its_benchmark_measures_what_is_equal(services: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "DAYS", ("20140506", "20140507"))
    monkeypatch.setattr(bench, "load_settings", lambda home: load_settings(home=services.home))
    report = bench.run()
    assert report.equal
    assert [result.id for result in report.results] == ["import.parse.ticks_per_s", "import.rows.ticks_per_s"]
    assert all(result.value > 0 for result in report.results)
    assert "where the" in report.notes[-1]
    assert "onto the log" in report.notes[-1]


def test_progress_is_one_line_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = ProgressLine()
    report = _report(line)
    report(Progress(Stage.WRITING, 0, 10, 0.0, None))
    report(Progress(Stage.WRITING, 4, 10, 2.0, 3.0))
    line.clear()
    line.clear()
    assert capsys.readouterr().err == (
        "\r\x1b[2Kwriting: begun\r\x1b[2Kwriting: 4 of 10 ticks, 2 a second, 3 s left\r\x1b[2K"
    )


def test_progress_is_told_now_and_then_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report = _report(ProgressLine())
    for ticks in (0, 10, 20, 30, 30):
        report(Progress(Stage.WRITING, ticks, 30, 1.0, 30.0 - ticks))
    monkeypatch.setattr("api.progress_line.QUIET_S", 0.0)
    report(Progress(Stage.COMPARING, 5, None, 1.0, None))
    report(Progress(Stage.COMPARING, 6, None, 1.0, None))
    assert capsys.readouterr().err.splitlines() == [
        "writing: begun",
        "writing: 30 of 30 ticks, 1 a second, 0 s left",
        "comparing: 5 ticks, 1 a second",
        "comparing: 6 ticks, 1 a second",
    ]


def test_a_dry_run_shows_what_was_found_and_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, bars = tmp_path / "home", exports.minutes(90, exports.at(2024, 1, 8))
    path = exports.write(tmp_path / "EURUSD_M1_202401080000_202401080130.csv", exports.mt5_bars(bars[:40] + bars[50:]))
    assert run(str(path), "--dry-run", "--home", str(home)) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split() == exports.mt5_bars(bars)[1].split()
    for text in (
        "M1 bars), 80 rows, 320 ticks", "the server's clock (ny7) (assumed)", "bar stamp: open (by the format)",
        "digits: 5 (found)", "spread column", "gaps: 10 bars", "0% real ticks", "judge: 0 ticks refused",
    ):  # fmt: skip
        assert text in said.out
    assert run(str(path), "--dry-run", "--json", "--tz", "UTC", "--home", str(home)) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["clock"], facts["clock_from"], facts["bar_ms"], facts["missing"]) == ("UTC", "told", 60_000, 10)
    assert not home.exists()


def test_a_dry_run_of_a_damaged_file_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = quotes(tmp_path, ROWS + "2000,1.3\n")
    assert run(path, "--symbol", "EURUSD", "--dry-run", "--home", str(tmp_path / "home")) == 1
    said = capsys.readouterr()
    assert "3 rows, 3 ticks" in said.out
    assert "line 4: 2 columns instead of 3" in said.err
    assert "warning: " not in said.out
