"""What a benchmark hands back, and how it is printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Result:
    """One measured value; `goal` None where there is none, `better` says on which side of it to be."""

    id: str
    value: float
    unit: str
    goal: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "higher" else self.value <= self.goal


@dataclass(frozen=True, slots=True)
class Report:
    """A benchmark's results, worth something only if `equal`; `notes` say what was measured on what."""

    name: str
    equal: bool
    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """`{"name", "equal", "results": [{"id", "value", "unit", "goal"}]}`."""
        rows = [{"id": r.id, "value": r.value, "unit": r.unit, "goal": r.goal} for r in self.results]
        return {"name": self.name, "equal": self.equal, "results": rows}

    def print(self, console: Console) -> None:
        """As a table; without rates if the results were not equal."""
        if not self.equal:
            console.print(f"bench {self.name}: the results differ from the slow computation, so there are no rates")
        table = Table(title=f"bench {self.name}", title_justify="left")
        for heading, justify in (
            ("what", "left"),
            ("value", "right"),
            ("unit", "left"),
            ("goal", "right"),
            ("", "left"),
        ):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for r in self.results:
            sign = "≥" if r.better == "higher" else "≤"
            goal = "" if r.goal is None else f"{sign} {_number(r.goal)}"
            table.add_row(r.id, _number(r.value), r.unit, goal, {None: "", True: "met", False: "missed"}[r.met])
        if self.results:
            console.print(table)
        for note in self.notes:
            console.print(note, highlight=False)


def seconds(work: Callable[[], object], least_s: float = 1.0, rounds: int = 5) -> float:
    """The shortest run of `work`, by the wall, of at least `rounds` and `least_s`: others only ever make it longer."""
    best, spent, done = float("inf"), 0.0, 0
    while done < rounds or spent < least_s:
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        best, spent, done = min(best, took), spent + took, done + 1
    return best


def _number(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"
