"""Programs as whole processes: how long one takes by the wall, and how much memory it needs at most."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from infra.errors import TickledgerError

TICKLEDGER: Final = (sys.executable, "-P", "-m", "api.cli")
"""The command, as it is installed beside the benchmark."""
_SAID: Final = 2_000


class Failed(TickledgerError):
    """A program that was measured didn't end well."""

    exit_code = 2


class Ended(NamedTuple):
    """A finished process: seconds by the wall, the most memory it had, MB (of it or a child), and its output."""

    seconds: float
    peak_mb: float
    output: str


class Spread(NamedTuple):
    """Values of several runs."""

    least: float
    median: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def timed(arguments: Sequence[str], folder: Path) -> Ended:
    """Runs a command in `folder`. Raises Failed with the end of what it said."""
    # What Python compiles is kept beside its source, as it is for a user.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=folder, env=kept, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode(errors="replace")
        if process.returncode:
            err.seek(0)
            said = err.read().decode(errors="replace")[-_SAID:].strip() or output[-_SAID:].strip()
            raise Failed(f"{' '.join(arguments[:6])} … ended with {process.returncode}: {said}")
        return Ended(seconds, usage.ru_maxrss / 1024, output)


def spread(values: Sequence[float]) -> Spread:
    """Least, median and most."""
    return Spread(min(values), statistics.median(values), max(values))
