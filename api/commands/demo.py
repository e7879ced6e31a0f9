"""`tickledger demo`: a recorded day of two feeds through the whole stack, in front of your eyes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from api.demo import next_steps, screen
from api.demo.agreement import findings
from api.demo.database import DatabaseWatch
from api.demo.importing import Importing
from api.demo.sample_files import counted_files
from api.demo.stages import Stages
from api.demo.topics import TopicReader
from api.start import ConfigOption, HomeOption, running_stack, settings_of
from infra.clock import Stopwatch
from infra.keys import load_or_create
from infra.settings import Settings
from infra.stack.addresses import shown_postgres
from infra.stack.services import ALL
from infra.stack.stack import Running
from infra.stack.up import until_asked
from producers.judge import Judge
from projections.database import connect
from projections.derived import wait_until_derived
from streams.verify import Range, Report, Verification

INTERRUPTED: Final = 130


def demo(
    *,
    once: Annotated[
        bool, Parameter(negative="", help="Verify when all has arrived, hold the stages' counts together, and end.")
    ] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> int:
    """Play 6 May 2014 of EURUSD, of two feeds, through broker, worker and database, and watch each stage.

    Stays up until Ctrl-C. With --once: exit 0 if each stage's counts agree with the stage before it and nothing
    differs from what is derived again, 1 if not, 2 if it could not run.
    """
    settings = settings_of(home, config, "demo")
    code: int | None = None
    with until_asked(), running_stack(settings, frozenset(ALL)) as running:
        played = _Demo(settings, running, screen.new_console())
        played.play(once=once)
        if once:
            code = played.code
        else:
            played.say_what_next(config)
            _stay(running)
    if code is None:
        return INTERRUPTED if once else 0
    return code


def _stay(running: Running) -> None:
    """Until a signal. Raises ServiceFailed."""
    while True:
        running.check()
        time.sleep(0.1)


class _Demo:
    """One demo on a stack that runs."""

    def __init__(self, settings: Settings, running: Running, console: Console) -> None:
        self.code = 1
        self._settings, self._running, self._console = settings, running, console
        self._keys = load_or_create(settings)
        self._watch = Stopwatch()
        self._importing = Importing(counted_files())
        self._listings = [file.sample.listing for file in self._importing.files]
        self._stages = Stages(self._listings)
        self._waiting = ""
        self._reader = TopicReader(running.kafka, self._keys)
        self._database = DatabaseWatch(running.postgres_dsn, running.kafka, self._listings)

    def play(self, *, once: bool) -> None:
        """Imports the day and waits until all of it has arrived; with `once`, holds the stages together then."""
        with self._reader, self._database:
            # What was there before counts for nobody's pace.
            self._reader.read_to_end()
            self._view()
            with screen.shown(self._console, self._view):
                self._importing.play(self._running, self._keys)
                for result in self._importing.results:
                    self._waiting = f"waiting for worker and database: {result.listing}"
                    wait_until_derived(
                        self._running.kafka,
                        self._keys,
                        self._running.postgres_dsn,
                        result.listing,
                        result.n,
                        check=self._check,
                    )
                self._reader.read_to_end()
                self._database.refresh()
            self._waiting = "all has arrived" if self._importing.new else "nothing new: this home has the day already"
            self._console.print(screen.tables(self._view(), self._console.width))
            if once:
                self._hold_together()

    def say_what_next(self, config: Path | None) -> None:
        """Commands to copy, and where everything listens."""
        with connect(self._running.postgres_dsn, "tickledger demo") as connection:
            signal = next_steps.a_signal(connection, self._listings[0])
        self._console.print(Text("ask it, in another terminal:", "bold"))
        for command in next_steps.lines_to_copy(self._settings, config, signal):
            self._console.print(f"  {command}", soft_wrap=True, markup=False)
        self._console.print(
            f"Kafka {self._running.kafka}   PostgreSQL {shown_postgres(self._settings)}   home {self._settings.home}",
            soft_wrap=True,
            markup=False,
        )
        self._console.print("Ctrl-C ends everything; what is stored stays", style="bold")

    def _hold_together(self) -> None:
        report = self._verify()
        topics, database = self._reader.read_to_end(), self._database.look()
        found = findings(self._importing, topics, database, report)
        self._console.print(screen.findings_table(found))
        wrong = [finding for finding in found if finding.problems]
        self.code = 1 if wrong else 0
        if wrong:
            self._console.print(f"these stages disagree: {', '.join(f.stage for f in wrong)}", style="bold red")
        else:
            self._console.print("all stages agree, and nothing differs from what was derived again", style="bold green")

    def _verify(self) -> Report:
        def show(where: str, report: Report) -> None:
            self._check()
            if self._console.is_terminal:
                status.update(f"verify: {where}, {report.ticks:,} ticks, {report.bars:,} bars so far")

        with self._console.status("verify") as status:
            return Verification(self._running.kafka, self._keys, Judge, Range(), show).run()

    def _check(self) -> None:
        self._running.check()
        self._reader.check()

    def _view(self) -> screen.View:
        topics, now_s = self._reader.seen(), self._watch.seconds()
        rows = self._stages.rows(now_s, self._importing, topics, self._database.seen())
        return screen.View(self._waiting or self._importing.doing, now_s, rows, self._listings, topics)
