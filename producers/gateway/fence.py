"""The fence at the terminal: one gateway, or one direct flattening, at a time for a terminal's account.

An OS lock on a file, which ends with its process however that ends, and which a stopped process still holds. The file
says who holds it, and the holder beats in it: who finds the lock held and the beat silent ends the holder (exactly that
process, by its start), takes the lock and waits the settle time, for what the holder had on its way. A holder that
still beats is left alone: then it is the newcomer that ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from infra.chain_follower import Fenced
from infra.errors import Refused, home_unusable
from infra.stack.home import Lock
from infra.stack.process import Identity

SILENT_S: Final = 3.0
"""A holder that hasn't beaten for so long, by time in which the newcomer ran, counts as stopped."""
_END_S: Final = 5.0
_BEAT_BYTES: Final = 8
_BEAT_S: Final = 0.25
_LOOK_S: Final = 0.05
_COUNTS_S: Final = 0.25
"""So much at most counts of the time between two looks: a machine that stands keeps the holder from beating too."""


def fence_path(folder: Path, terminal: str, server: str, login: int) -> Path:
    """The lock's file in `folder` for an account of a terminal: the broker's account, whatever we call it."""
    name = hashlib.sha256(f"{terminal}\n{server}\n{login}".encode()).hexdigest()[:16]
    return folder / f"gateway-{name}.lock"


class Fence:
    """The lock of one terminal's account. `take` it, `beat` at least every second, `release` it."""

    def __init__(self, path: Path, role: str) -> None:
        """`role`: what the holder is, for whoever finds it held."""
        self.path, self.role = path, role
        self._lock = Lock(path)
        self._beats = 0

    def take(self, *, now: bool = False) -> bool:
        """Takes the lock; whether another process had to be ended for it, after which the caller waits to settle.

        A holder whose beat stands still is ended; with `now`, any holder is. Raises Fenced if the holder is at work,
        Refused if it can't be ended, HomeUnusable if the file can't be used.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise home_unusable(self.path.parent, error) from None
        ended = False
        looked_s, silent_s, seen = time.monotonic(), 0.0, self._read()[0]
        while not self._lock.take():
            beats, holder = self._read()
            if beats != seen and not now:
                raise Fenced(f"{self._named(holder)} is at work on this account at this terminal: stop it first")
            before_s, looked_s = looked_s, time.monotonic()
            silent_s += min(looked_s - before_s, _COUNTS_S)
            if now or silent_s > SILENT_S:
                self._end(holder)
                ended = True
                silent_s = 0.0
            time.sleep(_LOOK_S)
        self._sign()
        return ended

    def beat(self) -> None:
        """Shows that this holder is at work."""
        self._beats += 1
        os.pwrite(self._lock.fd, self._beats.to_bytes(_BEAT_BYTES, "little"), 0)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Beats by a thread, for a holder whose calls may take longer than a beat; a stopped process doesn't beat."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(_BEAT_S):
                self.beat()

        thread = threading.Thread(target=beat, name="fence", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def release(self) -> None:
        """Gives the lock up."""
        self._lock.release()

    def _sign(self) -> None:
        text = json.dumps({"role": self.role, **Identity.own()._asdict()}).encode()
        os.ftruncate(self._lock.fd, 0)
        os.pwrite(self._lock.fd, bytes(_BEAT_BYTES) + text, 0)
        self._beats = 0

    def _read(self) -> tuple[bytes, dict[str, Any]]:
        """The beat and the holder as the file has them now."""
        try:
            data = self.path.read_bytes()
            holder = json.loads(data[_BEAT_BYTES:] or b"{}")
        except FileNotFoundError:
            return b"", {}
        except OSError as error:
            raise home_unusable(self.path, error) from None
        except ValueError:
            return b"", {}
        return data[:_BEAT_BYTES], holder if isinstance(holder, dict) else {}

    def _end(self, holder: dict[str, Any]) -> None:
        """Ends the process that the file names, and no other."""
        try:
            process = Identity(int(holder["pid"]), int(holder["start_ticks"]), str(holder["boot_id"]))
        except (KeyError, TypeError, ValueError):
            process = None
        if process is None or not process.alive():
            # Between two holders the file names the one before; the lock shows in a moment who is next.
            return
        process.send(signal.SIGKILL)
        if not process.wait(_END_S):
            raise Refused(f"{self._named(holder)} holds {self.path} and doesn't end: end it, then start again")

    def _named(self, holder: dict[str, Any]) -> str:
        return f"the {holder.get('role', 'process')} with pid {holder.get('pid', 'unknown')}"
