"""Where an account's journal stands: its marks, which say what was taken of each source, folded from its own entries.

Marks by stream, as inputs name them: `signals/<operator>/<listing>` out_seq, `executions` and `commands` seq,
`reference` ref_no. Beside them, to begin reading cheaply: `offsets/executions` and `offsets/commands`, where the last
link lay that was taken of the chain; `offsets/signals/<partition>`, the next record to read; and `clock/<listing>`, the
tick of the newest quote that was clocked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from infra.account_log import AccountFollower, Taken
from infra.anchors import last_anchor
from infra.chain_follower import Standing, read_repairs, standing_of
from infra.kafka import read_range
from schemas.accept import Head, Verdict
from schemas.integrity import KeyRing
from schemas.journal import EntryKind, JournalEntry
from schemas.registry import UnreadableRecord, decode

TOPIC: Final = "journal"
OFFSETS: Final = "offsets/"
CLOCKS: Final = "clock/"


@dataclass(slots=True)
class Place:
    """Marks by stream, and the newest `taken_us`; `begun` once an OPEN or a link was taken."""

    marks: dict[str, int] = field(default_factory=dict)
    taken_us: int = 0
    begun: bool = False

    def take(self, taken: Taken) -> None:
        """Folds a record of the journal; what accept() doesn't take changes nothing.

        The marks of an OPEN count only in the first: a later one is made by a writer that hasn't read all yet.
        """
        if taken.judged.verdict is Verdict.TAKE:
            self.apply(taken.judged.record)

    def apply(self, entry: JournalEntry) -> None:
        """Folds an entry that accept() took."""
        marks = dict(zip(entry.mark_streams, entry.mark_seqs, strict=True))
        if entry.kind is EntryKind.OPEN:
            if not self.begun:
                self.marks = marks
        elif marks:
            self.marks = marks
        elif entry.stream:
            self.marks[entry.stream] = max(entry.stream_seq, self.marks.get(entry.stream, entry.stream_seq))
        self.begun = True
        self.taken_us = max(self.taken_us, entry.taken_us)


def find_place(bootstrap: str, keys: KeyRing, account: str, partition: int) -> tuple[Place, Standing]:
    """Where the journal stands at its end, and the standing of who has read up to there.

    Reads from the entry with marks that its anchor witnesses; without one all of it. Raises ChainStopped where the log
    hasn't what the anchor witnesses, Unreachable.
    """
    place = Place()
    start = standing_of(bootstrap, keys, account, TOPIC, partition)
    marked = _witnessed(bootstrap, keys, account, partition)
    if marked is None:
        start = Standing(Head(), 0, 0)
    else:
        place.apply(marked)
    repairs = read_repairs(bootstrap, keys)
    follower = AccountFollower(bootstrap, keys, TOPIC, account, partition, start, repairs)
    for taken in follower.read_to():
        place.take(taken)
    return place, follower.standing()


def _witnessed(bootstrap: str, keys: KeyRing, account: str, partition: int) -> JournalEntry | None:
    """The entry with marks that the journal's anchor is the head of, if it is one."""
    anchor = last_anchor(bootstrap, keys, TOPIC, account)
    if anchor is None:
        return None
    for batch in read_range(bootstrap, TOPIC, partition, anchor.offset, anchor.offset + 1):
        try:
            entry = decode(batch[0].value() or b"")
        except UnreadableRecord:
            return None
        if isinstance(entry, JournalEntry) and entry.mac == anchor.head_mac and entry.mark_streams and entry.seq:
            return entry
    return None
