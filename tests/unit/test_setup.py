"""Set-up says what to do when it can't go on; that it works is proved by whoever runs these tests."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup.py"


@pytest.fixture
def set_up(tmp_path: Path) -> ModuleType:
    """The script, as it is in an empty folder with a space in its name."""
    folder = tmp_path / "a folder" / "scripts"
    folder.mkdir(parents=True)
    spec = importlib.util.spec_from_file_location("set_up", shutil.copy(SCRIPT, folder))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("found", [(3, 10, 14), (3, 14, 0)])
def test_an_unsuitable_python_is_named(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: tuple[int, int, int]
) -> None:
    version = ".".join(map(str, found))
    python = SimpleNamespace(version_info=found, version=version, executable="/bin/python3", stderr=sys.stderr)
    monkeypatch.setattr(set_up, "sys", python)
    assert set_up.main([]) == 2
    said = capsys.readouterr().err
    assert f"Python {version} (/bin/python3) can't be used: install Python 3.11, 3.12 or 3.13" in said
    assert "make setup PYTHON=" in said


def test_a_python_without_venv_is_told_where_debian_has_it(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(set_up.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else SCRIPT)
    assert set_up.main([]) == 2
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"has no ensurepip: on Debian and Ubuntu run `apt install {package}`" in capsys.readouterr().err


def test_a_full_disk_is_named_before_anything_is_made(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(set_up.shutil, "disk_usage", lambda _: SimpleNamespace(free=150_000_000))
    assert set_up.main([]) == 2
    assert "has 150 MB left, the first set-up needs 2200: free some" in capsys.readouterr().err
    assert not set_up.VENV.exists()


def test_an_unknown_group_is_refused(set_up: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert set_up.main(["tests"]) == 2
    assert "no such set-up: tests. There are: test, check, docs" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied", str(set_up.VENV))

    monkeypatch.setattr(set_up, "ensure_environment", refuse)
    assert set_up.main([]) == 2
    assert f"error: {set_up.VENV}: Permission denied. If another user made it" in capsys.readouterr().err


def test_an_unreachable_package_index_is_named_with_the_ways_out(set_up: ModuleType) -> None:
    index = "http://127.0.0.1:9/simple"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    run = subprocess.run(
        [sys.executable, "-I", set_up.__file__],
        env=env | {"PIP_INDEX_URL": index, "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert f"the package index {index} can't be reached" in run.stderr
    assert "HTTPS_PROXY" in run.stderr
    assert "PIP_INDEX_URL" in run.stderr
    assert run.stdout == ""


def test_an_environment_that_came_from_another_path_is_made_anew(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[str] = []
    set_up.VENV.mkdir()
    set_up.STAMP.write_text(json.dumps({"root": "/elsewhere"}), encoding="utf-8")
    monkeypatch.setattr(set_up, "succeeds", lambda *_: True)
    monkeypatch.setattr(set_up, "run", lambda *command: made.append(command[-1]) or set_up.VENV.mkdir())
    set_up.ensure_environment()
    assert made == [str(set_up.VENV)]
    assert "was made at /elsewhere and can't be moved" in capsys.readouterr().err
    set_up.ensure_environment()
    assert made == [str(set_up.VENV)]


def test_an_interrupted_installation_is_installed_again(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    set_up.VENV.mkdir()
    set_up.UNFINISHED.touch()
    monkeypatch.setattr(set_up, "run", lambda *command: ran.append(command))
    set_up.install_packages(("test",))
    assert "--reinstall" in ran[0]
    assert ran[0][-3:-1] == ("--group", "test")
    assert not set_up.UNFINISHED.exists()


def test_a_mirror_gets_the_locked_versions_with_their_hashes(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    set_up.VENV.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setattr(set_up, "succeeds", lambda *_: False)
    monkeypatch.setattr(set_up, "run", lambda *command: ran.append(command))
    set_up.install_packages(())
    assert [command[1] for command in ran] == ["export", "pip", "pip"]
    assert "--require-hashes" in ran[1]
    assert set_up.environment()["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


def test_sources_are_compiled_once_and_again_where_they_changed(
    set_up: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, room = set_up.VENV / "lib" / "python3.x" / "site-packages" / "package.py", set_up.ROOT / "api" / "room.py"
    for source in (package, room):
        source.parent.mkdir(parents=True)
        source.write_text("x = 1\n")
    (package.parent / "not_for_this_python.py").write_text("print 1\n")
    monkeypatch.setattr(set_up, "PYTHON", sys.executable)
    ran: list[str] = []
    run = set_up.run
    monkeypatch.setattr(set_up, "run", lambda *command: ran.extend(command) or run(*command))

    def compiled() -> set[str]:
        ran.clear()
        set_up.compile_sources()
        return {name for name in ("site-packages", "api") if any(part.endswith(name) for part in ran)}

    assert compiled() == {"site-packages", "api"}
    for source in (package, room):
        assert Path(importlib.util.cache_from_source(str(source))).exists()
    assert compiled() == set()
    room.write_text("x = 12\n")
    assert compiled() == {"api"}
    set_up.record(bytecode="")
    assert compiled() == {"site-packages"}
    room.write_text("x = (\n")
    assert compiled() == {"api"}
    assert compiled() == {"api"}, "what can't be compiled is tried again, and is no error"


def test_a_set_up_that_has_nothing_to_do_writes_nothing(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user, or a checkout that is read-only, has been set up all the same."""
    set_up.VENV.mkdir()
    set_up.record(bytecode="made", rooms=set_up.state_of(set_up.ROOMS), kernels=set_up.state_of(set_up.KERNELS))
    monkeypatch.delattr(set_up, "record")
    monkeypatch.delattr(set_up, "run")
    set_up.compile_sources()
    set_up.compile_kernels()


def test_sources_of_all_packages_of_the_program_are_compiled(set_up: ModuleType) -> None:
    project = tomllib.loads((SCRIPT.parents[1] / "pyproject.toml").read_text())
    assert sorted(set_up.ROOMS) == sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
