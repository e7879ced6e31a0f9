"""Who a process is: pid, start time and boot, so that no other process with the same pid is ever taken for it."""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path
from typing import NamedTuple, Self

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Identity(NamedTuple):
    """One process for ever: ``start_ticks`` is field 22 of /proc/PID/stat, counted from boot."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this pid now; None if there is none or it has ended and waits to be reaped."""
        stat = _stat(pid)
        if stat is None or stat[0] in "ZX":
            return None
        return cls(pid, int(stat[19]), boot_id())

    @classmethod
    def own(cls) -> Self:
        """This process."""
        found = cls.of(os.getpid())
        if found is None:
            raise RuntimeError("/proc has no entry for this process")
        return found

    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to exactly this process; False if it is gone."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(pidfd)
        return True

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within ``timeout_s``."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            return bool(poll.poll(max(0.0, timeout_s) * 1000))
        finally:
            os.close(pidfd)


def end_all(processes: list[Identity], number: signal.Signals, timeout_s: float) -> None:
    """Ask all to end by ``number``, wait ``timeout_s`` for all together, then end the rest by SIGKILL."""
    deadline = time.monotonic() + timeout_s
    for process in processes:
        process.send(number)
    left = [process for process in processes if not process.wait(deadline - time.monotonic())]
    for process in left:
        process.send(signal.SIGKILL)
    for process in left:
        process.wait(5)


def boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state (field 3) on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
