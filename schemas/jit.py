"""How kernels are compiled: one decorator that keeps their types for mypy and their cache on disk.

numba's cache doesn't notice a changed callee in another file: keep the kernels of a family in one file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

# numba loads SciPy's linear algebra if it is installed, which takes a third of a second at every start; no kernel
# multiplies matrices, so numba doesn't get to see it.
if "scipy" in sys.modules:
    import numba
else:
    sys.modules["scipy"] = None  # type: ignore[assignment]
    try:
        import numba
        import numba.np.arraymath
    finally:
        del sys.modules["scipy"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """`function` compiled at its first call, cached on disk, without fastmath: the same bits on every machine."""
    return cast(F, numba.njit(cache=True)(function))


def inline_kernel(function: F) -> F:
    """As `kernel`, put into its callers' code."""
    return cast(F, numba.njit(cache=True, inline="always")(function))
