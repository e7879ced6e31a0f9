"""Importers ended, stopped or doubled in the middle, as real processes: the log is what one alone would have made."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from producers.sample import SAMPLE_DAY
from schemas.accept import Verdict
from tests.conftest import TestStack
from tests.integration.importing import Market, contents

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
BLOCK_S = 0.03


@pytest.fixture(scope="module")
def whole(stack: TestStack, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A listing that was imported in one go."""
    market = Market(stack, tmp_path_factory.mktemp("files"))
    market.do_import(*days(market), tz="UTC-05")
    return market


def days(market: Market) -> list[Path]:
    """Two days of some 13 blocks each, not ending at a full one."""
    sample = SAMPLE_DAY[1]
    with zipfile.ZipFile(sample.path) as archive:
        lines = archive.read(archive.namelist()[0]).splitlines(keepends=True)
    return [
        market.file("20140506_quote.zip", b"".join(lines[:50_000])),
        market.file("20140508_quote.zip", b"".join(lines[50_000:])),
    ]


@contextmanager
def importer(market: Market, block_s: float = BLOCK_S) -> Iterator[subprocess.Popen[str]]:
    """A process that imports the days; it is ended with its test."""
    arguments = [market.kafka, str(market.ring), str(market.listing), str(block_s), *map(str, days(market))]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.integration.import_child", *arguments],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(process: subprocess.Popen[str], enough: Callable[[str], bool]) -> list[str]:
    """Reads its lines until one is enough, or it ends."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if enough(lines[-1]):
            break
    return lines


def writing(line: str) -> bool:
    return line.startswith("writing")


def test_killed_at_any_moment_and_run_again_the_log_is_as_if_never_killed(whole: Market) -> None:
    market = whole.again()
    moments = random.Random(8)
    kills = 0
    while True:
        with importer(market) as process:
            lines = until(process, writing)
            if lines[-1].startswith(("new", "error")):
                break
            # Later in the end: a machine on which the first block takes longer than this gets there too.
            time.sleep(moments.uniform(0.1, 0.7) * (1 + max(0, kills - 8) / 4))
            kills += process.poll() is None
            process.kill()
        before = market.blocks()
        assert contents(before) == contents(whole.blocks())[: len(before)]
        assert kills < 100
    assert lines[-1] == "new 0"
    assert kills > 1
    assert contents(market.blocks()) == contents(whole.blocks())
    assert [(e.from_n, e.to_n) for e in market.events()] == [(e.from_n, e.to_n) for e in whole.events()]
    assert [block.gap for block in market.blocks()].count(True) == 1


def test_of_two_at_once_one_ends_with_a_message_and_the_log_is_right(whole: Market) -> None:
    market = whole.again()
    with importer(market) as one, importer(market) as other:
        endings = [until(process, lambda _: False)[-1] for process in (one, other)]
        codes = sorted(process.wait() for process in (one, other))
    assert contents(market.blocks()) == contents(whole.blocks())
    assert codes in ([0, 1], [0, 0])
    if codes == [0, 1]:
        (error,) = (ending for ending in endings if ending.startswith("error"))
        assert "another writer opened" in error
    assert Verdict.STOP not in market.verdicts


def test_a_stalled_importer_that_wakes_behind_another_ends_and_adds_nothing(whole: Market) -> None:
    market = whole.again()
    with importer(market, 10 * BLOCK_S) as stalled:
        until(stalled, lambda line: writing(line) and line != "writing 0")
        stalled.send_signal(signal.SIGSTOP)
        with importer(market, 0) as other:
            ending = until(other, lambda _: False)[-1]
            assert other.wait() == 0
        assert ending.startswith("new ")
        stalled.send_signal(signal.SIGCONT)
        ending = until(stalled, lambda _: False)[-1]
        assert stalled.wait() == 1
    assert "another writer opened" in ending
    assert "run the import again" in ending
    assert contents(market.blocks()) == contents(whole.blocks())
    assert Verdict.STOP not in market.verdicts
