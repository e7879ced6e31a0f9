"""The sample's files, counted by a program that knows nothing of how an import reads them."""

from __future__ import annotations

import zipfile
from typing import NamedTuple

from producers.sample import SAMPLE_DAY, SampleFile


class CountedFile(NamedTuple):
    """A file of the sample and the lines in it."""

    sample: SampleFile
    rows: int


def counted_files() -> list[CountedFile]:
    """The files of the sample day."""
    return [CountedFile(sample, _lines(sample)) for sample in SAMPLE_DAY]


def _lines(sample: SampleFile) -> int:
    with zipfile.ZipFile(sample.path) as archive:
        return sum(len(archive.read(name).splitlines()) for name in archive.namelist())
