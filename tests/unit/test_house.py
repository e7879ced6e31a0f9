"""What holds for the repository as a whole: the wheel, the rooms, the pages that are made from the code."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from api.cli import ROOMS

ROOT = Path(__file__).resolve().parents[2]
LEFT_BY_TOOLS = {"__pycache__", "node_modules"}


def files_of(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for parent, below, names in os.walk(ROOT / folder):
            below[:] = [name for name in below if name not in LEFT_BY_TOOLS and not name.startswith(".")]
            yield from (Path(parent, name) for name in names)


def sources(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in files_of(*folders):
        if path.suffix == ".py":
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return load("docs_tables", ROOT / "docs" / "tables.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_exactly_the_rooms(wheel: set[str]) -> None:
    packages = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    assert packages == set(ROOMS)


def test_the_wheel_holds_every_file_of_the_rooms(wheel: set[str]) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in files_of(*ROOMS)}
    assert {name for name in wheel if ".dist-info/" not in name} == expected
    kinds = {name.rsplit(".", 1)[-1] for name in expected}
    assert {"py", "avsc", "json", "sql", "zip", "md", "lock"} <= kinds


def test_no_installed_package_brings_a_package_of_our_names() -> None:
    brought = metadata.packages_distributions()
    assert {room: brought[room] for room in ROOMS if set(brought.get(room, ())) - {"tickledger"}} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_ours(room: str) -> None:
    assert importlib.import_module(room).__file__ == str(ROOT / room / "__init__.py")


def test_a_package_in_the_working_directory_is_never_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-P", "-m", "api.cli", "--version"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == metadata.version("tickledger")


def test_only_the_clock_port_tells_the_time() -> None:
    told = ("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.datetime.now", "date.today")
    asking = {
        f"{name}: {ast.unparse(node.func)}"
        for name, tree in sources(*ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in told
    }
    assert {where for where in asking if not where.startswith("infra/clock.py")} == set()


def test_kernels_are_compiled_in_one_way() -> None:
    compiling = {
        name
        for name, tree in sources(*ROOMS)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "numba" for alias in node.names)
    }
    assert compiling <= {"schemas/jit.py"}


def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    personal = re.compile(rb"/(?:wor" rb"k|far" rb"m|roo" rb"t|home/[a-z]+|User" rb"s/[A-Za-z]+)/")
    places = [path for path in files_of(*ROOMS, "tests", "docs", "scripts", ".ci") if "_build" not in path.parts]
    places += [
        path
        for path in ROOT.iterdir()
        if path.is_file() and path.name != "uv.lock" and not path.name.startswith(".coverage")
    ]
    assert [str(path) for path in places if path.suffix != ".zip" and personal.search(path.read_bytes())] == []


def test_the_docs_topics_table_is_the_catalogue(tables: ModuleType) -> None:
    page = (ROOT / "docs" / "topics.md").read_text(encoding="utf-8")
    assert tables.topics() in page, "put what `.venv/bin/python -P docs/tables.py` prints into docs/topics.md"


def test_every_dependency_has_its_reason_in_the_docs(tables: ModuleType) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    assert {name for name in tables.direct_dependencies() if f"`{name}`" not in page} == set()


def test_the_readme_is_one_screen_with_both_commands() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 50
    assert any(line.startswith("make demo") for line in lines)
    assert any(line.startswith("make test") for line in lines)


def test_ci_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert "make test" in script.read_text(encoding="utf-8").splitlines()
    assert os.access(script, os.X_OK)
