"""How kernels are compiled: one decorator that keeps their types for mypy and their cache on disk.

numba's cache doesn't notice a changed callee in another file: keep the kernels of a family in one file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

# numba loads SciPy's linear algebra, coverage, and YAML for a settings file of its own if they are installed, which
# takes half a second at every start; no kernel multiplies matrices, so numba doesn't get to see them, unless somebody
# else has loaded them anyway.
_hidden = [name for name in ("scipy", "coverage", "yaml") if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment]
try:
    import numba
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys
finally:
    for _name in _hidden:
        del sys.modules[_name]

F = TypeVar("F", bound=Callable[..., Any])


class _Kept(FunctionCache):  # type: ignore[misc]  # numba has no types
    """Compiled kernels on disk, loaded without numba's types and lowering, which only what is compiled needs.

    numba readies them, a tenth of a second, before it looks for a compiled kernel, and again before it compiles one.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def kernel(function: F) -> F:
    """`function` compiled at its first call, cached on disk, without fastmath: the same bits on every machine."""
    compiled = numba.njit(function)
    compiled._cache = _Kept(function)
    return cast(F, compiled)


def inline_kernel(function: F) -> F:
    """As `kernel`, put into its callers' code."""
    return cast(F, numba.njit(cache=True, inline="always")(function))
