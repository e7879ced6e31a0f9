"""Set-up compiles every kernel there is: one that it forgot would be compiled in front of the first tick or entry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COUNT = """
import importlib, json, pkgutil, sys
from schemas import jit

kernels, called = {}, set()

def noting(decorate):
    def noted(function):
        kernels[function.__code__] = function
        return decorate(function)
    return noted

jit.kernel, jit.inline_kernel = noting(jit.kernel), noting(jit.inline_kernel)
for package in ("schemas", "agents", "producers", "streams"):
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
sys.setprofile(lambda frame, event, _: called.add(frame.f_code) if event == "call" else None)
for module in sys.argv[1:]:
    importlib.import_module(module).warm()
sys.setprofile(None)
compiled = called & kernels.keys()
waiting = [*compiled]
while waiting:
    # With a kernel all that it names are compiled, whether they were called or not.
    function = kernels[waiting.pop()]
    for name in function.__code__.co_names:
        code = getattr(function.__globals__.get(name), "__code__", None)
        if code in kernels and code not in compiled:
            compiled.add(code)
            waiting.append(code)
missing = [function for code, function in kernels.items() if code not in compiled]
print(json.dumps([len(kernels), sorted(f"{one.__module__}.{one.__name__}" for one in missing)]))
"""


def test_set_up_compiles_every_kernel() -> None:
    """By what it calls where kernels are plain Python."""
    modules = re.findall(r'run_module\("([\w.]+)"\)', (ROOT / "scripts/setup.py").read_text())
    warm = [module for module in modules if module.endswith("warm")]
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *warm],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, missing = json.loads(done.stdout)
    assert count > 20
    assert missing == []
