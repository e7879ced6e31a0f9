"""A second process of a service, started by hand beside the one that the supervisor runs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from infra.stack.home import read_json
from infra.stack.services import EVERY_PROGRAM, child_env
from tests.e2e.chaos.day import TradingDay


@contextmanager
def twin(day: TradingDay, service: str) -> Iterator[subprocess.Popen[bytes]]:
    """The twin, once it is at work; ended with the block. What it says goes where the first one says it."""
    command = next(program.command for program in EVERY_PROGRAM if program.name == service)
    with day.home.log_file(service).open("ab") as log:
        process = subprocess.Popen(command, env=child_env(day.settings), stdout=log, stderr=log)

    def at_work() -> bool:
        assert process.poll() is None, day.said(service)[-3_000:]
        record = read_json(day.home.ready_file(service))
        return record is not None and record["pid"] == process.pid

    try:
        day.until(at_work, f"the {service}'s twin is ready")
        yield process
    finally:
        process.terminate()
        process.wait()
