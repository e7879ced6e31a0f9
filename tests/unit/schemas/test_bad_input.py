"""What may lie on a topic of facts: each gets its verdict, reason, alert and position, nothing of it is folded, and the
other chains of the partition go on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from schemas.accept import Verdict
from schemas.catalogue import MAX_VALUE_BYTES
from schemas.chains import Chains, Position, heads_digest
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.ticks import BlockKind, Columns, decode_block, encode_block, seal_block
from tests.chain_logs import ELSEWHERE, OTHER, OURS, PARTITION, at, judged, sound_log, taken, the_other_goes_on
from tests.records import KEYS, STRANGER, ChainOfTicks


def test_of_a_sound_log_every_record_is_taken() -> None:
    found = judged(sound_log())
    assert {(j.verdict, j.reason, j.alert) for j in found} == {(Verdict.TAKE, "", False)}
    assert taken(found, OURS) == taken(found, OTHER) == [1, 2, 3, 4, 5]
    assert [j.position for j in found] == [Position("ticks", PARTITION, i) for i in range(12)]


def fields_of(value: bytes) -> dict[str, tuple[int, int]]:
    """Where each field of a block's value starts and ends."""
    block = decode_block(value)
    blank = block._replace(mac=ZERO_MAC)
    assert encode_block(blank)[:-16] == value[:-16]
    changed = {
        "kind": BlockKind.OPEN, "listing": "tesT/EURUSD", "epoch": 2, "nonce": b"another.", "seq": 1, "first_n": 1,
        "ref_no": 2, "source": 1, "received_us": 1, "server_offset_s": 1, "gap": True, "watermark_ms": 1,
        "key_id": "k2", "prev": b"p" * 16,
        **{n: getattr(block, n) + 1 for n in ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")},
    }  # fmt: skip
    found = {}
    for name, other in changed.items():
        one, two = encode_block(blank), encode_block(blank._replace(**{name: other}))
        assert len(one) == len(two), name
        differing = [i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
        found[name] = (differing[0], differing[-1] + 1)
    return found | {"mac": (len(value) - 16, len(value)), "magic": (0, 1), "schema id": (1, 5)}


def test_a_byte_changed_in_any_place_is_forged_and_stops_its_chain_at_the_next_link() -> None:
    log = sound_log()
    value = log[at(2)][1]
    assert value is not None
    for i in range(len(value)):
        for bits in (0x01, 0x80):
            changed = bytearray(value)
            changed[i] ^= bits
            log[at(2)] = (OURS, bytes(changed))
            found = judged(log)
            it = found[at(2)]
            assert (it.verdict, it.alert) == (Verdict.FORGED, True), (i, bits)
            assert it.reason
            after = found[at(3)]
            assert (after.verdict, after.alert, after.chain) == (Verdict.STOP, True, OURS)
            assert after.reason == "link 3 comes after link 1"
            assert [j.verdict for j in found[at(4) :: 2]] == [Verdict.STOP, Verdict.STOP]
            assert not any(j.alert for j in found[at(4) :: 2]), "one alert is enough"
            assert taken(found, OURS) == [1]
            assert the_other_goes_on(found)


REASONS = {
    "magic": "its magic byte is 1, not 0",
    "schema id": "its schema id 16777217 is not a TickBlock's",
    "kind": "an enum has an unknown symbol|its MAC is wrong",
    "key_id": "its key .* is not in the ring",
}


def test_each_field_changed_has_a_reason() -> None:
    log = sound_log()
    value = log[at(2)][1]
    assert value is not None
    assert len(fields_of(value)) == 24
    for name, (start, _) in fields_of(value).items():
        changed = bytearray(value)
        changed[start] ^= 1
        log[at(2)] = (OURS, bytes(changed))
        reason = judged(log)[at(2)].reason
        assert re.search(REASONS.get(name, "its MAC is wrong|can't be read as a TickBlock: "), reason), (name, reason)


def test_an_open_that_was_changed_stops_its_chain_at_the_first_link() -> None:
    log = sound_log()
    value = bytearray(log[0][1] or b"")
    value[20] ^= 1
    log[0] = (OURS, bytes(value))
    found = judged(log)
    assert found[0].verdict is Verdict.FORGED
    assert (found[at(1)].verdict, found[at(1)].alert) == (Verdict.STOP, True)
    assert found[at(1)].reason == "no OPEN of its epoch 1 is on the log"
    assert taken(found, OURS) == []
    assert the_other_goes_on(found)


def test_a_link_that_is_dropped_stops_its_chain_at_the_next_one() -> None:
    log = sound_log()
    del log[at(2)]
    found = judged(log)
    stop = next(j for j in found if j.verdict is Verdict.STOP)
    assert (stop.chain, stop.reason, stop.alert) == (OURS, "link 3 comes after link 1", True)
    assert stop.position == Position("ticks", PARTITION, at(3) - 1)
    assert taken(found, OURS) == [1]
    assert the_other_goes_on(found)


def test_two_links_that_are_swapped_stop_their_chain_at_the_first_of_them() -> None:
    log = sound_log()
    log[at(2)], log[at(3)] = log[at(3)], log[at(2)]
    found = judged(log)
    assert (found[at(2)].verdict, found[at(2)].reason) == (Verdict.STOP, "link 3 comes after link 1")
    assert taken(found, OURS) == [1]
    assert the_other_goes_on(found)


def test_a_link_of_this_epoch_once_more_is_seen_and_alerted_unless_it_is_the_head() -> None:
    log = sound_log()
    log.insert(at(4) + 1, log[at(2)])
    log.insert(at(4) + 1, log[at(4)])
    found = judged(log)
    head, earlier = found[at(4) + 1], found[at(4) + 2]
    assert (head.verdict, head.alert) == (Verdict.SEEN, False)
    assert (earlier.verdict, earlier.alert, earlier.reason) == (Verdict.SEEN, True, "link 2 once more, after link 4")
    assert taken(found, OURS) == [1, 2, 3, 4, 5]
    assert the_other_goes_on(found)


def test_an_open_once_more_is_void() -> None:
    log = sound_log()
    log.insert(at(4), log[0])
    found = judged(log)
    assert (found[at(4)].verdict, found[at(4)].alert) == (Verdict.VOID, False)
    assert taken(found, OURS) == [1, 2, 3, 4, 5]


def test_a_tail_that_is_cut_shows_at_the_head_that_an_anchor_witnesses() -> None:
    whole, cut = Chains("ticks", KEYS), Chains("ticks", KEYS)
    for i, (key, value) in enumerate(sound_log()):
        whole.judge(PARTITION, i, key.encode(), value)
        if i < at(4):
            assert cut.judge(PARTITION, i, key.encode(), value).verdict is Verdict.TAKE, "nothing else shows it"
    assert (whole.heads[OURS].seq, cut.heads[OURS].seq) == (5, 3)
    assert heads_digest(whole.heads) != heads_digest(cut.heads)


def test_a_block_under_another_listings_key_is_forged() -> None:
    log = sound_log()
    log.insert(at(3), (OURS, log[at(2) + 1][1]))
    found = judged(log)
    assert (found[at(3)].verdict, found[at(3)].alert) == (Verdict.FORGED, True)
    assert found[at(3)].reason == f"it is of {OTHER} and lies under the key '{OURS}'"
    assert taken(found, OURS) == [1, 2, 3, 4, 5]
    assert the_other_goes_on(found)


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe"])
def test_a_block_under_no_key_or_one_that_is_no_text_is_forged(key: bytes | None) -> None:
    chain = ChainOfTicks(OURS)
    found = Chains("ticks", KEYS).judge(PARTITION, 0, key, chain.open())
    assert found.verdict is Verdict.FORGED
    assert f"it is of {OURS} and lies under the key" in found.reason


def test_a_block_on_another_partition_is_forged() -> None:
    """There, its listing's readers would not see it, and others would."""
    found = Chains("ticks", KEYS).judge(PARTITION, 0, ELSEWHERE.encode(), ChainOfTicks(ELSEWHERE).open())
    assert (found.verdict, found.reason) == (Verdict.FORGED, f"it is of {ELSEWHERE} and lies on the wrong partition")


def of_another_topic() -> bytes:
    return KEYS.seal("reference", "k1", ChainOfTicks(OURS).open())


def with_an_unknown_key() -> bytes:
    return ChainOfTicks(OURS, KeyRing({"k9": b"a key that no reader has"}, "k9")).open(2)


BAD: dict[str, tuple[Callable[[], bytes | None], str]] = {
    "an empty value": (lambda: b"", "it is empty"),
    "a tombstone": (lambda: None, "it is empty"),
    "an oversize value": (lambda: bytes(MAX_VALUE_BYTES + 1), "it has 1000001 bytes, more than 1000000"),
    "a few bytes": (lambda: b"\0\0\0", "3 bytes are too few for a record"),
    "text": (lambda: b'{"bid": 1.38}' * 9, "its magic byte is 123, not 0"),
    "an unknown schema id": (lambda: b"\0\0\0\0\x63" + bytes(60), "its schema id 99 is not a TickBlock's"),
    "an unknown key id": (with_an_unknown_key, "its key 'k9' is not in the ring"),
    "one written without the key": (lambda: ChainOfTicks(OURS, STRANGER).open(9), "its MAC is wrong"),
    "one of another topic": (of_another_topic, "its MAC is wrong"),
    "a block cut short": (lambda: ChainOfTicks(OURS).open()[:-1], "it can't be read as a TickBlock: it ends too early"),
    "a block with more behind": (lambda: ChainOfTicks(OURS).open() + b"\0", "bytes follow its end"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_intruders_record_is_forged_and_stops_nobody(name: str) -> None:
    make, reason = BAD[name]
    log = sound_log()
    log.insert(at(3), (OURS, make()))
    chains = Chains("ticks", KEYS)
    found = [chains.judge(PARTITION, i, key.encode(), value) for i, (key, value) in enumerate(log)]
    assert set(chains.heads) == {OURS, OTHER}
    it = found[at(3)]
    assert (it.verdict, it.alert, it.chain) == (Verdict.FORGED, True, "")
    assert reason in it.reason
    assert it.position == Position("ticks", PARTITION, at(3))
    assert taken(found, OURS) == [1, 2, 3, 4, 5]
    assert the_other_goes_on(found)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": BlockKind.UNKNOWN}, "it is neither OPEN nor DATA"),
        ({"kind": BlockKind.OPEN}, "an OPEN has neither number, ticks nor link"),
    ],
)
def test_a_block_that_is_neither_an_open_nor_a_link_is_forged(changed: dict[str, Any], reason: str) -> None:
    chain = ChainOfTicks(OURS)
    chain.open()
    found = Chains("ticks", KEYS).judge(PARTITION, 0, OURS.encode(), chain.data(**changed))
    assert (found.verdict, found.reason) == (Verdict.FORGED, reason)


@pytest.mark.parametrize("field", ["seq", "first_n", "ref_no"])
def test_an_open_with_a_number_is_forged(field: str) -> None:
    chain = ChainOfTicks(OURS)
    value = seal_block(decode_block(chain.open())._replace(**{field: 1}), KEYS)
    assert Chains("ticks", KEYS).judge(PARTITION, 0, OURS.encode(), value).verdict is Verdict.FORGED


def test_ticks_of_a_forged_block_leave_those_before_it_as_they_are() -> None:
    chain, stranger = ChainOfTicks(OURS), ChainOfTicks(OURS, STRANGER)
    chains, room = Chains("ticks", KEYS), Columns(2 * 4096)
    chains.judge(PARTITION, 0, OURS.encode(), chain.open())
    stranger.open()
    first = chains.judge(PARTITION, 1, OURS.encode(), chain.data(5), room, 0)
    before = first.record.bid.tobytes()
    assert chains.judge(PARTITION, 2, OURS.encode(), stranger.data(9), room, 5).verdict is Verdict.FORGED
    second = chains.judge(PARTITION, 3, OURS.encode(), chain.data(4), room, 5)
    assert first.record.bid.tobytes() == before
    assert second.record.time_ms.tolist() == room.time_ms[5:9].tolist()
