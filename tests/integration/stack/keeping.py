"""Keepers as real processes, and what is left when they die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.stack.home import Home
from infra.stack.process import Identity
from infra.stack.services import running

KEEPER = Path(__file__).with_name("keeper.py")


class Keeper:
    """``with Keeper(home, "up", "first") as keeper``: ended at the end whatever happens; ``lines`` is what it said."""

    def __init__(self, home: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.home = Home(home)
        self.lines: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(KEEPER), str(home), *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def said(self, key: str) -> Any:
        """The last value that it said under ``key``; None if it didn't."""
        return next((line[key] for line in reversed(self.lines) if key in line), None)

    def ready(self, timeout_s: float = 150) -> Self:
        wait(lambda: self.said("ready") is not None or self.process.poll() is not None, timeout_s)
        if self.process.poll() is not None:
            self._reader.join()
        assert self.said("ready") is not None, (self.process.poll(), self.lines)
        return self

    def end(self, timeout_s: float = 200) -> int:
        """Its exit code, once it has ended by itself."""
        code = self.process.wait(timeout_s)
        self._reader.join()
        return code

    def pid(self, service: str) -> int:
        process = running(self.home, service)
        assert process is not None, f"{service} does not run"
        return process.pid


def wait(until: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline = time.monotonic() + timeout_s
    while not until():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def once(home: Path, *arguments: str) -> dict[str, Any]:
    """All that a keeper says which ends by itself, the last value by key, with its exit code."""
    with Keeper(home, *arguments) as keeper:
        code = keeper.end()
        return {**{key: value for line in keeper.lines for key, value in line.items()}, "code": code}


def family(pid: int) -> list[Identity]:
    """A process and all that descend from it now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        each = todo.pop()
        identity = Identity.of(each)
        if identity is not None:
            found.append(identity)
        todo += children.get(each, [])
    return found
