"""What verify reports: counts of what it checked, and what differs, with the place, what was expected and found."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

from schemas.chains import Position
from schemas.quality import names
from schemas.registry import Record, UnreadableRecord, decode

KEPT: Final = 100
"""Differences that are kept with their places; the rest is counted."""


CHECKED: Final = (
    "blocks", "ticks", "refused", "bars", "signals", "journal", "executions", "commands", "orders", "fills", "risk",
    "portfolio",
)  # fmt: skip
"""What is counted."""


class Problem(NamedTuple):
    """Something on a topic that is not as it must be. `expected` and `found` are short texts."""

    position: Position
    key: str
    reason: str
    expected: str = ""
    found: str = ""


class Range(NamedTuple):
    """[from_ms, to_ms) in UTC, and one listing, one account, or all of both."""

    from_ms: int = -(2**62)
    to_ms: int = 2**62
    listing: str | None = None
    account: str | None = None

    def has(self, time_ms: int) -> bool:
        """Whether the moment lies in it."""
        return self.from_ms <= time_ms < self.to_ms


@dataclasses.dataclass
class Report:
    """What verify found. `blocks` to `portfolio` count what lies in the range asked for; `ticks` has refused ones too;
    `journal` are entries, `executions` and `commands` links. `terminal` is there if one was compared: what was."""

    blocks: int = 0
    ticks: int = 0
    refused: int = 0
    bars: int = 0
    signals: int = 0
    journal: int = 0
    executions: int = 0
    commands: int = 0
    orders: int = 0
    fills: int = 0
    risk: int = 0
    portfolio: int = 0
    terminal: dict[str, int] | None = None
    void: int = 0
    repairs: int = 0
    copies: int = 0
    differences: int = 0
    unverifiable: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing differs."""
        return not self.differences

    @property
    def is_full(self) -> bool:
        """Whether more differences would only be counted."""
        return len(self.problems) >= KEPT

    @property
    def exit_code(self) -> int:
        """0 clean, 1 a difference, 2 something could not be checked."""
        return 1 if self.differences else 2 if self.unverifiable else 0

    def count(self, topic: str) -> None:
        """One record of a topic was held against what it must be."""
        setattr(self, topic, getattr(self, topic) + 1)

    def add(self, *problems: Problem) -> None:
        """Takes differences."""
        self.differences += len(problems)
        self.problems += problems[: max(0, KEPT - len(self.problems))]

    def as_json(self) -> dict[str, Any]:
        """The object that `verify --json` prints."""
        first = self.problems[0] if self.problems else None
        told = {"terminal": self.terminal} if self.terminal is not None else {}
        return {
            "ok": self.ok and not self.unverifiable,
            "checked": {name: getattr(self, name) for name in CHECKED} | told,
            "void": self.void,
            "repairs": self.repairs,
            "copies": self.copies,
            "unverifiable": self.unverifiable,
            "differences": self.differences,
            "first_difference": first
            and {
                **first.position._asdict(),
                "key": first.key,
                "reason": first.reason,
                "expected": first.expected or None,
                "found": first.found or None,
            },
        }


def differing(expected: Record, found: bytes) -> tuple[str, str]:
    """The fields that differ, as they were derived and as they lie there."""
    try:
        there = decode(found)
    except UnreadableRecord as error:
        return shown(expected), str(error)
    if type(there) is not type(expected):
        return shown(expected), shown(there)
    fields = [f.name for f in dataclasses.fields(expected)]
    unequal = [n for n in fields if repr(getattr(expected, n)) != repr(getattr(there, n)) and n != "mac"]
    return _fields(expected, unequal), _fields(there, unequal)


def shown(record: Record) -> str:
    """A record in a line."""
    return _fields(record, [f.name for f in dataclasses.fields(record) if f.name not in ("mac", "key_id")])


def shown_quality(bits: int) -> str:
    """Quality bits in words."""
    return " ".join(names(bits)) or "good"


def _fields(record: Any, wanted: list[str]) -> str:
    return ", ".join(f"{n}={getattr(getattr(record, n), 'name', getattr(record, n))}" for n in wanted)
