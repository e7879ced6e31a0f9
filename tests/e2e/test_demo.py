"""The demo as a newcomer meets it, and what can be asked of its home."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import time
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import Producer

from schemas.catalogue import partition_of
from tests.e2e import slow_day
from tests.e2e.chaos.day import slice_of
from tests.e2e.command import COMMAND, PATIENCE_S, Running, run
from tests.integration.stack.keeping import family

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]

MINUTES = (7 * 60 + 8, 7 * 60 + 20)
"""Of the sample day, UTC: around its busiest."""
STAGES = ["terminal", "recorder", "worker", "sequencer", "desk", "gateway", "money", "database", "verify"]
STRATEGY = Path(__file__).with_name("turns.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a space and an umlaut in its path, some minutes of a day and a strategy in it."""
    folder = tmp_path_factory.mktemp("a trader's") / "földer with spaces"
    folder.mkdir()
    slice_of(folder, MINUTES)
    (folder / STRATEGY.name).write_bytes(STRATEGY.read_bytes())
    return folder


def day_of(folder: Path) -> Path:
    return next(folder.glob("*.zip"))


@pytest.fixture(scope="module")
def ticks(folder: Path) -> int:
    with zipfile.ZipFile(day_of(folder)) as archive:
        return len(archive.read(archive.namelist()[0]).splitlines())


@pytest.fixture(scope="module")
def played(folder: Path) -> subprocess.CompletedProcess[str]:
    """`demo --once` in a fresh home, with somebody's own files."""
    day = ("--data", day_of(folder).name, "--symbol", "EURUSD", "--strategy", STRATEGY.name)
    return run(folder, "demo", "--once", *day)


class Page:
    """What the demo's page asks."""

    def __init__(self, demo: Running) -> None:
        line = next(line for line in demo.lines if line.startswith("page http://"))
        self.address = line.removeprefix("page ").rstrip("/")

    def ask(self, path: str, method: str = "GET") -> Any:
        request = Request(self.address + path, method=method, headers={"X-Tickledger": "1"})
        try:
            with urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error

    def rows(self, what: str) -> list[dict[str, Any]]:
        """All rows of an answer."""
        found: list[dict[str, Any]] = self.ask(f"/api/{what}?limit=5000")["items"]
        return found


def fills_of(page: Page, instance: str) -> list[dict[str, Any]]:
    return [row for row in page.rows("fills") if row["instance"] == instance]


def findings(said: str) -> dict[str, tuple[str, str]]:
    """By stage: whether it agrees, and what it has."""
    lines = [line.split(maxsplit=2) for line in said.splitlines() if line.startswith(("agrees", "differs"))]
    return {stage: (mark, has) for mark, stage, has in lines}


def test_once_plays_the_day_and_every_stage_agrees(played: subprocess.CompletedProcess[str], ticks: int) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    found = findings(played.stdout)
    assert list(found) == STAGES
    assert {mark for mark, _ in found.values()} == {"agrees"}
    assert f"{ticks:,} ticks on the log, row by row the terminal's own history" in found["recorder"][1]
    assert "signals of Turns on demo/EURUSD" in found["worker"][1]
    assert "the laboratory's, byte for byte" in found["worker"][1]
    assert int(found["desk"][1].split()[4]) > 4, found["desk"]
    assert "nothing differs" in found["verify"][1]
    assert "all stages agree, and nothing differs" in played.stdout.splitlines()[-1]


def test_a_second_start_says_that_it_was_played_and_its_lines_work_as_they_stand(
    folder: Path, played: subprocess.CompletedProcess[str], ticks: int
) -> None:
    assert played.returncode == 0
    with Running(folder, "demo", "--no-browser") as demo:
        demo.until("Ctrl-C ends everything")
        everything = family(demo.process.pid)
        assert len(everything) > 9
        assert any("played to the end already: --fresh" in line for line in demo.lines)

        services = json.loads(run(folder, "status", "--json").stdout)
        assert {"kafka", "terminal", "recorder", "worker", "desk", "gateway", "api"} <= set(services)
        assert {service["state"] for service in services.values()} == {"ready"}
        assert any(services["kafka"]["address"] in line for line in demo.lines)

        lines = [line.strip() for line in demo.lines if line.startswith("  ") and COMMAND.split("/")[-1] in line]
        assert [shlex.split(line)[1:3] for line in lines[:4]] == [
            ["query", "bars"], ["query", "orders"], ["query", "pnl"], ["query", "audit"],
        ]  # fmt: skip
        for line in lines:
            said = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, timeout=120)
            assert said.returncode == 0, (line, said.stderr)
            assert said.stdout

        assert_bars_are_those_of_the_file(folder)
        page = Page(demo)
        assert_a_fill_is_walked_to_its_ticks(folder, page)
        assert_money_adds_up(page)
        assert_everything_was_checked(folder, ticks)
        assert_a_damaged_log_is_said(folder, services["kafka"]["address"])
        assert demo.interrupt() == 0
    assert not [process for process in everything if process.alive()]
    assert {s["state"] for s in json.loads(run(folder, "status", "--json").stdout).values()} == {"stopped"}


