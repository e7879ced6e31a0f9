"""The owner's side of the supervisor: start it, tell it what to run, hear what happens."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import ServiceFailed
from infra.stack.process import Identity

SCRIPT = Path(__file__).with_name("supervisor.py")


@dataclass(frozen=True)
class Run:
    """What the supervisor is to run for one service."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    record: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 6.0
    uid: int | None = None
    log_bytes: int = 16 << 20
    most_ends: int = 8  # within a minute; one more, and it is given up
    fenced: int | None = None  # exit code with which it says that another one has replaced it: a minute's pause
    refused: int | None = None  # exit code with which it says that it can't run: it is not started again
    rank: int = 0  # the highest is ended first

    def spec(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": str(self.cwd),
            "log": str(self.log),
            "record": str(self.record),
            "stop_signal": int(self.stop_signal),
            "stop_timeout_s": self.stop_timeout_s,
            "uid": self.uid,
            "log_bytes": self.log_bytes,
            "most_ends": self.most_ends,
            "fenced": self.fenced,
            "refused": self.refused,
            "rank": self.rank,
        }


@dataclass
class Seen:
    """What is known of one service: its process, how often it ended, why it last did, whether that was final: it was
    given up (`failed`), or said that it can't run (`refused`)."""

    process: Identity | None = None
    ends: int = 0
    reason: str = ""
    failed: bool = False
    refused: bool = False


class Supervision:
    """A supervisor of this process. ``on_start`` is called (in another thread) whenever a process is started,
    ``on_refused`` when a service said that it can't run."""

    def __init__(
        self,
        keep_fds: Sequence[int] = (),
        on_start: Callable[[str, Identity], None] = lambda name, process: None,
        on_refused: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._on_start, self._on_refused = on_start, on_refused
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._gone = False
        # -I -S: nothing of the user's environment or working folder gets in; all that runs there is one file.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=keep_fds,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        )
        self._reader = threading.Thread(target=self._listen, name="supervision", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, run: Run) -> None:
        """Run a service. Raises ServiceFailed if the supervisor is gone."""
        with self._changed:
            self._seen[run.name] = Seen()
        self._send({"do": "start", "service": run.spec()})

    def stop(self, name: str) -> None:
        """End one service and wait until it has ended."""
        self._send({"do": "stop", "name": name})
        self.wait(lambda: name not in self._seen, 60)

    def end(self) -> None:
        """End all services, the highest rank first, and the supervisor."""
        with contextlib.suppress(ServiceFailed):
            self._send({"do": "end"})
        self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def seen(self, name: str) -> Seen:
        """A copy of what is known now."""
        with self._changed:
            seen = self._seen.get(name, Seen())
            return dataclasses.replace(seen)

    def failure(self) -> ServiceFailed | None:
        """The first service that was given up, or the supervisor itself; None while all is well."""
        with self._changed:
            for name, seen in self._seen.items():
                if seen.failed:
                    return ServiceFailed(name, f"{name} {seen.reason} for the {seen.ends}. time and was given up")
            if self._gone:
                return ServiceFailed("supervisor", "the supervisor of the services was ended from outside")
        return None

    def refused(self) -> str | None:
        """The first service that said that it can't run; None if none did."""
        with self._changed:
            return next((name for name, seen in self._seen.items() if seen.refused), None)

    def wait(self, until: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for ``until`` (asked at each change and end of the supervisor) or ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._gone or until(), timeout_s)

    def _send(self, command: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise ServiceFailed("supervisor", "the supervisor of the services has ended")
        try:
            with self._sending:
                self._process.stdin.write(json.dumps(command).encode() + b"\n")
                self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise ServiceFailed("supervisor", "the supervisor of the services was ended from outside") from None

    def _listen(self) -> None:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                self._note(event)
                self._changed.notify_all()
            if event["event"] == "started":
                self._on_start(event["service"], Identity(event["pid"], event["start_ticks"], event["boot_id"]))
            elif event["event"] == "refused":
                self._on_refused(event["service"])
        with self._changed:
            self._gone = True
            self._changed.notify_all()

    def _note(self, event: dict[str, Any]) -> None:
        name = event.get("service", "")
        if event["event"] == "stopped":
            self._seen.pop(name, None)
            return
        seen = self._seen.setdefault(name, Seen()) if name else Seen()
        if event["event"] == "started":
            seen.process = Identity(event["pid"], event["start_ticks"], event["boot_id"])
        elif event["event"] in ("exited", "failed", "refused"):
            seen.process = None
            seen.ends += 1
            seen.reason = event["reason"]
            seen.failed, seen.refused = event["event"] == "failed", event["event"] == "refused"
