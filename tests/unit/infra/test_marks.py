"""Marks of services."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import HomeUnusable
from infra.marks import Mark
from infra.stack.home import Home


def test_a_mark_is_what_its_service_has_set_last(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    own, seen = Mark.of(home, "recorder"), Mark.of(home, "recorder")
    assert seen.get() is None
    own.set(1_399_377_600_000_000)
    assert seen.get() == own.get() == 1_399_377_600_000_000
    own.set(1_399_377_600_000_001)
    assert seen.get() == 1_399_377_600_000_001
    assert (home.run / "recorder.mark").stat().st_size == 8


def test_a_mark_that_was_only_begun_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mark").touch()
    (tmp_path / "b.mark").write_bytes(bytes(8))
    assert Mark(tmp_path / "a.mark").get() is None
    assert Mark(tmp_path / "b.mark").get() is None


SETTER = """
import sys
from pathlib import Path
from infra.marks import Mark
mark = Mark(Path(sys.argv[1]))
for us in range(1 << 40, (1 << 40) + 300_000):
    mark.set(us)
"""


def test_a_reader_never_sees_a_mark_half_set(tmp_path: Path) -> None:
    seen = Mark(tmp_path / "a.mark")
    setter = subprocess.Popen([sys.executable, "-c", SETTER, str(seen.path)])
    values = []
    while setter.poll() is None:
        values.append(seen.get() or 0)
    assert setter.returncode == 0
    assert values == sorted(values)


def test_a_mark_that_is_made_anew_is_found(tmp_path: Path) -> None:
    seen = Mark(tmp_path / "a.mark")
    Mark(tmp_path / "a.mark").set(1)
    (tmp_path / "a.mark").unlink()
    Mark(tmp_path / "a.mark").set(2)
    assert seen.get() == 2


def test_a_mark_that_was_cleared_is_none_until_its_service_sets_it_again(tmp_path: Path) -> None:
    own, other = Mark(tmp_path / "a.mark"), Mark(tmp_path / "a.mark")
    other.clear()
    assert not other.path.exists()
    own.set(5)
    other.clear()
    assert own.get() is None
    own.set(6)
    assert other.get() == 6


def test_a_place_that_cannot_have_a_mark_says_so(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable):
        Mark(tmp_path / "missing" / "a.mark").set(1)
    with pytest.raises(HomeUnusable):
        Mark(tmp_path).get()
