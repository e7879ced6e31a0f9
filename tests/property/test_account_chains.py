"""An account's chains as writers make them, with starts, late batches and copies, and then tampered with.

On the sound log every link is taken once and in order. On the tampered one a reader takes a part of the same, up to the
place, and stops at the next real link; what an intruder adds changes nothing; the other account always goes on.
"""

from __future__ import annotations

import dataclasses
import typing
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.accept import Verdict
from schemas.catalogue import ACCOUNT_FACTS, ACCOUNT_TOPICS
from schemas.chains import Chains, Derivations, Judged
from schemas.executions import AccountOpen, Command, CommandKind, OrderRequest, Sending
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.journal_codec import Head, encode_taken
from schemas.registry import encode, schemas, seal
from tests.records import KEYS, STRANGER

OURS, OTHER, PARTITION = "ours", "other", 5
PARTITIONS = {OURS: PARTITION, OTHER: PARTITION, "elsewhere": PARTITION + 1}

Record = tuple[str, bytes]
"""Key and value."""


@dataclasses.dataclass
class Writer:
    """Makes the sealed values of an account's chain, one after the other."""

    topic: str
    account: str
    keys: KeyRing = KEYS
    epoch: int = 0
    nonce: bytes = bytes(8)
    seq: int = 0
    prev: bytes = ZERO_MAC

    def open(self) -> bytes:
        self.epoch += 1
        self.nonce = self.epoch.to_bytes(8, "big")
        if self.topic == "journal":
            return self._sealed(self._entry(EntryKind.OPEN, 0, ZERO_MAC))
        opening = AccountOpen(**self._facts(0, ZERO_MAC))
        return seal(opening, self.topic, self.keys)

    def link(self) -> bytes:
        self.seq += 1
        if self.topic == "journal":
            value = self._sealed(self._entry(EntryKind.INPUT, self.seq, self.prev))
        else:
            value = seal(self._record(), self.topic, self.keys)
        self.prev = value[-16:]
        return value

    def _record(self) -> Sending | Command:
        facts = self._facts(self.seq, self.prev)
        if self.topic == "executions":
            return Sending(**facts, order_no=self.seq, request=OrderRequest.PLACE)
        return Command(**facts, kind=CommandKind.HALT, who="w", why="", argument="", valid_until_us=0)

    def _facts(self, seq: int, prev: bytes) -> dict[str, Any]:
        return {
            "epoch": self.epoch, "nonce": self.nonce, "seq": seq, "account": self.account, "written_us": 0,
            "key_id": self.keys.current, "prev": prev, "mac": ZERO_MAC,
        }  # fmt: skip

    def _entry(self, kind: EntryKind, seq: int, prev: bytes) -> bytes:
        head = Head(JournalSource.LIVE, self.account, self.epoch, self.nonce, seq, self.keys.current, prev)
        return encode_taken(kind, head, seq, "commands" if seq else "", seq or -1, b"", {"commands": seq})

    def _sealed(self, value: bytes) -> bytes:
        return self.keys.seal(self.topic, self.keys.current, value)


class Move(NamedTuple):
    """What happens next to an account's chain."""

    kind: str
    account: str
    much: int


topics = st.sampled_from(sorted(ACCOUNT_FACTS))
moves = st.lists(
    st.builds(
        Move,
        st.sampled_from(["write", "write", "write", "twin", "late", "copy"]),
        st.sampled_from([OURS, OURS, OTHER]),
        st.integers(0, 4),
    ),
    max_size=20,
)


def log_of(topic: str, some: list[Move]) -> list[Record]:
    """The partition after the moves; each chain starts with an OPEN."""
    writers = {name: Writer(topic, name) for name in (OURS, OTHER)}
    late: dict[str, list[bytes]] = {OURS: [], OTHER: []}
    log = [(name, writer.open()) for name, writer in writers.items()]
    for kind, name, much in some:
        writer = writers[name]
        match kind:
            case "write":
                log.append((name, writer.link()))
            case "twin":
                # The old writer has sent `much` more that will arrive after the new one's OPEN.
                old = dataclasses.replace(writer)
                late[name] += [old.link() for _ in range(much)]
                log.append((name, writer.open()))
            case "late":
                log += [(name, value) for value in late[name]]
                late[name] = []
            case "copy":
                own = [record for record in log if record[0] == name]
                log.append(own[-1 - much % len(own)])
    return log


