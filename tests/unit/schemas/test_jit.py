"""Kernels are compiled once, and loaded without what only compiling needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

KERNEL = """
import sys
import numpy as np
from schemas.jit import kernel

@kernel
def total(values):
    found = 0
    for value in values:
        found += value
    return found

for values in sys.argv[1:]:
    print(total(np.array(eval(values))), "numba.np.linalg" in sys.modules)
"""


def said(script: Path, *values: str) -> list[str]:
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run(
        [sys.executable, str(script), *values],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    return ran.stdout.splitlines()


def test_a_compiled_kernel_is_loaded_without_the_compiler_which_is_there_for_a_new_one(tmp_path: Path) -> None:
    script = tmp_path / "kernels.py"
    script.write_text(KERNEL, encoding="utf-8")
    assert said(script, "[1.0, 2.5]") == ["3.5 True"]
    assert said(script, "[1.0, 2.5]", "[1, 2]") == ["3.5 False", "3 True"]
    assert said(script, "[1.0, 2.5]", "[1, 2]") == ["3.5 False", "3 False"]
