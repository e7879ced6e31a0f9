"""Anchors against the chain that they witness: a changed past or a cut tail shows."""

from __future__ import annotations

from collections.abc import Iterable

from infra.anchors import head_of
from schemas.accept import Head
from schemas.chains import Position
from schemas.events import Anchor
from streams.report import Problem


class Witness:
    """The anchors of one chain, in the order of their links; ask it at each link taken, and at the end."""

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        self._anchors = sorted(anchors, key=lambda a: a.seq)
        self._next = 0

    def passed(self, head: Head, position: Position, key: str) -> list[Problem]:
        """The anchors of this link that say otherwise."""
        problems = []
        while self._next < len(self._anchors) and self._anchors[self._next].seq <= head.seq:
            anchor = self._anchors[self._next]
            self._next += 1
            if anchor.seq == head.seq and anchor.seq and (anchor.head_mac, anchor.n) != (head.mac, head.n):
                reason = f"link {anchor.seq} is not the one that its anchor witnesses"
                problems.append(Problem(position, key, reason, _shown(head_of(anchor)), _shown(head)))
        return problems

    def unmet(self, head: Head, end: Position, key: str) -> list[Problem]:
        """The newest anchor beyond the chain's end: its tail was cut, or its head is behind a stop."""
        later = [a for a in self._anchors if a.seq > head.seq]
        if not later or head.stopped:
            return []
        newest = later[-1]
        reason = f"the chain ends at link {head.seq}, and an anchor witnesses link {newest.seq}: its tail is missing"
        return [Problem(end, key, reason, _shown(head_of(newest)), _shown(head))]


def _shown(head: Head) -> str:
    return f"link {head.seq}, n {head.n}, MAC {head.mac.hex()}"
