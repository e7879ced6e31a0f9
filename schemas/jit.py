"""How kernels are compiled: one decorator that keeps their types for mypy and their cache on disk.

numba's cache doesn't notice a changed callee in another file: keep the kernels of a family in one file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

# numba loads SciPy's linear algebra and coverage if they are installed, which takes half a second at every start; no
# kernel multiplies matrices, so numba doesn't get to see them, unless somebody else has loaded them anyway.
_hidden = [name for name in ("scipy", "coverage") if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]
try:
    import numba
    import numba.np.arraymath
finally:
    for _name in _hidden:
        del sys.modules[_name]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """`function` compiled at its first call, cached on disk, without fastmath: the same bits on every machine."""
    return cast(F, numba.njit(cache=True)(function))


def inline_kernel(function: F) -> F:
    """As `kernel`, put into its callers' code."""
    return cast(F, numba.njit(cache=True, inline="always")(function))
