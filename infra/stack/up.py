"""`tickledger up` and `down`: keep a stack running until a signal, and end it from outside."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from infra.clock import Stopwatch
from infra.errors import NotReady
from infra.settings import Settings
from infra.stack import ownership
from infra.stack.home import Home
from infra.stack.launch import end_leftover
from infra.stack.process import Identity
from infra.stack.services import EVERY_PROGRAM, KAFKA, POSTGRES, Service, names_of, programs_of
from infra.stack.stack import Progress, Running, run_alone

END_PATIENCE_S = 45.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked(BaseException):
    """A signal has asked this process to end; raised in the main thread, at most once."""


@contextmanager
def until_asked() -> Iterator[None]:
    """The block ends, in order and without an error, at SIGINT, SIGTERM or SIGHUP; a second signal changes nothing."""

    def ask(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Asked

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield
    except Asked:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def up(
    settings: Settings,
    on_start: Callable[[Running], None] | None = None,
    on_ready: Callable[[Running], None] = lambda running: None,
    progress: Progress = lambda _: None,
    programs: Sequence[Service] | None = None,
) -> None:
    """Start all services and supervise them in the foreground until a signal; ends them in order.

    `programs`: default those that the settings ask for.

    ``on_ready`` is called once when all are ready. Raises HomeBusy (another process runs this home), ServiceFailed
    (a service died again and again: which and why), and what a start can raise.
    """
    programs = programs_of(settings) if programs is None else programs
    with until_asked(), run_alone(settings, names_of(programs), on_start, progress, programs) as running:
        on_ready(running)
        while True:
            running.check()
            time.sleep(0.1)


def down(settings: Settings, progress: Progress = lambda _: None, programs: Sequence[Service] = EVERY_PROGRAM) -> bool:
    """End what runs on this home, whoever started it, and wait until it has ended; whether something ran.

    Raises NotReady if it doesn't end in time.
    """
    home = Home(settings.home)
    if not home.run.is_dir():
        return False
    names = (*(program.name for program in reversed(programs)), KAFKA, POSTGRES)
    found = False
    asked: set[Identity] = set()
    watch = Stopwatch()
    while busy := [name for name in names if ownership.locked(home, name)]:
        found = True
        for owner in {ownership.owner(home, name) for name in busy} - asked - {None}:
            if owner is not None and owner.send(signal.SIGTERM):
                progress(f"ending process {owner.pid}, which runs {', '.join(busy)}")
                asked.add(owner)
        if watch.seconds() > END_PATIENCE_S:
            raise NotReady(
                f"{', '.join(busy)} of {home.root} did not end within {END_PATIENCE_S:.0f} s: see {home.log}, then end "
                f"process {', '.join(str(owner.pid) for owner in asked) or '?'} by `kill -9`; what it runs ends with it"
            )
        time.sleep(0.05)
    for name in names:
        found |= end_leftover(home, name, progress)
    return found
