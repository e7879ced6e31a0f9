"""The stack of a home while a command needs it: start what is missing, use what is there, end what was started."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from infra.errors import NotReady, ServiceFailed, TickledgerError, Unreachable
from infra.settings import Settings
from infra.stack import broker, ownership
from infra.stack.addresses import kafka_address, postgres_dsn, shown_postgres
from infra.stack.home import Home, Lock
from infra.stack.launch import Launcher, end_leftover
from infra.stack.ownership import Owned, Used
from infra.stack.prepare import prepare
from infra.stack.services import ALL, KAFKA, POSTGRES, PROGRAMS, Service

Progress = Callable[[str], None]
EXTERNAL_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Running:
    """A stack that runs: where it listens, and which of its services this process started."""

    home: Path
    kafka: str
    postgres_dsn: str = field(repr=False)
    started: tuple[str, ...]
    _failure: Callable[[], TickledgerError | None] = field(repr=False, default=lambda: None)

    def check(self) -> None:
        """Raises ServiceFailed if a service was given up, can't run, or was ended by who ran it; call it in every wait.

        One that can't run doesn't count where the others go on without it (``run_alone``).
        """
        failure = self._failure()
        if failure is not None:
            raise failure


@contextmanager
def attach_or_start(
    settings: Settings,
    services: Collection[str] = ALL,
    on_start: Callable[[Running], None] | None = None,
    progress: Progress = lambda _: None,
    programs: Sequence[Service] = PROGRAMS,
) -> Iterator[Running]:
    """Those of ``services`` that don't run are started, and ended at the end; the others are used as they run.

    ``on_start`` is called once, with broker and database ready and before the first program starts, whenever this
    process starts something: it makes the topics and writes what must come before any other writer. Two commands at
    once: one starts, the other waits and attaches. Servers that settings name are only looked at, never started.
    Raises Unreachable (a server that settings name), HomeBusy, PortTaken, ServiceFailed, NotReady, MissingPart ...
    """
    session = _Session(settings, frozenset(services), programs, progress)
    with session.running(exclusive=False, on_start=on_start) as running:
        yield running


@contextmanager
def run_alone(
    settings: Settings,
    services: Collection[str] = ALL,
    on_start: Callable[[Running], None] | None = None,
    progress: Progress = lambda _: None,
    programs: Sequence[Service] = PROGRAMS,
) -> Iterator[Running]:
    """As ``attach_or_start``, but refuses (HomeBusy) a home of which another process runs a service already.

    Goes on without a program that says that it can't run: ``progress`` and ``status`` say which and why.
    """
    session = _Session(settings, frozenset(services), programs, progress)
    with session.running(exclusive=True, on_start=on_start) as running:
        yield running


def external(settings: Settings) -> frozenset[str]:
    """The services that settings name servers for."""
    named = {KAFKA: bool(settings.kafka.bootstrap_servers), POSTGRES: bool(settings.postgres.dsn.get_secret_value())}
    return frozenset(name for name, is_external in named.items() if is_external)


def check_external(settings: Settings, services: Collection[str], patience_s: float = EXTERNAL_PATIENCE_S) -> None:
    """Raises Unreachable if a server that settings name does not answer."""
    named = external(settings) & set(services)
    if KAFKA in named and not broker.wait_ready(settings.kafka.bootstrap_servers, patience_s):
        raise Unreachable(
            f"no Kafka broker answers at kafka.bootstrap_servers = {settings.kafka.bootstrap_servers}: correct that "
            "setting, start the cluster, or unset it to use the embedded broker"
        )
    if POSTGRES in named:
        import psycopg

        try:
            psycopg.connect(postgres_dsn(settings), connect_timeout=max(2, int(patience_s))).close()
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise Unreachable(
                f"no connection to postgres.dsn (at {shown_postgres(settings)}): {reason}: correct that setting, start "
                "the server, or unset it to use the embedded one"
            ) from None


def _at_once(starts: list[Callable[[], None]], abort: Callable[[], None]) -> None:
    """All of ``starts`` beside each other; when one fails, or this process is asked to end, ``abort`` ends the rest."""
    with ThreadPoolExecutor(max(1, len(starts)), thread_name_prefix="start") as pool:
        try:
            for future in as_completed([pool.submit(start) for start in starts]):
                future.result()
        except BaseException:
            abort()
            raise


def _failure(launcher: Launcher | None, used: Sequence[Used]) -> TickledgerError | None:
    """What of our own was given up, or what somebody else ran for us and ended."""
    own = launcher.failure() if launcher is not None else None
    return own or next((lost for share in used if (lost := share.failure()) is not None), None)


def _one_at_a_time(progress: Progress) -> Progress:
    """Broker and database start in two threads; who prints their lines needn't know."""
    lock = threading.Lock()

    def locked(line: str) -> None:
        with lock:
            progress(line)

    return locked


