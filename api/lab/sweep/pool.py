"""The processes of a sweep. Where the system can copy a process, they share what it has read; else each reads it."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from api.lab.command import Asked
from api.lab.sweep.outcome import Row
from api.lab.sweep.prepared import Prepared, Task, prepare
from api.progress_line import ProgressLine
from infra.errors import ServiceFailed, SettingsError

COPIES: Final = sys.platform == "linux"
"""Whether the system can copy a process: that is not safe on macOS, and not there on Windows."""
_YOUNG: Final = 50_000
"""Objects that a process makes before it looks for cycles among them: nearly all of a set's die by themselves."""
_CHUNK: Final = 8
"""Most sets that a process is handed at once: what is lost at worst when it is stopped."""

Done = Callable[[Sequence[Row]], None]


class Inputs(NamedTuple):
    """From what a process of its own reads everything again."""

    asked: Asked
    home: Path | None
    config: Path | None


class Pool:
    """Runs sets on `jobs` processes; with one job, in this process. A context manager.

    `fork`: whether processes are copies of this one, None where the system's best way is taken.
    """

    def __init__(self, prepared: Prepared, inputs: Inputs, jobs: int, fork: bool | None = None) -> None:
        self._prepared, self._inputs, self._jobs = prepared, inputs, jobs
        self._fork = COPIES if fork is None else fork
        self._workers: dict[Connection, Any] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection, process in self._workers.items():
            connection.close()
            if kind is not None:
                process.terminate()
        for process in self._workers.values():
            process.join()
        self._workers.clear()

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        """Runs them all; `done` gets the rows as they come. Raises ServiceFailed where a process ended."""
        if self._jobs == 1 or len(tasks) == 1:
            for task in tasks:
                done([self._prepared.row(task)])
            return
        if not self._workers:
            self._start(min(self._jobs, len(tasks)))
        waiting = deque(tasks)
        busy: list[Connection] = []
        for connection in self._workers:
            if waiting:
                connection.send(self._next(waiting))
                busy.append(connection)
        while busy:
            for connection in _ready(busy):
                rows = self._receive(connection)
                if waiting:
                    connection.send(self._next(waiting))
                else:
                    busy.remove(connection)
                done(rows)

    def _next(self, waiting: deque[Task]) -> list[Task]:
        """The next sets for a process: fewer towards the end, so that all processes end at about the same time."""
        size = max(1, min(_CHUNK, len(waiting) // (2 * len(self._workers))))
        return [waiting.popleft() for _ in range(size)]

    def _receive(self, connection: Connection) -> list[Row]:
        try:
            found = connection.recv()
        except (EOFError, OSError):
            process = self._workers[connection]
            process.join(1.0)
            raise ServiceFailed(
                "sweep",
                f"a process of the sweep ended with code {process.exitcode}, perhaps for want of memory: what is "
                "finished is kept, and --resume goes on, with fewer --jobs",
            ) from None
        rows: list[Row] = found
        return rows

    def _start(self, count: int) -> None:
        how: Any = multiprocessing.get_context("fork" if self._fork else "spawn")
        gc.freeze()
        for _ in range(count):
            ours, theirs = how.Pipe()
            if self._fork:
                process = how.Process(target=_copy, args=(theirs, [*self._workers, ours], self._prepared), daemon=True)
            else:
                process = how.Process(target=_reader, args=(theirs, self._inputs), daemon=True)
            with starting():
                process.start()
            theirs.close()
            self._workers[ours] = process


@contextmanager
def starting() -> Iterator[None]:
    """Processes of a sweep start here. Ctrl-C reaches all processes of a terminal: they leave it to this one."""
    with warnings.catch_warnings(), _deaf():
        # The copies use none of the threads that this process has.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def _deaf() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _ready(busy: Sequence[Connection]) -> list[Connection]:
    return [connection for connection in wait(busy) if isinstance(connection, Connection)]


def cores() -> int:
    """How many processes can run at once."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def check_jobs(jobs: int | None) -> int:
    """The number of processes. Raises SettingsError."""
    if jobs is None:
        return cores()
    if not 1 <= jobs <= 1024:
        raise SettingsError(f"--jobs {jobs}: from 1 to 1024 processes")
    return jobs


def _copy(connection: Connection, inherited: Sequence[Connection], prepared: Prepared) -> None:
    for other in inherited:
        other.close()
    _work(connection, prepared)


def _reader(connection: Connection, inputs: Inputs) -> None:
    with ExitStack() as kept:
        _work(connection, prepare(inputs.asked, _Silent(), inputs.home, inputs.config, kept))


class _Silent(ProgressLine):
    def show(self, text: str, *, last: bool = False) -> None:
        """Nothing: the first process tells the progress."""


def _work(connection: Connection, prepared: Prepared) -> None:
    gc.set_threshold(_YOUNG)
    while True:
        try:
            tasks = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send([prepared.row(task) for task in tasks])
        except (KeyboardInterrupt, OSError):
            # A run hears Ctrl-C by itself; it is the first process that tells of it.
            return
