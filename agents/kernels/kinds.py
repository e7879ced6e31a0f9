"""What a node of a graph of indicators is: its kernel, its parameters, the size of its state and its memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Numbers = Sequence[float]

MOST_BARS: Final = 10_000
"""The longest window, lag or period."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A node's parameter, finite and in [low, high]."""

    name: str
    low: float
    high: float
    whole: bool = True


PERIOD: Final = Parameter("period", 1, MOST_BARS)
PAIR: Final = Parameter("period", 2, MOST_BARS)
"""A period that needs two bars to mean anything."""


def nothing(_: Numbers) -> int:
    """Without state, warm-up or memory."""
    return 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NodeKind:
    """A kind of node. What its kernel does never changes under one name and version: old logs are derived by it.

    `kernel(values, n, wires, numbers, state)` reads rows `wires[1:]` of values float64[rows, room] in columns 0 to n-1
    and writes row `wires[0]`; `numbers` float64 is `code`, then the node's parameters; `state` float64[words] starts
    as zeros. A value that is not there is NaN; conditions are 1.0 and 0.0.
    """

    name: str
    kernel: Callable[[Any, Any, Any, Any, Any], None] | None
    code: int = 0
    inputs: tuple[bool, ...] = ()
    """For each input, whether it is a condition."""
    condition: bool = False
    """Whether it gives a condition."""
    parameters: tuple[Parameter, ...] = ()
    words: Callable[[Numbers], int] = nothing
    warm_up: Callable[[Numbers], int] = nothing
    """Bars until its value is usual, after those of its inputs (protocol, 7)."""
    memory: Callable[[Numbers], int] = nothing
    """Bars after which its value no longer depends on where its input starts, bit for bit."""
    version: int = 1

    @property
    def key(self) -> str:
        """Its name in a serialised graph."""
        return f"{self.name}/{self.version}"
