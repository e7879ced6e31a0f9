"""accept() applied to the records of a topic: the book of heads that every reader carries.

A reader hands each Kafka record to `judge` in the order of its partition and folds what is taken. The book is plain
data: what a reader has to keep beside its own state are the heads (or marks), which go into its snapshot, database
transaction or anchor.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from schemas import events
from schemas.accept import Forgery, Head, Link, Mark, Numbered, Verdict, accept, accept_numbered
from schemas.catalogue import ACCOUNT_TOPICS, MAX_VALUE_BYTES, TOPICS, partition_of
from schemas.events import ReferenceRecord, Repair
from schemas.executions import AccountOpen
from schemas.identity import InvalidName, parse_listing, split_operator
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.journal import EntryKind, JournalEntry
from schemas.registry import Record, UnreadableRecord, decode, schema_id
from schemas.ticks import TICK_BLOCK_ID, BlockKind, Columns, TickBlock, decode_block, decode_into

REFERENCE_CHAIN = "reference"

Partitions = Mapping[str, int] | Callable[[str], int | None]
"""The partition of each account by its AccountConfig; None for one that `reference` doesn't have. One that reads on
when it is asked never takes an account that has just been configured for an intruder's."""


class Position(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int


class Judged(NamedTuple):
    """A record with its verdict. `chain` is the listing or account (for `reference`, that word; for derived records
    operator, and listing or account), empty if it can't be told; `record` is None if the bytes can't be read; `alert`
    if somebody has to look.
    """

    verdict: Verdict
    chain: str
    record: Any
    reason: str
    alert: bool
    position: Position


class Read(NamedTuple):
    """A record of a fact as it was read: a Forgery if its MAC, encoding, key or partition is wrong."""

    chain: str
    record: Any
    link: Link | Forgery
    position: Position
    value: bytes | None


class Chains:
    """The chains of one topic of facts, each with the head where this reader stands: a chain a listing on `ticks`, one
    on `reference`, a chain an account on `journal`, `executions` and `commands`, whose `partitions` have to be told.
    """

    def __init__(
        self, topic: str, keys: KeyRing, repairs: Iterable[Repair] = (), partitions: Partitions | None = None
    ) -> None:
        self.topic = topic
        self.heads: dict[str, Head] = {}
        self.counts: Counter[Verdict] = Counter()
        self._keys = keys
        self._partition_of = _told(topic, partitions)
        self._repairs: dict[tuple[int, int], Repair] = {}
        self.add_repairs(repairs)

    def add_repairs(self, repairs: Iterable[Repair]) -> None:
        """Repairs that hold from now on; they are read ahead, before the damaged record is met."""
        for repair in repairs:
            if repair.topic == self.topic:
                self._repairs[repair.partition, repair.offset] = repair

    def has_repair(self, partition: int) -> bool:
        """Whether a Repair is about a record of the partition."""
        return bool(self._repairs) and any(place[0] == partition for place in self._repairs)

    def move_on(self, chain: str, head: Head, links: int) -> None:
        """Takes `links` links in one go, the last of which is `head`: for who has checked that accept() takes each."""
        self.heads[chain] = head
        self.counts[Verdict.TAKE] += links

    def judge(
        self,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        columns: Columns | None = None,
        first: int = 0,
    ) -> Judged:
        """What the record is to this reader; moves the chain's head. Ticks go into `columns` at `first`, if given."""
        return self.settle(self.read(partition, offset, key, value, columns, first))

    def read(
        self,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        columns: Columns | None = None,
        first: int = 0,
    ) -> Read:
        """The record with MAC and encoding checked, before it is held against its chain: moves nothing."""
        chain, record, link = self._read(partition, key, value, columns, first)
        return Read(chain, record, link, Position(self.topic, partition, offset), value)

    def settle(self, read: Read) -> Judged:
        """The verdict on what was read; moves the chain's head."""
        chain, record, link, position, value = read
        verdict, head, reason, alert = accept(self.heads.get(chain, _START), link)
        repair = self._repairs.get(position[1:]) if self._repairs else None
        if repair is not None and fits(repair, value):
            chain, alert = repair.chain, False
            head = new_head(repair)
            if verdict is not Verdict.TAKE:
                verdict, reason = Verdict.REPAIRED, f"repaired by {repair.who}: {repair.reason}"
        if verdict is not Verdict.FORGED:
            self.heads[chain] = head
        self.counts[verdict] += 1
        return Judged(verdict, chain, record, reason, alert, position)

    def _read(
        self, partition: int, key: bytes | None, value: bytes | None, columns: Columns | None, first: int
    ) -> tuple[str, Any, Link | Forgery]:
        """(chain, record, what accept() sees). MAC and encoding come first, always."""
        if not value:
            return "", None, Forgery("it is empty")
        if len(value) > MAX_VALUE_BYTES:
            return "", None, Forgery(f"it has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
        try:
            if self.topic == "ticks":
                block = decode_block(value) if columns is None else decode_into(value, columns, first)
                if not self._keys.holds(self.topic, block.key_id, value):
                    return "", block, Forgery(self._bad_mac(block.key_id))
                if key is None or key != block.listing.encode():
                    return "", block, Forgery(f"it is of {block.listing} and lies under the key {_shown(key)}")
                if partition != _partition(block.listing):
                    return "", block, Forgery(f"it is of {block.listing} and lies on the wrong partition")
                return block.listing, block, _tick_link(block)
            record = decode(value)
            if not self._keys.holds(self.topic, getattr(record, "key_id", ""), value):
                return "", record, Forgery(self._bad_mac(getattr(record, "key_id", "")))
            if self.topic == REFERENCE_CHAIN:
                return REFERENCE_CHAIN, record, reference_link(record)
            if type(record).__name__ not in TOPICS[self.topic].records:
                return "", record, Forgery(f"a {type(record).__name__} doesn't belong on {self.topic}")
            account: str = record.account  # type: ignore[union-attr]
            wrong = _misplaced(account, self._partition_of(account), partition, key)
            return (account, record, account_link(record)) if not wrong else ("", record, Forgery(wrong))
        except UnreadableRecord as error:
            return "", None, Forgery(str(error))

    def _bad_mac(self, key_id: str) -> str:
        if key_id not in self._keys:
            return f"its key {key_id!r} is not in the ring"
        return "its MAC is wrong: a byte was changed, or it was written without the key"


class Derivations:
    """The derived records of one topic, each operator and listing (of an account's topics: operator and account) with
    the number due next. `partitions` have to be told for an account's topics.
    """

    def __init__(self, topic: str, keys: KeyRing, partitions: Partitions | None = None) -> None:
        self.topic = topic
        self.marks: dict[tuple[str, str], Mark] = {}
        self.counts: Counter[Verdict] = Counter()
        self._keys = keys
        self._of_accounts = topic in ACCOUNT_TOPICS
        self._partition_of = _told(topic, partitions)

    def judge(self, partition: int, offset: int, key: bytes | None, value: bytes | None) -> Judged:
        """What the record is to this reader; moves the mark of its operator and listing or account."""
        position = Position(self.topic, partition, offset)
        try:
            record = self._read(partition, key, value)
        except (UnreadableRecord, InvalidName) as error:
            self.counts[Verdict.FORGED] += 1
            return Judged(Verdict.FORGED, "", None, str(error), True, position)
        whose = (record.operator, self._whom(record))
        verdict, mark, reason, alert = accept_numbered(self.marks.get(whose, _FIRST), Numbered(record.out_seq))
        self.marks[whose] = mark
        self.counts[verdict] += 1
        return Judged(verdict, "/".join(whose), record, reason, alert, position)

    def _whom(self, record: Any) -> str:
        found: str = record.account if self._of_accounts else record.listing
        return found

    def _read(self, partition: int, key: bytes | None, value: bytes | None) -> Any:
        if not value:
            raise UnreadableRecord("it is empty")
        if len(value) > MAX_VALUE_BYTES:
            raise UnreadableRecord(f"it has {len(value)} bytes, more than {MAX_VALUE_BYTES}")
        record: Any = decode(value)
        if type(record).__name__ not in TOPICS[self.topic].records:
            raise UnreadableRecord(f"a {type(record).__name__} doesn't belong on {self.topic}")
        if hasattr(record, "mac") and not self._keys.holds(self.topic, record.key_id, value):
            raise UnreadableRecord("its MAC is wrong: a byte was changed, or it was written without the key")
        split_operator(record.operator)
        whom = self._whom(record)
        if not self._of_accounts:
            parse_listing(whom)
        if wrong := _misplaced(whom, self._partition_of(whom), partition, key):
            raise UnreadableRecord(wrong)
        return record


def _told(topic: str, partitions: Partitions | None) -> Callable[[str], int | None]:
    """What tells the partition of a chain's key on `topic`."""
    if topic not in ACCOUNT_TOPICS:
        return lambda key: partition_of(topic, key)
    if partitions is None:
        raise TypeError(f"the partitions of accounts on {topic} have to be told: only reference has them")
    return partitions if callable(partitions) else partitions.get


def _misplaced(whom: str, expected: int | None, partition: int, key: bytes | None) -> str:
    """Why a record of `whom` doesn't belong where it lies; empty if it does."""
    if key != whom.encode():
        return f"it is of {whom} and lies under the key {_shown(key)}"
    if expected is None:
        return f"it is of {whom}, an account that reference doesn't have"
    if partition != expected:
        return f"it is of {whom} and lies on the wrong partition"
    return ""


def repairs_in(values: Iterable[bytes], keys: KeyRing) -> list[Repair]:
    """The Repairs among the values of `reference`, with their MAC right, wherever their chain stands."""
    found = []
    for value in values:
        try:
            if value and schema_id(value) != TICK_BLOCK_ID:
                record = decode(value)
                if isinstance(record, Repair) and keys.holds(REFERENCE_CHAIN, record.key_id, value):
                    found.append(record)
        except UnreadableRecord:
            # Judged, and alerted, by whoever reads the chain.
            continue
    return found


def fits(repair: Repair, value: bytes | None) -> bool:
    """Whether the repair is of these bytes."""
    return hashlib.sha256(value or b"").digest() == repair.value_sha256


def new_head(repair: Repair) -> Head:
    """The head that the chain goes on from."""
    return Head(
        repair.head_epoch,
        repair.head_nonce,
        repair.head_seq,
        repair.head_n,
        repair.head_ref_no,
        repair.head_mac,
    )


def reference_link(record: Record) -> Link | Forgery:
    """What accept() sees of a record of `reference`: its items are itself, so n is the last reference number."""
    if isinstance(record, events.ReferenceOpen):
        if record.seq or record.prev != ZERO_MAC:
            return Forgery("an OPEN has neither number nor link")
        return Link(True, record.epoch, record.nonce, 0, 0, 0, 0, record.prev, record.mac)
    if not isinstance(record, ReferenceRecord):
        return Forgery(f"a {type(record).__name__} doesn't belong on reference")
    number = record.ref_no
    return Link(False, record.epoch, record.nonce, record.seq, number - 1, 1, number, record.prev, record.mac)


def account_link(record: Record) -> Link | Forgery:
    """What accept() sees of a record of `journal`, `executions` or `commands`: its items are itself."""
    if isinstance(record, AccountOpen) or (isinstance(record, JournalEntry) and record.kind is EntryKind.OPEN):
        if record.seq or record.prev != ZERO_MAC:
            return Forgery("an OPEN has neither number nor link")
        return Link(True, record.epoch, record.nonce, 0, 0, 0, 0, record.prev, record.mac)
    made: Any = record
    return Link(False, made.epoch, made.nonce, made.seq, made.seq - 1, 1, 0, made.prev, made.mac)


def _tick_link(block: TickBlock) -> Link | Forgery:
    if block.kind == BlockKind.DATA:
        items = len(block.time_ms)
        return Link(
            False, block.epoch, block.nonce, block.seq, block.first_n, items, block.ref_no, block.prev, block.mac
        )
    if block.kind != BlockKind.OPEN:
        return Forgery("it is neither OPEN nor DATA")
    if block.seq or block.first_n or block.ref_no or len(block.time_ms) or block.prev != ZERO_MAC:
        return Forgery("an OPEN has neither number, ticks nor link")
    return Link(True, block.epoch, block.nonce, 0, 0, 0, 0, block.prev, block.mac)


def _partition(listing: str) -> int:
    found = _PARTITIONS.get(listing)
    if found is None:
        found = _PARTITIONS[listing] = partition_of("ticks", listing)
    return found


def _shown(key: bytes | None) -> str:
    return "none" if key is None else repr(key.decode(errors="backslashreplace"))


def heads_digest(heads: Mapping[str, Head]) -> str:
    """A digest of where a reader stands, to compare readers."""
    text = "\n".join(f"{chain} {head.seq} {head.n} {head.mac.hex()}" for chain, head in sorted(heads.items()))
    return hashlib.sha256(text.encode()).hexdigest()


_START = Head()
_FIRST = Mark()
_PARTITIONS: dict[str, int] = {}