def judged(topic: str, log: list[Record]) -> list[Judged]:
    chains = Chains(topic, KEYS, (), PARTITIONS)
    return [chains.judge(PARTITION, at, key.encode(), value) for at, (key, value) in enumerate(log)]


def contents(topic: str, log: list[Record], account: str) -> list[bytes]:
    """What a reader takes of an account's chain; it is numbered without a hole."""
    found = [
        (j.record.seq, value)
        for j, (_, value) in zip(judged(topic, log), log, strict=True)
        if j.verdict is Verdict.TAKE and j.chain == account and j.record.seq
    ]
    assert [seq for seq, _ in found] == list(range(1, len(found) + 1))
    return [value for _, value in found]


@settings(deadline=None, max_examples=60)
@given(topics, moves)
def test_on_a_sound_log_nothing_is_doubled_skipped_or_stopped(topic: str, some: list[Move]) -> None:
    log = log_of(topic, some)
    assert {j.verdict for j in judged(topic, log)} <= {Verdict.TAKE, Verdict.VOID, Verdict.SEEN}
    for account in (OURS, OTHER):
        written = sum(1 for move in some if move.kind == "write" and move.account == account)
        assert len(contents(topic, log, account)) == written


@settings(deadline=None, max_examples=60)
@given(topics, moves, st.data())
def test_an_intruder_without_key_changes_nothing(topic: str, some: list[Move], data: st.DataObject) -> None:
    log = log_of(topic, some)
    sound = {name: contents(topic, log, name) for name in (OURS, OTHER)}
    stranger, elsewhere = Writer(topic, OURS, STRANGER), Writer(topic, "elsewhere")
    others = [t for t in sorted(ACCOUNT_FACTS) if t != topic]
    intruders = [
        (OURS, b""), (OURS, b"junk"), (OURS, stranger.open()), (OURS, stranger.link()),
        (OTHER, log[0][1]), ("elsewhere", elsewhere.open()), ("nobody", Writer(topic, "nobody").open()),
        *((OURS, Writer(other, OURS).open()) for other in others),
    ]  # fmt: skip
    for _ in range(data.draw(st.integers(1, 4))):
        log.insert(data.draw(st.integers(0, len(log))), data.draw(st.sampled_from(intruders)))
    assert {name: contents(topic, log, name) for name in (OURS, OTHER)} == sound


