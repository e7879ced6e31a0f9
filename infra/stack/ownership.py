"""Who runs a service of a home and who uses it: locks of the system, so that a process that dies gives them up.

``<service>.lock`` is held by the process that started the service and by its supervisor, hence until the service has
ended. It says who that is. ``<service>.users`` is held, shared, by everyone who uses what another process started;
a command that started something only for itself ends it when nobody else uses it any more.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from infra.clock import Stopwatch
from infra.errors import HomeBusy, ServiceFailed, home_unusable
from infra.stack.home import Home, Lock, read_json
from infra.stack.process import Identity
from infra.stack.services import identity, is_ready, refusal

PATIENCE_S = 60.0
NOTE_BYTES = 512
PROBE_S = 0.5  # a look at a lock holds it for a moment
Progress = Callable[[str], None]
State = Literal["starting", "started", "stopping"]


class Owned:
    """A service that this process runs."""

    def __init__(self, home: Home, service: str, lock: Lock) -> None:
        self.service = service
        self.lock = lock
        self._users = Lock(home.run / f"{service}.users")

    def note(self, state: State) -> None:
        """Say in the lock file who runs the service, for those who find it locked."""
        owner = {**Identity.own()._asdict(), "command": _command(), "state": state}
        try:
            # over the note before, never without one: who finds none takes the owner for gone
            os.pwrite(self.lock.fd, json.dumps(owner).encode().ljust(NOTE_BYTES), 0)
        except OSError as error:
            raise home_unusable(self.lock.path, error) from None

    def wait_unused(self, progress: Progress) -> None:
        """Until no other process uses it; from then on nobody can begin to."""
        if not self._users.take():
            progress(f"another command still uses {self.service} of this home: it is ended after that (Ctrl-C: now)")
            self._users.take(wait=True)

    def release(self) -> None:
        self._users.release()
        with suppress(OSError):
            os.ftruncate(self.lock.fd, 0)
        self.lock.release()


class Used:
    """A service that another process runs for us too."""

    def __init__(self, home: Home, service: str, users: Lock) -> None:
        self.service = service
        self._home = home
        self._users = users

    def failure(self) -> ServiceFailed | None:
        """Why it can't be used any more; None as long as somebody runs it."""
        refused = refusal(self._home, self.service)
        if refused is not None:
            return ServiceFailed(self.service, f"{self.service} of {self._home.root} can't run: {refused}")
        if _runs_on(self._home, self.service):
            return None
        reason = (read_json(self._home.ready_file(self.service)) or {}).get("failed")
        return ServiceFailed(
            self.service,
            f"{self.service} of {self._home.root} was ended by the command that ran it"
            + (f": {reason}" if reason else "; run this one again, it starts what it needs"),
        )

    def release(self) -> None:
        self._users.release()


def own(home: Home, service: str) -> Owned | None:
    """The right to run ``service``; None if another process has it."""
    lock = Lock(home.run / f"{service}.lock")
    if not lock.take():
        return None
    if refusal(home, service) is not None:
        # A former run's: it is tried anew.
        home.ready_file(service).unlink(missing_ok=True)
    owned = Owned(home, service, lock)
    owned.note("starting")
    return owned


def own_or_refuse(home: Home, service: str, progress: Progress) -> Owned:
    """The right to run ``service``, waiting for a former owner that is ending. Raises HomeBusy."""
    watch = Stopwatch()
    said = False
    while True:
        owned = own(home, service)
        if owned is not None:
            return owned
        is_ending = ending(home, service)
        if watch.seconds() > (PATIENCE_S if is_ending else PROBE_S):
            raise HomeBusy(_busy(home, service))
        if is_ending and not said:
            progress(f"waiting for the former {service} of this home to end")
            said = True
        time.sleep(0.05)


def own_or_use(home: Home, service: str, progress: Progress) -> Owned | Used:
    """The right to run ``service``, or a share in the one that another process runs. Raises HomeBusy."""
    watch = Stopwatch()
    said = False
    while watch.seconds() < PATIENCE_S:
        owned = own(home, service)
        if owned is not None:
            return owned
        users = Lock(home.run / f"{service}.users")
        if _runs_on(home, service) and users.take(shared=True):
            if _runs_on(home, service) and locked(home, service):
                return Used(home, service, users)
            users.release()
        if ending(home, service) and not said:
            progress(f"waiting for the former {service} of this home to end")
            said = True
        time.sleep(0.05)
    raise HomeBusy(_busy(home, service))


def wait_started(home: Home, service: str) -> bool:
    """Whether who runs ``service`` has started all that it starts; False if it ended before, or the program can't."""
    while _runs_on(home, service) and locked(home, service) and refusal(home, service) is None:
        record = read_json(home.run / f"{service}.lock") or {}
        if record.get("state") == "started" and is_ready(home, service):
            return True
        time.sleep(0.02)
    return False


def owner(home: Home, service: str) -> Identity | None:
    """The process that runs ``service`` by its lock file, alive or not; None if nobody does."""
    return identity(read_json(home.run / f"{service}.lock"))


def locked(home: Home, service: str) -> bool:
    """Whether a process or its supervisor holds the right to run ``service`` now."""
    return not Lock(home.run / f"{service}.lock").free()


def ending(home: Home, service: str) -> bool:
    """Whether who runs it is about to end it: said so, or is gone and its supervisor ends the rest."""
    record = read_json(home.run / f"{service}.lock")
    process = identity(record)
    if record is None or process is None:
        return False
    return record.get("state") == "stopping" or not process.alive()


def _runs_on(home: Home, service: str) -> bool:
    """Whether somebody has noted that it runs it, and is not ending."""
    return owner(home, service) is not None and not ending(home, service)


def _busy(home: Home, service: str) -> str:
    record = read_json(home.run / f"{service}.lock") or {}
    return (
        f"{home.root} is in use: {service} is run by `{record.get('command', '?')}`, process {record.get('pid', '?')}. "
        "Use what runs there, end it by `tickledger down`, or choose another home with TICKLEDGER_HOME or --home"
    )


def _command() -> str:
    """This command as it was called, without what could be secret in its arguments."""
    return " ".join([os.path.basename(sys.argv[0] or "python"), *sys.argv[1:2]])
