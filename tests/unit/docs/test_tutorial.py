"""The tutorial's commands run as they stand there, and print what is shown there."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from api.cli import main

DOCS = Path(__file__).resolve().parents[3] / "docs"
NOT_SHOWN = "…"


class Step(NamedTuple):
    """A command of the page, and the lines that it is said to print."""

    command: str
    shown: tuple[str, ...]


def steps(page: str) -> Iterator[Step]:
    for block in re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield Step(command, tuple(line for line in shown if line.strip() and line != NOT_SHOWN))


def run(command: str) -> int:
    """Runs a line of the page; its own program in this process."""
    program, *arguments = shlex.split(command)
    if program == "sed":
        flag, (kind, old, new, end) = arguments[0], arguments[1].split("/")
        assert (flag, kind, end) == ("-i", "s", "")
        path = Path(arguments[2])
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return 0
    assert program == "tickledger"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(str(ended.value.code))


def plain(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_tutorial_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    for sample in (DOCS / "tutorial").glob("*.csv.gz"):
        shutil.copy(sample, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKLEDGER_CACHE", str(tmp_path / "cache"))
    done = list(steps(page))
    assert len(done) > 10
    for step in done:
        code = run(step.command)
        printed = plain(capfd.readouterr().out)
        missing = [line for line in plain("\n".join(step.shown)) if line not in printed]
        assert not missing, (step.command, printed)
        assert code == (1 if step.command == "tickledger compare runs/first runs/slip" else 0), step.command


def test_the_pictures_and_files_of_the_tutorial_are_there_and_small() -> None:
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\((tutorial/[\w.]+)\)", page)) | set(re.findall(r"<(tutorial/[\w.]+)>", page))
    there = {path.relative_to(DOCS).as_posix() for path in (DOCS / "tutorial").iterdir()}
    assert named == there
    assert all((DOCS / name).stat().st_size <= 300_000 for name in named)
