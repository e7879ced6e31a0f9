"""Law 2: an operator reads no clock, random source, environment, file or network, and depends on no unordered set.

Held three ways: by what its source imports and calls, by a guard at run time, and by running under other surroundings.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY
from streams.replay import replay
from tests.golden.test_sample_day import REFERENCE

ROOT = Path(__file__).parents[2]
PURE = sorted(
    [
        *(ROOT / "agents").rglob("*.py"),
        *(ROOT / "streams" / "operators").rglob("*.py"),
        *(ROOT / "streams" / "venue").rglob("*.py"),
        *(ROOT / "streams" / f"{name}.py" for name in ("fold", "merged_fold", "segments", "reference", "lookahead")),
    ]
)
FORBIDDEN_MODULES = {
    "asyncio", "confluent_kafka", "ctypes", "datetime", "faust", "glob", "importlib", "infra", "io", "locale",
    "multiprocessing", "os", "pathlib", "platform", "psycopg", "queue", "random", "secrets", "shutil", "signal",
    "socket", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "zoneinfo",
}  # fmt: skip
FORBIDDEN_CALLS = {"open", "input", "print", "eval", "exec", "compile", "__import__", "id", "hash", "globals", "vars"}
FORBIDDEN_ATTRIBUTES = {"random", "urandom", "environ", "getenv", "now", "utcnow", "today", "fromfile", "load", "save"}
ORDERED_BY = {"sorted", "len", "any", "all", "min", "max", "sum"}


def faults(source: str) -> list[str]:
    """What a pure module may not do, with the line."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"{node.lineno}: imports {a.name}" for a in node.names if _root(a.name) in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and _root(node.module or "") in FORBIDDEN_MODULES:
            found.append(f"{node.lineno}: imports from {node.module}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            found.append(f"{node.lineno}: calls {node.func.id}()")
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in FORBIDDEN_ATTRIBUTES
            and isinstance(node.value, ast.Name)
            and node.value.id in {"np", "numpy", "datetime", "date"}
        ):
            found.append(f"{node.lineno}: uses {node.value.id}.{node.attr}")
        elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
            found.append(f"{node.iter.lineno}: goes through a set in no order")
        elif isinstance(node, ast.Call) and any(map(_is_set, node.args)) and _name(node.func) not in ORDERED_BY:
            found.append(f"{node.lineno}: hands a set, which has no order, to {_name(node.func)}()")
    return found


def _root(module: str) -> str:
    return module.partition(".")[0]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _is_set(node: ast.expr) -> bool:
    made = isinstance(node, ast.Call) and _name(node.func) in {"set", "frozenset"}
    return made or isinstance(node, ast.Set | ast.SetComp)


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_source_of_an_operator_reaches_nothing_outside(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "import os.path",
        "from infra.clock import SystemClock",
        "x = open('f')",
        "x = hash('a')",
        "x = np.random",
        "for a in {1, 2}: pass",
        "x = [a for a in set(b)]",
        "x = list({1, 2})",
    ],
)
def test_the_guard_of_sources_sees(line: str) -> None:
    assert len(faults(line)) == 1


class Impure(BaseException):
    """Not an Exception, which a strategy's operator would turn into a FAILED signal."""


_armed = False


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _armed and event.startswith(("open", "os.", "socket.", "subprocess.", "import", "shutil.", "ctypes.")):
        raise Impure(f"{event} {args[:1]}")


sys.addaudithook(_audit)


def _refuse(*_: Any, **__: Any) -> Any:
    raise Impure("a clock, a random source or the environment was read")


@contextmanager
def nothing_outside() -> Iterator[None]:
    """Within, clocks, random sources, the environment, files, sockets and imports raise Impure."""
    global _armed
    with pytest.MonkeyPatch.context() as patch:
        for module, names in (
            (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "localtime")),
            (random, ("random", "randint", "choice", "getrandbits")),
            (os, ("urandom", "getenv")),
            (np.random, ("default_rng", "random", "rand", "randint")),
            (builtins, ("input",)),
        ):
            for name in names:
                patch.setattr(module, name, _refuse)
        patch.setattr(datetime, "datetime", None)
        _armed = True
        try:
            yield
        finally:
            _armed = False


def test_operators_run_where_nothing_outside_can_be_read() -> None:
    blocks = sample_blocks(SAMPLE_DAY[0], REFERENCE.last)
    list(replay(blocks, REFERENCE))
    with nothing_outside():
        records = [record for output in replay(blocks, REFERENCE) for record in output.records()]
    assert {type(record).__name__ for record in records} == {"Bar", "Signal"}


@pytest.mark.parametrize(
    "reach",
    [
        lambda: time.time(),
        lambda: random.random(),
        lambda: os.getenv("HOME"),
        lambda: Path(__file__).read_bytes(),
        lambda: os.listdir("."),
        lambda: __import__("wave"),
    ],
)
def test_the_guard_at_run_time_sees(reach: Any) -> None:
    with nothing_outside(), pytest.raises(Impure):
        reach()


PROGRAM = """
from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY
from streams.replay import Digests, replay
from tests.golden.test_sample_day import REFERENCE
found = Digests()
for file in SAMPLE_DAY:
    for output in replay(sample_blocks(file, REFERENCE.last), REFERENCE):
        found.add(output)
print(found.hex())
"""


def test_hash_seed_zone_locale_and_folder_change_nothing(tmp_path: Path) -> None:
    printed = set()
    for seed, zone, folder in (("0", "UTC", ROOT), ("77", "Asia/Kathmandu", tmp_path)):
        surroundings = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], cwd=folder, env=surroundings, capture_output=True, text=True, check=True
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert "signals" in printed.pop()
