"""Nodes without state: each value is made from its own bar alone.

What has no value is NaN: a division by zero, the root of a negative number, anything with a NaN in it. A comparison
with NaN is false.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.kernels.kinds import NodeKind
from schemas.jit import kernel

(
    _ADD, _SUBTRACT, _MULTIPLY, _DIVIDE, _NEGATE, _ABSOLUTE, _LESSER, _GREATER, _ROOT, _FLOOR, _REST,
    _BELOW, _AT_MOST, _EQUAL, _UNEQUAL, _AND, _OR, _NOT, _WHERE, _ONLY,
) = range(20)  # fmt: skip


@kernel
def fold_elementwise(values: Any, n: Any, wires: Any, numbers: Any, state: Any) -> None:
    """out = a op b, or op a, or a ? b : c."""
    out = values[wires[0]]
    a = values[wires[1]]
    b = values[wires[2]]
    c = values[wires[3]]
    op = np.int64(numbers[0])
    if op == _ADD:
        for i in range(n):
            out[i] = a[i] + b[i]
    elif op == _SUBTRACT:
        for i in range(n):
            out[i] = a[i] - b[i]
    elif op == _MULTIPLY:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif op == _DIVIDE:
        for i in range(n):
            out[i] = a[i] / b[i] if b[i] != 0.0 else np.nan
    elif op == _NEGATE:
        for i in range(n):
            out[i] = -a[i]
    elif op == _ABSOLUTE:
        for i in range(n):
            out[i] = abs(a[i])
    elif op == _LESSER:
        for i in range(n):
            out[i] = a[i] if a[i] < b[i] or a[i] != a[i] else b[i]
    elif op == _GREATER:
        for i in range(n):
            out[i] = a[i] if a[i] > b[i] or a[i] != a[i] else b[i]
    elif op == _ROOT:
        for i in range(n):
            out[i] = np.sqrt(a[i]) if a[i] >= 0.0 else np.nan
    elif op == _FLOOR:
        for i in range(n):
            out[i] = np.floor(a[i])
    elif op == _REST:
        for i in range(n):
            out[i] = a[i] - b[i] * np.floor(a[i] / b[i]) if b[i] != 0.0 else np.nan
    elif op == _BELOW:
        for i in range(n):
            out[i] = 1.0 if a[i] < b[i] else 0.0
    elif op == _AT_MOST:
        for i in range(n):
            out[i] = 1.0 if a[i] <= b[i] else 0.0
    elif op == _EQUAL:
        for i in range(n):
            out[i] = 1.0 if a[i] == b[i] else 0.0
    elif op == _UNEQUAL:
        for i in range(n):
            out[i] = 1.0 if a[i] < b[i] or a[i] > b[i] else 0.0
    elif op == _AND:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif op == _OR:
        for i in range(n):
            out[i] = max(a[i], b[i])
    elif op == _NOT:
        for i in range(n):
            out[i] = 1.0 - a[i]
    elif op == _WHERE:
        for i in range(n):
            out[i] = b[i] if a[i] != 0.0 else c[i]
    else:
        for i in range(n):
            out[i] = b[i] if a[i] != 0.0 else np.nan


def _kind(name: str, code: int, inputs: tuple[bool, ...], condition: bool = False) -> NodeKind:
    return NodeKind(name=name, kernel=fold_elementwise, code=code, inputs=inputs, condition=condition)


_ONE: Final = (False,)
_TWO: Final = (False, False)

ADD: Final = _kind("add", _ADD, _TWO)
SUBTRACT: Final = _kind("subtract", _SUBTRACT, _TWO)
MULTIPLY: Final = _kind("multiply", _MULTIPLY, _TWO)
DIVIDE: Final = _kind("divide", _DIVIDE, _TWO)
NEGATE: Final = _kind("negate", _NEGATE, _ONE)
ABSOLUTE: Final = _kind("absolute", _ABSOLUTE, _ONE)
LESSER: Final = _kind("lesser", _LESSER, _TWO)
GREATER: Final = _kind("greater", _GREATER, _TWO)
ROOT: Final = _kind("root", _ROOT, _ONE)
FLOOR: Final = _kind("floor", _FLOOR, _ONE)
REST: Final = _kind("rest", _REST, _TWO)
BELOW: Final = _kind("below", _BELOW, _TWO, True)
AT_MOST: Final = _kind("at_most", _AT_MOST, _TWO, True)
EQUAL: Final = _kind("equal", _EQUAL, _TWO, True)
UNEQUAL: Final = _kind("unequal", _UNEQUAL, _TWO, True)
AND: Final = _kind("and", _AND, (True, True), True)
OR: Final = _kind("or", _OR, (True, True), True)
NOT: Final = _kind("not", _NOT, (True,), True)
WHERE: Final = _kind("where", _WHERE, (True, False, False))
ONLY: Final = _kind("only", _ONLY, (True, False))

KINDS: Final = (
    ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATE, ABSOLUTE, LESSER, GREATER, ROOT, FLOOR, REST,
    BELOW, AT_MOST, EQUAL, UNEQUAL, AND, OR, NOT, WHERE, ONLY,
)  # fmt: skip