class _Session:
    """One use of a home by this process."""

    def __init__(
        self, settings: Settings, services: frozenset[str], programs: Sequence[Service], progress: Progress
    ) -> None:
        self._settings = settings
        self._home = Home(settings.home)
        self._programs = [program for program in programs if program.name in services]
        unknown = services - {KAFKA, POSTGRES} - {program.name for program in programs}
        if unknown:
            raise ValueError(f"no such services: {', '.join(sorted(unknown))}")
        local = services - external(settings)
        self._order = [name for name in (POSTGRES, KAFKA, *(p.name for p in self._programs)) if name in local]
        self._services = services
        self._progress = _one_at_a_time(progress)

    @contextmanager
    def running(self, *, exclusive: bool, on_start: Callable[[Running], None] | None) -> Iterator[Running]:
        self._home.create()
        check_external(self._settings, self._services)
        held: list[Owned | Used] = []
        launcher: Launcher | None = None
        wait_for_users = False
        try:
            self._take(held, exclusive)
            owned = [holding for holding in held if isinstance(holding, Owned)]
            used = [holding for holding in held if isinstance(holding, Used)]
            if owned:
                parts = prepare(self._settings, self._progress)
                locks = [holding.lock.fd for holding in owned]
                launcher = Launcher(self._settings, parts, locks, self._progress, goes_on=exclusive)
            for share in used:
                if not ownership.wait_started(self._home, share.service):
                    raise NotReady(f"the process that ran {share.service} of {self._home.root} ended: try again")
            failing = partial(_failure, launcher, used)
            running = self._start(launcher, [holding.service for holding in owned], failing, on_start)
            for holding in owned:
                holding.note("started")
            wait_for_users = not exclusive
            yield running
        except BaseException as error:
            # Ctrl-C ends what we run even if somebody else uses it; a mere error of ours is no reason to
            wait_for_users &= isinstance(error, (Exception, SystemExit, GeneratorExit))
            failure = _failure(launcher, [holding for holding in held if isinstance(holding, Used)])
            if failure is not None and isinstance(error, Exception) and not isinstance(error, ServiceFailed):
                raise failure from error
            raise
        finally:
            self._end(launcher, held, wait_for_users=wait_for_users)

    def _take(self, held: list[Owned | Used], exclusive: bool) -> None:
        """Own or use each service; one process at a time, so that one of two that start together owns all."""
        take = ownership.own_or_refuse if exclusive else ownership.own_or_use
        with Lock(self._home.run / "starting.lock").held():
            for name in self._order:
                held.append(take(self._home, name, self._progress))

    def _start(
        self,
        launcher: Launcher | None,
        names: list[str],
        failure: Callable[[], TickledgerError | None],
        on_start: Callable[[Running], None] | None,
    ) -> Running:
        if launcher is None:
            return self._describe((), failure)
        for name in names:
            end_leftover(self._home, name, self._progress)
        starters: dict[str, Callable[[], None]] = {POSTGRES: launcher.start_postgres, KAFKA: launcher.start_kafka}
        _at_once([starters[name] for name in names if name in starters], launcher.abort)
        running = self._describe(tuple(names), failure)
        if on_start is not None:
            on_start(running)
        waiting = [program for program in self._programs if program.name in names]
        rank = 2  # above broker and database: what depends on others is ended before them
        while waiting:
            left = {program.name for program in waiting}
            wave = [program for program in waiting if not left & set(program.depends_on)] or waiting
            _at_once(
                [partial(launcher.start_program, program, rank + place) for place, program in enumerate(wave)],
                launcher.abort,
            )
            rank += len(wave)
            waiting = [program for program in waiting if program not in wave]
        return running

    def _describe(self, started: tuple[str, ...], failure: Callable[[], TickledgerError | None]) -> Running:
        kafka = kafka_address(self._settings) if KAFKA in self._services else ""
        dsn = postgres_dsn(self._settings) if POSTGRES in self._services else ""
        return Running(self._home.root, kafka, dsn, started, failure)

    def _end(self, launcher: Launcher | None, held: list[Owned | Used], *, wait_for_users: bool) -> None:
        owned = [holding for holding in held if isinstance(holding, Owned)]
        try:
            for holding in reversed(owned):
                if wait_for_users:
                    holding.wait_unused(self._progress)
        finally:
            for holding in owned:
                with suppress(TickledgerError):  # a full disk must not keep anything from ending
                    holding.note("stopping")
            if launcher is not None:
                self._progress("ending what was started")
                launcher.end()
            for taken in reversed(held):
                taken.release()
