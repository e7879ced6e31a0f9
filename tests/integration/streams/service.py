"""A service as the stack runs it: a process of its own, on a home of its own and a broker that is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.stack.home import read_json
from tests.integration.streams.line import KEYS

ROOT = Path(__file__).resolve().parents[3]
UNHURRIED = {"TICKLEDGER_WORKER__SESSION_TIMEOUT_S": "10"}
"""For what has to be a member of its group to the end: a machine that stands for seconds puts one of 2 s out of it."""


class Service:
    """A worker, or another program of ours. Those of different homes are different members of the group."""

    def __init__(
        self, kafka: str, home: Path, *, name: str = "worker", module: str = "streams.worker", **more: str
    ) -> None:
        self._name, self._module = name, module
        (home / "run").mkdir(parents=True)
        (home / "keys").mkdir()
        ring = home / "keys" / "ring.json"
        ring.write_text(json.dumps({"current": KEYS.current, "keys": {KEYS.current: bytes(range(32)).hex()}}))
        ring.chmod(0o600)
        self.home = home
        self.said: list[str] = []
        self._log = home / f"{name}.log"
        self._env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TICKLEDGER_HOME": str(home),
            "TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS": kafka,
            "TICKLEDGER_WORKER__SESSION_TIMEOUT_S": "2",
            **more,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> Service:
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._module], env=self._env, stderr=file, cwd=self.home
            )
        return self

    def ready(self) -> Service:
        def is_ready() -> bool:
            record = read_json(self.home / "run" / f"{self._name}.json")
            return bool(record and record.get("ready") and record["pid"] == self.process.pid)

        wait(is_ready)
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Ends it in order; its exit code."""
        self.process.terminate()
        return self.process.wait(90)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, over all its lives."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def wait(condition: Callable[[], bool], seconds: float = 120) -> float:
    """Seconds until it held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - start
