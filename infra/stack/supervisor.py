"""The supervisor: starts the services, starts them again when they die, and ends them when its owner is gone.

Run as ``python -I -S supervisor.py OWNER_PID`` and imports nothing of ours: a small single-threaded process, because
the death signal of its children belongs to the thread that made them and code between fork and exec is only safe
without other threads. Reads one JSON command a line on stdin, writes one JSON event a line to stdout:

    {"do": "start", "service": {...}}    started, then exited / failed / refused whenever that happens
    {"do": "stop", "name": ...}          stopped
    {"do": "end"}                        stops all, the highest rank first; ended

End of stdin and the death of the owner mean "end". Its children get a signal from the kernel should it be killed
itself. Field 22 of /proc/PID/stat with the boot id makes a recorded pid exact.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
STEADY_S = 10.0
FENCED_DELAY_S = 60.0
WINDOW_S = 60.0
KEPT_LOGS = 3
RECORD_AGAIN_S = 1.0

_libc = ctypes.CDLL(None, use_errno=True)


class Service:
    """One service: what to run, its process while it has one, and when to start it next."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.name: str = spec["name"]
        self.argv: list[str] = spec["argv"]
        self.env: dict[str, str] = spec["env"]
        self.cwd: str = spec["cwd"]
        self.uid: int | None = spec["uid"]
        self.stop_signal: int = spec["stop_signal"]
        self.stop_timeout_s: float = spec["stop_timeout_s"]
        self.log: str = spec["log"]
        self.log_bytes: int = spec["log_bytes"]
        self.record: str = spec["record"]
        self.most_ends: int = spec["most_ends"]
        self.fenced: int | None = spec["fenced"]
        self.refused: int | None = spec["refused"]
        self.rank: int = spec["rank"]
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.ends: list[float] = []
        self.quick_ends = 0
        self.start_at: float | None = None
        self.unrecorded: dict[str, Any] | None = None

    def start(self) -> dict[str, Any]:
        """Run it; returns its identity. Raises OSError if it cannot be run."""
        self.start_at = None
        self.started_at = time.monotonic()
        rotate(self.log, self.log_bytes)
        supervisor = os.getpid()
        stop_signal = self.stop_signal

        def tie_to_supervisor() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
            if os.getppid() != supervisor:
                os._exit(1)

        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            others: dict[str, Any] = {} if self.uid is None else {"user": self.uid, "group": self.uid}
            if self.uid is not None:
                others["extra_groups"] = []
            self.process = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                preexec_fn=tie_to_supervisor,
                **others,
            )
        identity = {"pid": self.process.pid, "start_ticks": start_ticks(self.process.pid), "boot_id": boot_id()}
        self.unrecorded = identity
        self.note()
        return identity

    def note(self) -> None:
        """Record its identity, if that is still to be done. A full disk keeps no service from running: tried again."""
        if self.process is not None and self.unrecorded is not None and write_record(self.record, self.unrecorded):
            self.unrecorded = None

    def signal(self, number: int) -> None:
        """Safe by pid: an unreaped child keeps its pid."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Supervisor:
    def __init__(self, owner_pid: int) -> None:
        self.services: dict[str, Service] = {}
        self.ending = False
        self.owner = os.pidfd_open(owner_pid)
        self.commands = b""
        self.poll = select.poll()
        self.poll.register(0, select.POLLIN)
        self.poll.register(self.owner, select.POLLIN)
        self.children, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.poll.register(self.children, select.POLLIN)
        os.set_blocking(1, False)

    def run(self) -> None:
        while not self.ending:
            self.wait(self.until_next_start())
            self.reap()
            self.start_due()
            for service in self.services.values():
                service.note()
        for service in sorted(self.services.values(), key=lambda service: service.rank, reverse=True):
            self.stop(service.name)
        self.end_orphans()
        self.tell(event="ended")

    def wait(self, timeout_s: float | None) -> None:
        """Until a command, a child's end, the owner's end, a signal or ``timeout_s``."""
        ready = {fd for fd, _ in self.poll.poll(None if timeout_s is None else max(0, int(timeout_s * 1000) + 1))}
        if self.children in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.children, 4096)
        if self.owner in ready:
            self.ending = True
        if 0 in ready and not self.ending:
            data = os.read(0, 65536)
            if not data:
                self.ending = True
            *lines, self.commands = (self.commands + data).split(b"\n")
            for line in lines:
                self.obey(json.loads(line))

    def obey(self, command: dict[str, Any]) -> None:
        if command["do"] == "start":
            service = Service(command["service"])
            self.services[service.name] = service
            self.start(service)
        elif command["do"] == "stop":
            self.stop(command["name"])
        else:
            self.ending = True

    def start(self, service: Service) -> None:
        try:
            identity = service.start()
        except (OSError, subprocess.SubprocessError) as error:
            self.failed(service, f"cannot be run: {error}")
            return
        self.tell(event="started", service=service.name, **identity)

    def failed(self, service: Service, reason: str, code: int = 1) -> None:
        """Start it again later, waiting longer each time it ended soon; give up after too many ends in WINDOW_S.

        One that was replaced waits a minute: two that replace each other would write nothing else. One that is refused
        is not started again: each attempt is refused too, and a wrong password may lock the account.
        """
        now = time.monotonic()
        if code == service.refused:
            self.tell(event="refused", service=service.name, reason=reason)
            return
        if code == service.fenced:
            service.start_at = now + FENCED_DELAY_S
            self.tell(event="exited", service=service.name, reason=reason, again_in_s=FENCED_DELAY_S)
            return
        service.ends = [*(end for end in service.ends if end > now - WINDOW_S), now]
        service.quick_ends = 0 if now - service.started_at > STEADY_S else service.quick_ends + 1
        if len(service.ends) > service.most_ends:
            self.tell(event="failed", service=service.name, reason=reason)
            return
        delay = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** max(0, service.quick_ends - 1))
        service.start_at = now + delay
        self.tell(event="exited", service=service.name, reason=reason, again_in_s=delay)

    def until_next_start(self) -> float | None:
        now = time.monotonic()
        due = [service.start_at - now for service in self.services.values() if service.start_at is not None]
        due += [RECORD_AGAIN_S for service in self.services.values() if service.process and service.unrecorded]
        return max(0.0, min(due)) if due else None

    def start_due(self) -> None:
        for service in self.services.values():
            if service.start_at is not None and service.start_at <= time.monotonic() and not self.ending:
                self.start(service)

    def reap(self) -> None:
        """Take the ends of all children; a service's own children don't outlive it."""
        for service, reason, code in self.collect():
            self.end_orphans()
            self.failed(service, reason, code)

    def collect(self) -> list[tuple[Service, str, int]]:
        by_pid = {service.process.pid: service for service in self.services.values() if service.process is not None}
        ended = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            service = by_pid.get(pid)
            if service is not None and service.process is not None:
                code = os.waitstatus_to_exitcode(status)
                service.process.returncode = code
                service.process = None
                reason = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                ended.append((service, reason, code))
        return ended

    def stop(self, name: str) -> None:
        service = self.services.pop(name, None)
        if service is None:
            return
        service.signal(service.stop_signal)
        if not self.gone(service, service.stop_timeout_s):
            service.signal(signal.SIGKILL)
            self.gone(service, 5.0)
        self.end_orphans()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(service.record)
        self.tell(event="stopped", service=name)

    def gone(self, service: Service, timeout_s: float) -> bool:
        """Whether it ended within ``timeout_s``; other services that end meanwhile are noted as usual."""
        deadline = time.monotonic() + timeout_s
        while service.process is not None:
            pid = service.process.pid
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    service.process.returncode = 0
                    service.process = None
                    return True
            except ChildProcessError:
                service.process = None
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def end_orphans(self) -> None:
        """Processes that services left behind have become our children: end them."""
        known = {service.process.pid for service in self.services.values() if service.process is not None}
        for _ in range(500):
            orphans = [pid for pid in own_children() if pid not in known]
            if not orphans:
                return
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)

    def tell(self, **event: Any) -> None:
        """An owner that doesn't listen loses events, never the services."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(1, json.dumps(event).encode() + b"\n")


def own_children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:
            return [int(pid) for pid in listing.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and parent(int(name)) == os.getpid()]


def parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def start_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def write_record(path: str, identity: dict[str, Any]) -> bool:
    """Whether the record is there now; without one it is still our child."""
    try:
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(identity, file)
        os.replace(path + ".new", path)
    except OSError:
        return False
    return True


def rotate(path: str, most_bytes: int) -> None:
    """Put a log that has grown aside as .1, .2, .3; the oldest is dropped."""
    with contextlib.suppress(OSError):
        if os.path.getsize(path) < most_bytes:
            return
        for number in range(KEPT_LOGS - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        os.replace(path, f"{path}.1")


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        supervisor = Supervisor(int(sys.argv[1]))
    except ProcessLookupError:
        return
    signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "ending", True))
    supervisor.run()


if __name__ == "__main__":
    main()
