"""The demo as a newcomer meets it, and what can be asked of its home."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from producers.sample import SAMPLE_DAY
from tests.e2e import slow_day
from tests.e2e.command import COMMAND, Running, run
from tests.integration.stack.keeping import family

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

TICKS = sum(file.ticks for file in SAMPLE_DAY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a space and an umlaut in its path."""
    return tmp_path_factory.mktemp("a trader's") / "földer with spaces"


@pytest.fixture(scope="module")
def played(folder: Path) -> subprocess.CompletedProcess[str]:
    """`demo --once` in a fresh home."""
    folder.mkdir()
    return run(folder, "demo", "--once")


def test_once_plays_the_day_and_every_stage_agrees(played: subprocess.CompletedProcess[str]) -> None:
    assert played.returncode == 0, played.stdout + played.stderr
    stages = [line.split()[1].rstrip(",") for line in played.stdout.splitlines() if line.startswith("agrees")]
    assert stages == ["files", "importer", "ticks", "worker", "bars", "database", "verify"]
    assert "differs" not in played.stdout.replace("nothing differs", "")
    assert played.stdout.count(f"{TICKS:,}") > 8
    assert "refused as crossed 9,999" in played.stdout
    assert "all stages agree, and nothing differs" in played.stdout.splitlines()[-1]


def test_while_it_is_up_its_lines_work_as_they_stand_and_ctrl_c_ends_everything(
    folder: Path, played: subprocess.CompletedProcess[str]
) -> None:
    assert played.returncode == 0
    with Running(folder, "demo") as demo:
        demo.until("Ctrl-C ends everything")
        everything = family(demo.process.pid)
        assert len(everything) > 5
        assert any("nothing new: this home has the day already" in line for line in demo.lines)

        status = run(folder, "status", "--json")
        services = json.loads(status.stdout)
        assert status.returncode == 0
        assert list(services) == ["kafka", "postgres", "worker", "projector"]
        assert all({"state", "pid", "address"} <= set(service) for service in services.values())
        assert {service["state"] for service in services.values()} == {"ready"}
        assert any(services["kafka"]["address"] in line for line in demo.lines)

        lines = [line.strip() for line in demo.lines if line.startswith("  ") and COMMAND.split("/")[-1] in line]
        assert [line.partition("tickledger ")[2].split()[:2] for line in lines[:4]] == [
            ["query", "bars"],
            ["query", "ticks"],
            ["query", "signals"],
            ["query", "audit"],
        ]
        for line in lines:
            asked = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, timeout=120)
            assert asked.returncode == 0, (line, asked.stderr)
            assert len(asked.stdout.splitlines()) > 3 or "verify" in line

        checked = run(folder, "verify", "--json")
        answer = json.loads(checked.stdout)
        assert (checked.returncode, answer["ok"], answer["first_difference"]) == (0, True, None)
        assert answer["checked"] == {"blocks": 37, "ticks": TICKS, "refused": 9_999, "bars": 3_734, "signals": 82}
        assert (answer["void"], answer["repairs"]) == (0, 0)

        for file in SAMPLE_DAY:
            feed, symbol = file.listing.split("/")
            again = run(folder, "import", str(file.path), "--symbol", symbol, "--feed", feed, "--tz", file.tz)
            assert (again.returncode, again.stdout[:12]) == (0, "nothing new:"), again.stderr

        assert_bars_are_those_of_the_files(folder)
        assert demo.interrupt() == 0
    assert not [process for process in everything if process.alive()]
    assert {s["state"] for s in json.loads(run(folder, "status", "--json").stdout).values()} == {"stopped"}


def assert_bars_are_those_of_the_files(folder: Path) -> None:
    """All timeframes of both feeds, as `query` gives them, against a slow computation from the zips."""
    for file, behind in zip(SAMPLE_DAY, (0, 5), strict=True):
        asked = run(folder, "query", "bars", "--symbol", file.listing, "--format", "csv")
        assert asked.returncode == 0
        found = list(csv.DictReader(io.StringIO(asked.stdout)))
        for frame in slow_day.FRAMES:
            expected = slow_day.bars(file.path, behind, frame)
            mine = [bar for bar in found if bar["timeframe"] == frame]
            assert len(mine) == len(expected)
            for bar, slow in zip(mine, expected, strict=True):
                assert bar["time"] == slow["time"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
                for name in ("open", "high", "low", "close", "ask_close", "spread_mean"):
                    assert float(bar[name]) == slow[name], (frame, slow["time"], name)
                for name in ("ticks", "spread_min", "spread_max"):
                    assert int(bar[name]) == slow[name]
                assert bar["complete"] == ("false" if slow["first"] else "true")


def test_a_damaged_log_makes_once_say_no(folder: Path, played: subprocess.CompletedProcess[str]) -> None:
    from confluent_kafka import Producer

    from api.start import running_stack
    from infra.settings import load_settings
    from schemas.catalogue import partition_of

    assert played.returncode == 0
    with running_stack(load_settings(home=folder / ".tickledger"), {"kafka"}) as running:
        listing = SAMPLE_DAY[0].listing
        producer = Producer({"bootstrap.servers": running.kafka})
        producer.produce("ticks", key=listing, value=b"junk", partition=partition_of("ticks", listing))
        assert producer.flush(30) == 0
    again = run(folder, "demo", "--once")
    assert again.returncode == 1, again.stdout + again.stderr
    assert "these stages disagree: verify" in again.stdout
    assert f"at ticks/{partition_of('ticks', SAMPLE_DAY[0].listing)}/" in again.stdout
