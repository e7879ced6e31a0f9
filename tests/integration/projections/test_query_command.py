"""`tickledger query` and `tickledger rebuild` on a real database: formats, files, limits and refusals."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from api import cli
from api.commands import query, rebuild
from infra.stack.stack import Running
from tests.conftest import TestStack
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log, bar, signal, value_of

pytestmark = pytest.mark.stack


class Ran:
    """How a command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.out)))


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def dsn(own_stack: TestStack) -> Iterator[str]:
    """One database for all of these tests."""
    with new_database(own_stack) as found:
        yield found


@pytest.fixture
def run(
    own_stack: TestStack,
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Run:
    """The command line, attached to this test's database."""

    @contextmanager
    def attached(*_: Any) -> Iterator[Running]:
        yield Running(tmp_path, own_stack.kafka, dsn, ())

    for module in (query, rebuild):
        monkeypatch.setattr(module, "running_stack", attached)
    monkeypatch.setattr(rebuild, "load_or_create", lambda _: KEYS)
    monkeypatch.setenv("TICKLEDGER_HOME", str(tmp_path))

    def call(*arguments: str) -> Ran:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capfdbinary.readouterr()
        return Ran(int(str(ended.value.code)), out.decode(errors="replace"), err.decode())

    return call


@pytest.fixture(scope="module")
def written(own_stack: TestStack, dsn: str, log: Log) -> str:
    listing = f"test/W{uuid4().hex[:8]}"
    feed = Feed(log, listing)
    feed.open()
    feed.write(120)
    for number in range(3):
        log.send("bars", listing, value_of(bar(listing, number)))
        log.send("signals", listing, value_of(signal(listing, number)))
    projecting(own_stack, dsn)()
    return listing


def test_a_database_that_is_not_set_up_says_who_sets_it_up(run: Run) -> None:
    ran = run("query", "ticks")

    assert ran.code == 2
    assert "tickledger up" in ran.err


def test_csv_has_everything_and_a_limit_takes_the_first(run: Run, written: str) -> None:
    everything = run("query", "ticks", "--symbol", written, "--format", "csv")
    some = run("query", "ticks", "--symbol", written, "--format", "csv", "--limit", "3")

    assert everything.code == 0
    assert everything.rows[0] == ["listing", "n", "time", "bid", "ask", "last", "volume", "flags", "quality"]
    assert everything.rows[1] == [written, "0", "2014-05-06T00:00:00.000Z", "1.39", "1.3901", "", "", "6", ""]
    assert len(everything.rows) == 121
    assert some.rows == everything.rows[:4]
    assert everything.err == ""


def test_a_table_shows_the_last_fifty_and_says_so(run: Run, written: str) -> None:
    shown = run("query", "ticks", "--symbol", written)
    fewer = run("query", "ticks", "--symbol", written, "--limit", "2")
    whole = run("query", "bars", "--symbol", written)

    assert len(shown.out.splitlines()) == 51
    assert shown.out.splitlines()[-1].split()[1] == "119"
    assert "the last 50 rows" in shown.err
    assert [line.split()[1] for line in fewer.out.splitlines()[1:]] == ["118", "119"]
    assert len(whole.out.splitlines()) == 4
    assert whole.err == ""


def test_json_and_parquet_files(run: Run, written: str, tmp_path: Path) -> None:
    as_json, as_parquet, as_csv = (tmp_path / f"bars.{ending}" for ending in ("json", "parquet", "csv"))
    for path in (as_json, as_parquet, as_csv):
        assert run("query", "bars", "--symbol", written, "--timeframe", "m1", "--output", str(path)).code == 0
    rows = json.loads(as_json.read_bytes())
    frame = pl.read_parquet(as_parquet)

    assert [row["time"] for row in rows] == [f"2014-05-06T00:0{n}:00.000Z" for n in range(3)]
    assert rows[0]["complete"] is False
    assert frame["time"].dt.epoch("ms").to_list() == [START_MS + n * 60_000 for n in range(3)]
    assert list(rows[0]) == frame.columns == as_csv.read_text().splitlines()[0].split(",")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tickledger")] == []


def test_parquet_goes_into_a_pipe(run: Run, written: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    capfdbinary.readouterr()
    with pytest.raises(SystemExit):
        cli.main(["query", "ticks", "--symbol", written, "--format", "parquet"])

    assert len(pl.read_parquet(io.BytesIO(capfdbinary.readouterr().out))) == 120


@pytest.mark.parametrize("what", ["ticks", "bars", "signals", "alerts", "sources", "reference"])
def test_nothing_found_is_a_header_and_exit_0(run: Run, written: str, what: str) -> None:
    ranged = ("query", what, "--symbol", written, "--from", "1999-01-01", "--to", "1999-01-02")
    as_csv, as_json, table = (run(*ranged, "--format", f) for f in ("csv", "json", "table"))

    assert (as_csv.code, as_json.code, table.code) == (0, 0, 0)
    assert len(as_csv.rows) == 1
    assert json.loads(as_json.out) == []
    assert table.out.split() == as_csv.rows[0]


def test_times_are_utc_unless_they_say_otherwise_and_the_end_is_not_in_it(run: Run, written: str) -> None:
    def first_n(*span: str) -> list[str]:
        found = run("query", "ticks", "--symbol", written, "--format", "csv", *span)
        return [row[1] for row in found.rows[1:]]

    assert first_n("--from", "2014-05-06T00:00:01", "--to", "2014-05-06T00:00:01.300") == ["10", "11", "12"]
    assert first_n("--from", "2014-05-06T02:00:01+02:00", "--to", "2014-05-06T00:00:01.2Z") == ["10", "11"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ticks", "--symbol", "EURUSD#"), "no listing is called 'EURUSD#'"),
        (("ticks", "--from", "yesterday"), "--from: 'yesterday' is not a time"),
        (("ticks", "--from", "2014-05-07", "--to", "2014-05-06"), "--from 2014-05-07 is not before --to 2014-05-06"),
        (("ticks", "--limit", "-1"), "--limit -1 is below 0"),
        (("bars", "--timeframe", "M2"), "--timeframe 'M2' is none: take one of M1, M5"),
        (("audit", "x"), "signal id 'x' is not of the form operator/feed/SYMBOL/number"),
    ],
)
def test_refusals_name_the_thing_and_the_way_out(run: Run, written: str, arguments: tuple[str, ...], said: str) -> None:
    ran = run("query", *arguments)

    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert said in ran.err
    assert ran.out == ""


@pytest.mark.parametrize("what", ["fills", "equity", "journal"])
def test_an_account_that_the_log_has_not_is_an_error(run: Run, written: str, what: str) -> None:
    ran = run("query", what, "--account", "nosuch")

    assert (ran.code, ran.out) == (2, "")
    assert "no account is called 'nosuch': " in ran.err


def test_an_output_that_cannot_be_written_is_named(run: Run, written: str, tmp_path: Path) -> None:
    ran = run("query", "ticks", "--symbol", written, "--output", str(tmp_path / "no" / "x.csv"))

    assert ran.code == 2
    assert "x.csv: No such file or directory: name another file by --output" in ran.err


def test_the_audit_walks_to_the_ticks(run: Run, written: str) -> None:
    as_json = run("query", "audit", f"berserker@2/{written}/1", "--format", "json")
    table = run("query", "audit", f"berserker@2/{written}/1")
    found = json.loads(as_json.out)

    assert found["signal"]["n"] == 19
    assert [tick["n"] for tick in found["ticks"]] == list(range(10, 20))
    assert {"topic", "partition", "offset", "place", "block_mac"} <= set(found["ticks"][0])
    assert "ticks: 10" in table.out
    assert found["ticks"][0]["block_mac"] in table.out


def test_rebuild_says_what_it_did(run: Run, written: str) -> None:
    before = run("query", "ticks", "--symbol", written, "--format", "csv")
    as_json = run("rebuild", "--json")
    told = run("rebuild")

    assert json.loads(as_json.out)["ticks"] >= 120
    assert "ticks of them in" in told.out
    assert run("query", "ticks", "--symbol", written, "--format", "csv").out == before.out
