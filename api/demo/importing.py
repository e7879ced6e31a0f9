"""The demo's importer: the sample day onto the log by the importer's own code, and how far it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from api.demo.sample_files import CountedFile
from infra.clock import SystemClock
from infra.stack.stack import Running
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest, ImportResult
from producers.progress import Progress, Stage
from schemas.identity import parse_listing
from schemas.integrity import KeyRing


@dataclass(slots=True)
class Importing:
    """What the importer says. Changed while files are played; another thread may look at it at any time."""

    files: list[CountedFile]
    results: list[ImportResult] = field(default_factory=list)
    stage: Stage = Stage.READING
    written: int = 0
    """Ticks of the file in hand that are written."""

    @property
    def rows(self) -> int:
        """Rows of the files that are done or in hand."""
        return sum(file.rows for file in self.files[: len(self.results) + 1])

    @property
    def ticks(self) -> int:
        """Rows that are on the log by its word."""
        return sum(file.ticks for result in self.results for file in result.files) + self.written

    @property
    def new(self) -> int:
        """Ticks of them that were written now."""
        return sum(result.new for result in self.results) + self.written

    @property
    def refused(self) -> int:
        """New ticks that were judged broken."""
        return sum(result.refused for result in self.results)

    @property
    def reasons(self) -> Counter[str]:
        """The same by reason."""
        return sum((result.reasons for result in self.results), Counter())

    @property
    def doing(self) -> str:
        """What it does now."""
        if len(self.results) == len(self.files):
            return f"imported {len(self.files)} files"
        return f"importing {self.files[len(self.results)].sample.listing}: {self.stage}"

    def play(self, running: Running, keys: KeyRing) -> None:
        """Imports the files, one after the other. Raises what the importer raises, and damage found in a file."""
        for file in self.files:
            request = ImportRequest(
                listing=parse_listing(file.sample.listing),
                files=[file.sample.path],
                zone=parse_zone(file.sample.tz),
            )
            result = Importer(running.kafka, keys, SystemClock(), progress=self._report).run(request)
            if result.damage is not None:
                raise result.damage
            self.written = 0
            self.results.append(result)
            running.check()

    def _report(self, at: Progress) -> None:
        self.stage = at.stage
        self.written = at.ticks if at.stage is Stage.WRITING else 0