@settings(deadline=None, max_examples=100)
@given(topics, moves, st.data())
def test_a_changed_or_dropped_link_stops_its_chain_at_the_next_and_no_other(
    topic: str, some: list[Move], data: st.DataObject
) -> None:
    log = log_of(topic, [Move("write", OURS, 0), Move("write", OURS, 0), *some])
    sound = {name: contents(topic, log, name) for name in (OURS, OTHER)}
    place = data.draw(st.integers(0, len(sound[OURS]) - 1))
    at = log.index((OURS, sound[OURS][place]))
    value = log[at][1]
    copies = log.count(log[at])
    if data.draw(st.booleans()):
        log = [record for record in log if record[1] != value]
    else:
        bit = data.draw(st.integers(0, 8 * len(value) - 1))
        changed = bytearray(value)
        changed[bit // 8] ^= 1 << bit % 8
        log = [(key, bytes(changed) if one == value else one) for key, one in log]
    assert contents(topic, log, OURS) == sound[OURS][:place]
    assert contents(topic, log, OTHER) == sound[OTHER]
    stopped = any(j.verdict is Verdict.STOP and j.alert for j in judged(topic, log))
    assert stopped == (place < len(sound[OURS]) - 1) or copies > 1


def test_the_partition_of_an_account_has_to_be_told() -> None:
    for topic in ACCOUNT_TOPICS:
        with pytest.raises(TypeError, match=f"the partitions of accounts on {topic} have to be told"):
            (Chains if topic in ACCOUNT_FACTS else Derivations)(topic, KEYS)


def test_an_open_that_has_a_number_is_forged() -> None:
    opening = AccountOpen(
        epoch=1, nonce=bytes(8), seq=1, account=OURS, written_us=0, key_id="k1", prev=ZERO_MAC, mac=ZERO_MAC
    )
    (found,) = judged("executions", [(OURS, seal(opening, "executions", KEYS))])
    assert (found.verdict, found.reason) == (Verdict.FORGED, "an OPEN has neither number nor link")


def decided(topic: str, out_seq: int) -> list[Any]:
    """A record of each type on a topic of the desk, with blank content."""
    found = []
    for name in ACCOUNT_TOPICS[topic].records:
        schema = schemas()[name]
        assert schema.record is not None
        blank = {f["name"]: _blank(f["type"]) for f in schema.avro["fields"]}
        values = blank | {"operator": "desk@1", "account": OURS, "out_seq": out_seq}
        if "mac" in values:
            values |= {"key_id": "k1", "mac": ZERO_MAC}
        record = _record_of(schema.record, values)
        found.append(record)
    return found


def _blank(avro: Any) -> Any:
    if isinstance(avro, list):
        return None
    if isinstance(avro, dict):
        return {"enum": "UNKNOWN", "fixed": ZERO_MAC, "array": (), "bytes": 0}[avro["type"]]
    return {"boolean": False, "string": "", "double": 0.0}.get(avro, 0)


def _record_of(kind: type[Any], values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    typed = {}
    for name, value in values.items():
        hint = hints[name]
        if isinstance(hint, type) and issubclass(hint, Enum):
            value = hint[value] if value else next(iter(hint))
        elif hint is Decimal:
            value = Decimal(0)
        typed[name] = value
    return kind(**typed)


@pytest.mark.parametrize("topic", sorted(ACCOUNT_TOPICS.keys() - ACCOUNT_FACTS))
def test_decisions_are_numbered_by_operator_and_account_and_those_with_a_mac_need_it(topic: str) -> None:
    derivations = Derivations(topic, KEYS, PARTITIONS)
    kinds = decided(topic, 0)
    for out_seq, record in enumerate(kinds):
        numbered = dataclasses.replace(record, out_seq=out_seq)
        sealed = hasattr(record, "mac")
        value = seal(numbered, topic, KEYS) if sealed else encode(numbered)
        found = derivations.judge(PARTITION, out_seq, OURS.encode(), value)
        assert (found.verdict, found.chain) == (Verdict.TAKE, f"desk@1/{OURS}")
        assert derivations.judge(PARTITION, out_seq, OURS.encode(), value).verdict is Verdict.SEEN
        wrong = [(PARTITION + 1, OURS, value), (PARTITION, OTHER, value)]
        if sealed:
            wrong += [(PARTITION, OURS, seal(numbered, topic, STRANGER)), (PARTITION, OURS, encode(numbered))]
        for partition, key, bad in wrong:
            assert derivations.judge(partition, 9, key.encode(), bad).verdict is Verdict.FORGED
    ahead = dataclasses.replace(kinds[0], out_seq=len(kinds) + 1)
    value = seal(ahead, topic, KEYS) if hasattr(ahead, "mac") else encode(ahead)
    assert derivations.judge(PARTITION, 10, OURS.encode(), value).verdict is Verdict.AHEAD


def test_a_journal_entry_is_read_with_its_account_as_its_chain() -> None:
    log = log_of("journal", [Move("write", OURS, 0)])
    found = judged("journal", log)[-1]
    assert found.chain == OURS
    assert isinstance(found.record, JournalEntry)