def assert_bars_are_those_of_the_file(folder: Path) -> None:
    """All timeframes, as `query` gives them, against a slow computation from the zip."""
    told = run(folder, "query", "bars", "--symbol", "EURUSD", "--format", "csv")
    assert told.returncode == 0
    found = list(csv.DictReader(io.StringIO(told.stdout)))
    for frame in slow_day.FRAMES:
        expected = slow_day.bars(day_of(folder), frame)
        mine = [bar for bar in found if bar["timeframe"] == frame]
        # The market stands a minute behind its last tick: the minute of that one is over.
        assert mine[: len(expected)] and len(mine) - len(expected) in (0, 1) if expected else len(mine) < 2
        for bar, slow in zip(mine, expected, strict=False):
            assert bar["time"] == slow["time"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
            for name in ("open", "high", "low", "close", "ask_close", "spread_mean"):
                assert float(bar[name]) == slow[name], (frame, slow["time"], name)
            for name in ("ticks", "spread_min", "spread_max"):
                assert int(bar[name]) == slow[name]
            assert bar["complete"] == ("false" if slow["first"] else "true")


def assert_a_fill_is_walked_to_its_ticks(folder: Path, page: Page) -> None:
    fill = next(row for row in page.rows("fills") if row["instance"] == "Turns" and row["entry"] == "IN")
    walk = run(folder, "query", "audit", fill["id"])
    assert walk.returncode == 0, walk.stderr
    for part in (str(fill["deal"]), str(fill["order_no"]), fill["signal"], "checks", "spread", "ticks"):
        assert part in walk.stdout, (part, walk.stdout)


def assert_money_adds_up(page: Page) -> None:
    """What is attributed, and what was booked on positions that are open, is what the balance changed by."""
    pnl, fills = page.rows("pnl"), page.rows("fills")
    parts = ("gross", "spread", "slippage", "commission", "swap")
    for row in pnl:
        assert Decimal(row["net"]) == sum(Decimal(row[part]) for part in parts), row
    volume = {row["position"]: row["volume"] for row in page.rows("positions")}
    booked = [Decimal(row["commission"]) for row in fills if row["entry"] == "IN" and volume[row["position"]] > 0]
    balance = Decimal(page.rows("equity")[-1]["balance"])
    assert sum(Decimal(row["net"]) for row in pnl) + sum(booked) == balance - 10_000


def assert_everything_was_checked(folder: Path, ticks: int) -> None:
    checked = run(folder, "verify", "--terminal", "--run-code", "--json")
    answer = json.loads(checked.stdout)
    assert (checked.returncode, answer["ok"], answer["first_difference"]) == (0, True, None)
    assert {"journal", "orders", "fills", "portfolio", "terminal"} <= set(answer["checked"])
    assert answer["checked"]["ticks"] == ticks
    assert answer["checked"]["terminal"]["deals"] == answer["checked"]["fills"] > 4


def assert_a_damaged_log_is_said(folder: Path, kafka: str) -> None:
    partition = partition_of("ticks", "demo/EURUSD")
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce("ticks", key="demo/EURUSD", value=b"junk", partition=partition)
    assert producer.flush(30) == 0
    again = run(folder, "demo", "--once")
    assert again.returncode == 1, again.stdout + again.stderr
    assert findings(again.stdout)["verify"][0] == "differs"
    assert "these stages disagree: database, verify" in again.stdout
    assert f"at ticks/{partition}/" in again.stdout


def until(condition: Callable[[], Any], what: str, demo: Running) -> Any:
    """Waits until something is there; what it is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert demo.process.poll() is None, "\n".join(demo.lines)
        assert time.monotonic() < deadline, what
        time.sleep(0.2)
    return found


def test_fresh_plays_another_day_that_people_steer_and_ctrl_c_ends(
    folder: Path, played: subprocess.CompletedProcess[str]
) -> None:
    assert played.returncode == 0
    other = ("--data", day_of(folder).name, "--symbol", "GBPUSD", "--speed", "10")
    refused = run(folder, "demo", *other)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "plays its own day" in refused.stderr
    assert "add --fresh" in refused.stderr

    with Running(folder, "demo", "--fresh", *other, "--no-browser") as demo:
        demo.until("page http://")
        page = Page(demo)
        with urlopen(page.address, timeout=30) as answer:
            assert b"<title>tickledger</title>" in answer.read()
        assert not any("played to the end" in line for line in demo.lines)
        assert page.ask("/api/market/pause", "POST")["standing"]
        stood = page.ask("/api/market")
        assert not stood["ended"]

        added = run(folder, "strategies", "add", STRATEGY.name, "--account", "demo", "--lots", "0.2")
        assert added.returncode == 0, added.stderr
        assert page.ask("/api/market")["now"] == stood["now"]

        page.ask("/api/market/speed?value=0", "POST")
        assert not page.ask("/api/market/resume", "POST")["standing"]
        fill = until(lambda: fills_of(page, "Turns"), "the added strategy's fill", demo)[0]
        assert (fill["listing"], fill["volume"]) == ("demo/GBPUSD", 0.2)
        # The database has each topic at its own pace.
        decision = until(lambda: page.ask(f"/api/audit/{fill['id']}")["decision"], "its risk decision", demo)
        assert decision["checks"]

        removed = run(folder, "strategies", "remove", "Turns")
        assert removed.returncode == 0, removed.stderr
        listed = {one["instance"] for one in json.loads(run(folder, "strategies", "list", "--json").stdout)}
        assert listed == {"berserker", "sniper_intraday"}

        halted = run(folder, "halt", "--account", "demo", "--why", "lunch")
        assert halted.returncode == 0, halted.stderr
        command = until(lambda: page.rows("commands"), "the command", demo)[-1]
        assert (command["kind"], command["why"]) == ("HALT", "lunch")
        everything = family(demo.process.pid)
        assert len(everything) > 9
        assert demo.interrupt() == 0
    assert not [process for process in everything if process.alive()]
