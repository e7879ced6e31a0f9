"""How kernels are compiled: one decorator that keeps their types for mypy and their cache on disk.

numba's cache doesn't notice a changed callee in another file: keep the kernels of a family in one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """`function` compiled at its first call, cached on disk, without fastmath: the same bits on every machine."""
    return cast(F, numba.njit(cache=True)(function))


def inline_kernel(function: F) -> F:
    """As `kernel`, put into its callers' code."""
    return cast(F, numba.njit(cache=True, inline="always")(function))
