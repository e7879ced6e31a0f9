"""Importer, worker, projector and broker ended by kill -9 while files come in: nothing missing, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from pathlib import Path

import psycopg
import pytest

from infra.settings import load_settings
from infra.stack.addresses import postgres_dsn
from infra.stack.home import Home
from infra.stack.services import running
from producers.sample import SAMPLE_DAY
from tests.e2e.command import Running, run

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(1500)]

SAMPLE = SAMPLE_DAY[1]
DAYS = 4


def days(folder: Path) -> list[str]:
    """The sample's rows as several days."""
    with zipfile.ZipFile(SAMPLE.path) as archive:
        rows = archive.read(archive.namelist()[0])
    paths = [folder / f"201405{day:02}_quote.zip" for day in range(6, 6 + DAYS)]
    for path in paths:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.name[:8]}.csv", rows)
    return [str(path) for path in paths]


def kill(home: Home, service: str) -> None:
    """The service's process, once it runs."""
    for _ in range(600):
        process = running(home, service)
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.1)
    raise AssertionError(f"{service} doesn't run")


def test_nothing_is_missing_and_nothing_doubled(tmp_path: Path) -> None:
    folder = tmp_path / "a trader's desk"
    folder.mkdir()
    home = Home(folder / ".tickledger")
    wanted = [*days(folder), "--symbol", "EURUSD", "--feed", "killed", "--tz", SAMPLE.tz]
    with Running(folder, "up") as up:
        up.until("ready: Kafka")
        with Running(folder, "import", *wanted) as importer:
            importer.until("writing")
            importer.process.kill()
            assert importer.end() == -signal.SIGKILL
        with Running(folder, "import", *wanted) as importer:
            for service in ("worker", "projector", "kafka", "worker"):
                time.sleep(1.0)
                kill(home, service)
            assert importer.end() == 0, "\n".join(importer.lines)

        again = run(folder, "import", *wanted)
        assert (again.returncode, again.stdout[:12]) == (0, "nothing new:"), again.stderr
        checked = run(folder, "verify", "--json")
        report = json.loads(checked.stdout)
        assert (checked.returncode, report["ok"]) == (0, True), checked.stdout
        assert report["checked"]["ticks"] == DAYS * SAMPLE.ticks
        with psycopg.connect(postgres_dsn(load_settings(home=home.root))) as database:
            counts = [
                database.execute(f"select count(*) from tickledger.{table}".encode()).fetchone()
                for table in ("ticks", "bars", "signals")
            ]
        assert counts == [(report["checked"][what],) for what in ("ticks", "bars", "signals")]
        assert up.interrupt() == 0
