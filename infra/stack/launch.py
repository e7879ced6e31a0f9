"""Starting each service: its storage, its port, its process, and the wait until it is ready."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from infra.clock import Stopwatch
from infra.errors import MissingPart, NotReady, ServiceFailed, TickledgerError
from infra.settings import Settings
from infra.stack import broker, ports, postgres
from infra.stack.addresses import record_address, recorded_port
from infra.stack.home import Home, write_json
from infra.stack.prepare import Parts
from infra.stack.process import Identity, end_all
from infra.stack.services import (
    FENCED,
    KAFKA,
    POSTGRES,
    REFUSED,
    Service,
    announce_for,
    child_env,
    is_ready,
    running,
)
from infra.stack.supervision import Run, Supervision

Progress = Callable[[str], None]
PORT_TRIES = 3
START_TRIES = 3
FULL_BYTES = 16 << 20


class Aborted(ServiceFailed):
    """A start that was given up because another one failed or this process was asked to end."""


def end_leftover(home: Home, service: str, progress: Progress) -> bool:
    """End what a killed run of this home left of ``service``, by recorded pid and start time; whether there was any.

    Only when nobody has the right to run it, or this process.
    """
    left = running(home, service)
    if left is not None:
        progress(f"{service}: ending process {left.pid}, left behind by a former run")
        end_all([left], signal.SIGINT if service == POSTGRES else signal.SIGTERM, 15)
    home.pid_file(service).unlink(missing_ok=True)
    home.ready_file(service).unlink(missing_ok=True)
    return left is not None


class Launcher:
    """Runs the services of one home under one supervisor. ``keep_fds``: locks that last as long as the supervisor.

    ``goes_on``: a program that says that it can't run is told of by ``progress`` and ``status``, and the others run on;
    else that is a failure.
    """

    def __init__(
        self, settings: Settings, parts: Parts, keep_fds: list[int], progress: Progress, *, goes_on: bool
    ) -> None:
        self._settings = settings
        self._home = Home(settings.home)
        self._parts = parts
        self._progress = progress
        self._goes_on = goes_on
        self._answers: dict[str, Callable[[Callable[[], bool]], bool]] = {}
        self._errors: dict[str, TickledgerError] = {}
        self._log_starts: dict[str, int] = {}
        self._aborted = threading.Event()
        self.supervision = Supervision(keep_fds, self._process_started, self._refused)

    def start_kafka(self) -> None:
        """The broker, ready for clients. Raises PortTaken, ServiceFailed, NotReady, HomeUnusable."""
        if self._parts.java is None:
            raise MissingPart("the embedded broker was asked for, but settings name a cluster")
        home, asked, kafka = self._home, self._settings.kafka.port, self._settings.kafka
        node = broker.Broker(self._parts.java, self._parts.jars, home.kafka, home.log, kafka.heap_mb, kafka.optimize)
        if not node.formatted:
            self._progress("kafka: making its storage")
            node.format(*self._parts.aot_options)

        def attempt(port: int) -> Run:
            node.write_config(port, ports.choose("", 0, 0, {port}))
            return Run(
                KAFKA,
                node.command(*self._parts.aot_options),
                node.env,
                node.folder,
                home.log_file(KAFKA),
                home.pid_file(KAFKA),
                stop_timeout_s=10,
                rank=1,
            )

        def answers(port: int) -> Callable[[Callable[[], bool]], bool]:
            address = f"{ports.ADDRESS}:{port}"
            return lambda gave_up: broker.wait_ready(
                address, self._settings.stack.start_timeout_s, gave_up, leading=True
            )

        self._start_server(KAFKA, "kafka.port", asked, attempt, answers)

    def start_postgres(self) -> None:
        """The database, ready for clients. Raises PortTaken, PasswordRefused, ServiceFailed, NotReady, HomeUnusable."""
        if self._parts.postgres is None:
            raise MissingPart("the embedded database was asked for, but settings name a server")
        home, asked = self._home, self._settings.postgres.port
        server = postgres.Server(self._parts.postgres, home, self._settings.postgres.max_connections)
        if not server.exists:
            self._progress("postgres: making the database")
            server.create()
        left = server.clean_up()
        if left:
            self._progress(f"postgres: ended {left} processes left behind by a former run")

        def attempt(port: int) -> Run:
            return Run(
                POSTGRES,
                server.command(port),
                server.env,
                server.data,
                home.log_file(POSTGRES),
                home.pid_file(POSTGRES),
                stop_signal=signal.SIGINT,
                stop_timeout_s=6,
                uid=server.uid,
            )

        def answers(port: int) -> Callable[[Callable[[], bool]], bool]:
            return lambda gave_up: postgres.wait_ready(server, port, self._settings.stack.start_timeout_s, gave_up)

        self._start_server(POSTGRES, "postgres.port", asked, attempt, answers)

    def start_program(self, service: Service, rank: int) -> None:
        """One of ours, ready by its own word. Raises ServiceFailed, NotReady."""
        name, home = service.name, self._home
        self._progress(f"{name}: starting")
        self._run(
            Run(
                name,
                service.command,
                {**child_env(self._settings), **service.env},
                Path.cwd(),
                home.log_file(name),
                home.pid_file(name),
                stop_timeout_s=service.stop_timeout_s,
                fenced=FENCED,
                refused=REFUSED,
                rank=rank,
            )
        )
        missing = [other for other in service.depends_on if self.supervision.seen(other).refused]
        if missing:
            self._progress(f"{name}: runs, but waits for {', '.join(missing)}")
            return
        self._wait(name, lambda: self.supervision.seen(name).ends >= START_TRIES)

    def end(self) -> None:
        """All of them, in order."""
        failure = self.failure()
        self.supervision.end()
        for service in reversed(list(self._log_starts)):
            end_leftover(self._home, service, self._progress)  # there is one only if the supervisor was killed
        if failure is not None and failure.service in self._log_starts:
            with suppress(TickledgerError):  # the disk may be what failed
                write_json(self._home.ready_file(failure.service), {"failed": str(failure)})

    def failure(self) -> ServiceFailed | None:
        """What was given up, or can't run, with what it said last; None while all is well."""
        failure = self.supervision.failure()
        if failure is not None:
            return ServiceFailed(failure.service, f"{failure}{self._last_words(failure.service)}")
        refused = None if self._goes_on else self.supervision.refused()
        return None if refused is None else ServiceFailed(refused, f"{refused} can't run: {self._reason(refused)}")

    def abort(self) -> None:
        """Every start that is waiting gives up."""
        self._aborted.set()

    def _start_server(
        self,
        name: str,
        setting: str,
        asked: int,
        attempt: Callable[[int], Run],
        answers: Callable[[int], Callable[[Callable[[], bool]], bool]],
    ) -> None:
        """Between choosing a free port and listening on it another program may take it: then try another one."""
        avoid: set[int] = set()
        while True:
            port = ports.choose(setting, asked, recorded_port(self._home, name), avoid)
            self._progress(f"{name}: starting on port {port}")
            self._errors.pop(name, None)
            self._answers[name] = answers(port)
            record_address(self._home, name, f"{ports.ADDRESS}:{port}")
            self._run(attempt(port))
            try:
                self._wait(name, lambda: self.supervision.seen(name).ends > 0)
                return
            except Aborted:
                raise
            except ServiceFailed:
                self.supervision.stop(name)
                if ports.free(port):
                    raise
                avoid.add(port)
                if asked:
                    raise ports.taken(setting, port) from None
                if len(avoid) >= PORT_TRIES:
                    raise

    def _run(self, run: Run) -> None:
        self._log_starts[run.name] = run.log.stat().st_size if run.log.exists() else 0
        self.supervision.start(run)

    def _wait(self, name: str, gave_up: Callable[[], bool]) -> None:
        watch = Stopwatch()
        while not is_ready(self._home, name):
            if self._aborted.is_set():
                raise Aborted(name, f"the start of {name} was given up")
            if name in self._errors:
                raise self._errors[name]
            if self.supervision.seen(name).refused:
                if self._goes_on:
                    return
                raise ServiceFailed(name, f"{name} can't run: {self._reason(name)}")
            if gave_up() or self.supervision.failure() is not None:
                seen = self.supervision.seen(name)
                raise ServiceFailed(name, f"{name} {seen.reason or 'did not start'}{self._last_words(name)}")
            if watch.seconds() > self._settings.stack.start_timeout_s:
                raise NotReady(
                    f"{name} was not ready within stack.start_timeout_s = {self._settings.stack.start_timeout_s:g} s: "
                    f"see {self._home.log_file(name)}, or raise that setting{self._last_words(name)}"
                )
            self.supervision.wait(gave_up, 0.02)
        self._progress(f"{name}: ready after {watch.seconds():.1f} s")

    def _process_started(self, name: str, process: Identity) -> None:
        """At the first start and after each restart: look whether the server answers, and say so."""
        if name in self._answers:
            threading.Thread(target=self._announce, args=(name, process), name=f"{name} ready?", daemon=True).start()

    def _refused(self, name: str) -> None:
        """Says why a program can't run, here and where ``status`` finds it."""
        reason = self._reason(name)
        with suppress(TickledgerError):  # it is said all the same
            write_json(self._home.ready_file(name), {"refused": reason})
        if self._goes_on:
            self._progress(
                f"{name}: can't run: {reason}; it isn't started again, the others go on: mend that, then `tickledger "
                "down` and start anew"
            )

    def _announce(self, name: str, process: Identity) -> None:
        def gave_up() -> bool:
            return self._aborted.is_set() or not process.alive()

        try:
            # However long it takes: who waits for it has a patience of their own.
            while not gave_up():
                if self._answers[name](gave_up):
                    announce_for(self._home, name, process, ready=True)
                    return
        except TickledgerError as error:
            self._errors[name] = error

    def _last_words(self, name: str) -> str:
        """What the service logged last since its start, and whether its disk is full."""
        if shutil.disk_usage(self._home.root).free < FULL_BYTES:
            return f"; the disk of {self._home.root} is full: free some space and start again"
        file, lines = self._home.log_file(name), self._said(name)
        telling = [line for line in lines if any(word in line for word in ("ERROR", "FATAL", "Error", "error"))]
        said = (telling or lines)[-2:]
        return f"; it said: {' | '.join(line.strip()[:300] for line in said)} ({file})" if said else f"; see {file}"

    def _reason(self, name: str) -> str:
        """Why a program of ours ended, by the last line of its log that has a reason."""
        for line in reversed(self._said(name)):
            with suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict) and "reason" in said:
                    return str(said["reason"])
        return f"{self.supervision.seen(name).reason}{self._last_words(name)}"

    def _said(self, name: str) -> list[str]:
        """The lines of its log since this launcher started it."""
        file = self._home.log_file(name)
        try:
            with file.open("rb") as log:
                start = self._log_starts.get(name, 0)
                # One that has grown is put aside when the service is started again.
                log.seek(start if start <= file.stat().st_size else 0)
                return log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return []
