"""Logs: one JSON object a line, with identities, without secrets, libraries included."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from infra import log


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_service_logger_and_identities() -> None:
    stream = io.StringIO()
    log.configure("importer", stream=stream)
    log.get("producers.importer").info("block written", listing="oanda/EURUSD", n=4096, topic="ticks", offset=7)
    (line,) = lines(stream)
    assert line["time"].endswith("Z")
    assert list(line)[:3] == ["time", "level", "service"]
    assert (line["level"], line["service"], line["logger"]) == ("info", "importer", "producers.importer")
    assert (line["event"], line["listing"], line["n"], line["offset"]) == ("block written", "oanda/EURUSD", 4096, 7)


def test_secrets_are_cut_out_and_exceptions_are_kept() -> None:
    stream = io.StringIO()
    log.configure("x", stream=stream)
    try:
        raise ValueError("bad tick")
    except ValueError:
        log.get("m").exception("failed", database_password="geheim", postgres_dsn="geheim")
    (line,) = lines(stream)
    assert "geheim" not in stream.getvalue()
    assert (line["level"], line["database_password"]) == ("error", "***")
    assert "ValueError: bad tick" in line["exception"]


def test_levels_hold_for_us_and_for_libraries() -> None:
    stream = io.StringIO()
    log.configure("x", level="info", stream=stream)
    log.get("m").debug("unseen")
    logging.getLogger("faust").info("unseen")
    logging.getLogger("faust").warning("rebalancing %d", 3)
    try:
        raise KeyError("k")
    except KeyError:
        logging.getLogger("faust").exception("broke")
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["level"]) == ("rebalancing 3", "faust", "warning")
    assert "KeyError" in second["exception"]


def test_stderr_is_looked_up_at_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("x", level="debug")
    log.get("m").debug("seen", unit="points")
    captured = capsys.readouterr()
    assert json.loads(captured.err)["unit"] == "points"
    assert captured.out == ""


@pytest.mark.kill
def test_a_process_that_is_asked_says_where_its_threads_are() -> None:
    program = "from infra import log; log.configure('x'); import os, signal; os.kill(os.getpid(), signal.SIGUSR1)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Current thread" in done.stderr
    assert 'File "<string>", line 1 in <module>' in done.stderr
