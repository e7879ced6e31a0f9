"""Terminal and recorder as processes of a home of their own, on the shared broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.keys import ring_file
from infra.marks import Mark
from infra.settings import PREFIX
from infra.stack.home import Home
from producers.mt5 import Mt5
from producers.terminal import connect, control
from producers.terminal.control import Control
from tests.conftest import TestStack
from tests.integration.recorder.recording import Recording, until

BUSY_US: Final = 1_399_384_800_000_000
"""14:00 UTC of the sample day."""


class Processes:
    """A home with a terminal that plays, and recorders to start in it."""

    def __init__(self, stack: TestStack, folder: Path, recording: Recording, **settings: str) -> None:
        self.home = Home(folder / "home")
        self.home.create()
        told = {
            "HOME": str(self.home.root),
            "CACHE": str(folder / "cache"),
            "KAFKA__BOOTSTRAP_SERVERS": stack.kafka,
            "KEYS__RING": str(ring_file(stack.settings)),
            "TERMINAL__KIND": "simulated",
            "TERMINAL__FOLLOWERS": '["recorder"]',
            "RECORDER__FEED": recording.feed,
            **settings,
        }
        self._environment = os.environ | {PREFIX + name: value for name, value in told.items()}
        self._running: list[subprocess.Popen[str]] = []
        self.mark = Mark.of(self.home, "recorder")

    def start(self, module: str) -> subprocess.Popen[str]:
        """A service of the home; its log goes to a file that a failing test shows."""
        with (self.home.root / f"{module}.log").open("a") as log:
            command = [sys.executable, "-P", "-m", module]
            process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log, text=True)
        self._running.append(process)
        return process

    def recorder(self) -> subprocess.Popen[str]:
        return self.start("producers.recorder")

    def written(self) -> str:
        """What the recorders have said."""
        path = self.home.root / "producers.recorder.log"
        return path.read_text() if path.exists() else ""

    def control(self) -> Control:
        return control(self.home.root)

    def client(self) -> Mt5:
        """A client of the terminal, connected."""
        mt5: Any = connect(self.home.root)
        until(mt5.initialize)
        found: Mt5 = mt5
        return found

    def marked_since(self, us: int) -> bool:
        """Whether a recorder has got on since."""
        return (self.mark.get() or 0) > us

    def caught_up(self, market: Control) -> None:
        """Waits until all that has happened in a standing market is on the log."""
        until(lambda: (self.mark.get() or 0) >= market.state().now_us, 90)

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@contextmanager
def processes(stack: TestStack, folder: Path, recording: Recording, **settings: str) -> Iterator[Processes]:
    """The terminal runs; everything ends with the test."""
    own = Processes(stack, folder, recording, **settings)
    try:
        own.start("producers.terminal")
        own.client()
        own.control().go_to(BUSY_US)
        own.control().resume()
        yield own
    except BaseException:
        sys.stderr.write(own.written()[-6_000:])
        raise
    finally:
        own.end()
