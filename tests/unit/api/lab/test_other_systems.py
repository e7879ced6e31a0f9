"""The laboratory with no more of Python than Windows has: each command runs as it does here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.api.lab.sweep.asked import Bench

ELSEWHERE = """
import os, signal, sys

for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "register_at_fork", "sched_getaffinity", "getuid", "geteuid", "getpgid", "killpg",
             "pread", "pwrite", "fchmod", "setsid", "posix_spawn"):
    delattr(os, name)
for name in ("SIGKILL", "SIGSTOP", "SIGCONT", "SIGHUP", "pthread_sigmask"):
    delattr(signal, name)

if __name__ == "__main__":
    from api.cli import main
    from api.lab.sweep import pool, writer

    pool.COPIES = writer.COPIES = False
    main(sys.argv[1:])
"""
"""What lacks there is taken away; processes begin anew instead of as copies."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize(
    ("command", "more", "out", "written"),
    [
        ("backtest", (), "run", "run/report.html"),
        ("sweep", ("-p", "fast=3:9:3", "-p", "slow=12,20"), "swept", "swept/sweep.html"),
        ("chart", (), "chart.html", "chart.html"),
    ],
)
def test_a_command_needs_nothing_that_windows_lacks(
    bench: Bench, command: str, more: tuple[str, ...], out: str, written: str
) -> None:
    script = bench.folder / "elsewhere.py"
    script.write_text(ELSEWHERE)
    asked = [command, str(bench.strategy), str(bench.data), "--spec", "generic", "--out", out, *more]
    ran = subprocess.run(
        [sys.executable, str(script), *asked, "--json"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)
    assert (bench.folder / written).is_file()
