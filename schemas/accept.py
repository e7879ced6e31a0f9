"""accept(): the one function that stands before every reader and says what a record is to it.

Facts are links of chains that are opened by epochs; derived records are numbered. The rules are those of
docs/protocol.md, 1; `schemas/chains.py` applies them to the records of a topic.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from schemas.integrity import ZERO_MAC, ZERO_NONCE


class Verdict(IntEnum):
    """What a record is to its reader. Only what is taken is folded."""

    TAKE = 1
    """The next of its chain or numbers, or an OPEN that fences the writers before it."""
    SEEN = 2
    """Taken before."""
    VOID = 3
    """Written by a writer that had been fenced."""
    FORGED = 4
    """Can't be read, or its MAC, encoding, key or partition is wrong."""
    STOP = 5
    """A real link that doesn't fit: something before it was changed or is missing. The chain stands still."""
    REPAIRED = 6
    """Damaged, and a Repair says how the chain goes on after it."""
    AHEAD = 7
    """A derived record with numbers missing before it: wait until its writer sends them again."""


class Head(NamedTuple):
    """Where a reader stands in a chain of facts: the OPEN that holds, and the last link taken.

    `n` counts the items of the links so far (ticks; for `reference`, records), `ref_no` is the last link's.
    `stopped` says why the chain stands still; empty while it goes on.
    """

    epoch: int = 0
    nonce: bytes = ZERO_NONCE
    seq: int = 0
    n: int = 0
    ref_no: int = 0
    mac: bytes = ZERO_MAC
    stopped: str = ""


class Mark(NamedTuple):
    """Where a reader stands among the outputs of one operator for one key: the number that comes next."""

    next: int = 0


class Link(NamedTuple):
    """What accept() sees of a fact whose MAC and encoding are right."""

    opens: bool
    epoch: int
    nonce: bytes
    seq: int
    first_n: int
    items: int
    ref_no: int
    prev: bytes
    mac: bytes


class Numbered(NamedTuple):
    """What accept() sees of a derived record."""

    out_seq: int


class Forgery(NamedTuple):
    """What accept() sees of bytes that are no record, or not one that belongs where it lies."""

    reason: str


class Judgement(NamedTuple):
    """The verdict, where the reader stands after it, and the reason; `alert` if somebody has to look."""

    verdict: Verdict
    head: Head
    reason: str = ""
    alert: bool = False


class NumberJudgement(NamedTuple):
    """As Judgement, for derived records."""

    verdict: Verdict
    mark: Mark
    reason: str = ""
    alert: bool = False


def accept(head: Head, record: Link | Forgery) -> Judgement:
    """What `record` is to a reader that stands at `head`, and where it stands then."""
    if isinstance(record, Forgery):
        return Judgement(Verdict.FORGED, head, record.reason, alert=True)
    if record.opens:
        return _accept_open(head, record)
    if record.epoch < head.epoch:
        return Judgement(Verdict.VOID, head, f"its epoch {record.epoch} was fenced by {head.epoch}")
    if head.stopped:
        return Judgement(Verdict.STOP, head, head.stopped)
    if record.epoch > head.epoch or not head.epoch:
        return _stop(head, f"no OPEN of its epoch {record.epoch} is on the log")
    if record.nonce != head.nonce:
        return Judgement(Verdict.VOID, head, f"its writer lost epoch {record.epoch} to another")
    if record.seq <= head.seq:
        if record.mac == head.mac:
            return Judgement(Verdict.SEEN, head)
        return Judgement(Verdict.SEEN, head, f"link {record.seq} once more, after link {head.seq}", alert=True)
    if record.seq != head.seq + 1:
        return _stop(head, f"link {record.seq} comes after link {head.seq}")
    if record.prev != head.mac:
        return _stop(head, f"link {record.seq} doesn't follow the link {head.seq} that lies before it")
    if record.first_n != head.n:
        return _stop(head, f"link {record.seq} starts at n {record.first_n}, where the chain has {head.n}")
    if record.ref_no < head.ref_no:
        return _stop(head, f"link {record.seq} has reference number {record.ref_no}, below {head.ref_no}")
    taken = Head(head.epoch, head.nonce, record.seq, head.n + record.items, record.ref_no, record.mac)
    return Judgement(Verdict.TAKE, taken)


def accept_numbered(mark: Mark, record: Numbered) -> NumberJudgement:
    """accept() for derived records: the next number is taken, an earlier one was seen, a later one has to wait."""
    if record.out_seq == mark.next:
        return NumberJudgement(Verdict.TAKE, Mark(mark.next + 1))
    if record.out_seq < mark.next:
        return NumberJudgement(Verdict.SEEN, mark)
    reason = f"output {record.out_seq} comes where {mark.next} is due"
    return NumberJudgement(Verdict.AHEAD, mark, reason, alert=True)


def _accept_open(head: Head, record: Link) -> Judgement:
    if record.epoch <= head.epoch:
        return Judgement(Verdict.VOID, head, f"OPEN of epoch {record.epoch}, which is not above {head.epoch}")
    return Judgement(Verdict.TAKE, head._replace(epoch=record.epoch, nonce=record.nonce))


def _stop(head: Head, reason: str) -> Judgement:
    return Judgement(Verdict.STOP, head._replace(stopped=reason), reason, alert=True)
