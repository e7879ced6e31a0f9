"""Set-up: done once, repeated at once, repaired when something is lost or damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import load_settings
from infra.stack import aot
from infra.stack.prepare import prepare
from tests.integration.stack.keeping import once

pytestmark = pytest.mark.stack


def set_up() -> str:
    """What was said."""
    done = subprocess.run([sys.executable, "-P", "-m", "infra.stack.prepare"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what set-up put into the cache for the broker, without what it holds for other checkouts."""
    option = next(o for o in prepare(load_settings()).aot_options if o.startswith("-XX:AOTCache="))
    used = Path(option.partition("=")[2])
    copy = tmp_path / "a cache"
    others = [path.name for path in used.parent.glob("*.aot") if path.name != used.name]
    shutil.copytree(used.parent, copy / used.parent.name, ignore=shutil.ignore_patterns(*others))
    monkeypatch.setenv("TICKLEDGER_CACHE", str(copy))
    return copy


def test_what_is_there_is_not_made_again(cache: Path) -> None:
    said = set_up()
    assert "46 jars, Java 25 with start-up cache" in said
    assert "training" not in said
    assert "fetching" not in said


def test_a_lost_start_up_cache_is_trained_again(cache: Path) -> None:
    (made,) = cache.glob("*/*.aot")
    made.unlink()
    others = [made.parent / f"start-{i}.aot" for i in range(aot.KEPT + 2)]
    for i, other in enumerate(others):
        other.write_text("of another checkout's Java")
        os.utime(other, (i, i))
    said = set_up()
    assert "training the start-up cache" in said
    assert set(cache.glob("*/*.aot")) == {made, *others[2:]}
    for other in others[2:]:
        other.unlink()
    assert not [path for path in made.parent.iterdir() if path.name.startswith("train.")]
    assert "training" not in set_up()


def test_a_damaged_start_up_cache_costs_time_and_nothing_else(cache: Path, tmp_path: Path) -> None:
    (made,) = cache.glob("*/*.aot")
    with made.open("r+b") as file:
        for position in range(1 << 20, made.stat().st_size, 1 << 20):
            file.seek(position)
            file.write(b"\xff" * 64)
    assert once(tmp_path / "home", "hold", "kafka")["code"] == 0


def test_a_java_without_start_up_cache_runs_the_broker_too(tmp_path: Path, cache: Path) -> None:
    """As Java 17 to 24 do; here the same Java, asked not to."""
    (made,) = cache.glob("*/*.aot")
    made.unlink()
    made.with_suffix(".failed").touch()
    said = set_up()
    assert "without start-up cache" in said
    assert once(tmp_path / "home", "hold", "kafka")["code"] == 0
