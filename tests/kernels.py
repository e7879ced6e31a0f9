"""Kernels as plain Python, for coverage, and compiled with bounds checks, which catch what is read in silence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import numba
import pytest
from numba.core.dispatcher import Dispatcher


@contextmanager
def plain(*modules: ModuleType) -> Iterator[None]:
    """Within, the kernels that the modules name run as Python."""
    with _replaced({k: k.py_func for k in _kernels(modules)}, modules):
        yield


@contextmanager
def bounds_checked(*modules: ModuleType) -> Iterator[None]:
    """Within, the kernels that the modules name are compiled with bounds checks."""
    with _replaced({k: _checked(k) for k in _kernels(modules)}, modules):
        yield


@cache
def _checked(kernel: Dispatcher) -> Any:
    return numba.njit(boundscheck=True)(kernel.py_func)


def _kernels(modules: tuple[ModuleType, ...]) -> list[Dispatcher]:
    return [value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)]


@contextmanager
def _replaced(by: dict[Dispatcher, Any], modules: tuple[ModuleType, ...]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            for name, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    patch.setattr(module, name, by[value])
        yield
