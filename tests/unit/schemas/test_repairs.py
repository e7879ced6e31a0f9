"""A Repair is the only way past a damaged fact."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest

from schemas.accept import Head, Verdict
from schemas.chains import Chains, repairs_in
from schemas.events import Repair
from schemas.integrity import ZERO_MAC
from schemas.registry import seal
from schemas.ticks import decode_block
from tests.chain_logs import OURS, PARTITION, Record, at, judged, sound_log, specs, taken, the_other_goes_on
from tests.records import KEYS, STRANGER, ChainOfTicks


def repair(offset: int, value: bytes | None, head: Head) -> Repair:
    """A Repair as it lies on `reference`."""
    return Repair(
        epoch=1, nonce=bytes(8), seq=1, ref_no=1, effective_from_us=0, written_us=0, topic="ticks",
        partition=PARTITION, offset=offset, value_sha256=hashlib.sha256(value or b"").digest(), chain=OURS,
        head_epoch=head.epoch, head_nonce=head.nonce, head_seq=head.seq, head_n=head.n, head_ref_no=head.ref_no,
        head_mac=head.mac, reason="a disk failed", who="the operator", key_id="k1", prev=ZERO_MAC, mac=ZERO_MAC,
    )  # fmt: skip


def damaged_log() -> tuple[list[Record], Head]:
    """A log whose link 2 was changed, and the head after the true link."""
    log = sound_log()
    chains = Chains("ticks", KEYS)
    for i in range(at(2) + 1):
        chains.judge(PARTITION, i, log[i][0].encode(), log[i][1])
    value = bytearray(log[at(2)][1] or b"")
    value[60] ^= 1
    log[at(2)] = (OURS, bytes(value))
    return log, chains.heads[OURS]


def test_a_repair_leads_past_a_changed_record_whose_ticks_are_not_folded() -> None:
    log, head = damaged_log()
    found = judged(log, [repair(at(2), log[at(2)][1], head)])
    it = found[at(2)]
    assert (it.verdict, it.chain, it.alert) == (Verdict.REPAIRED, OURS, False)
    assert it.reason == "repaired by the operator: a disk failed"
    assert taken(found, OURS) == [1, 3, 4, 5]
    assert the_other_goes_on(found)


def test_a_repair_leads_past_a_hole() -> None:
    log, _ = damaged_log()
    third = decode_block(log[at(3)][1] or b"")
    head = Head(third.epoch, third.nonce, 3, third.first_n + 3, 1, third.mac)
    found = judged(log, [repair(at(3), log[at(3)][1], head)])
    assert [found[at(i)].verdict for i in (2, 3)] == [Verdict.FORGED, Verdict.REPAIRED]
    assert taken(found, OURS) == [1, 4, 5]
    assert the_other_goes_on(found)


@pytest.mark.parametrize(
    "changed",
    [
        {"value_sha256": bytes(32)},
        {"partition": PARTITION + 1},
        {"offset": at(2) + 1},
        {"topic": "reference"},
    ],
)
def test_a_repair_of_something_else_changes_nothing(changed: dict[str, Any]) -> None:
    log, head = damaged_log()
    found = judged(log, [dataclasses.replace(repair(at(2), log[at(2)][1], head), **changed)])
    assert [j.verdict for j in found] == [j.verdict for j in judged(log)]
    assert taken(found, OURS) == [1]


def test_a_repair_that_comes_later_holds_from_then_on() -> None:
    log, head = damaged_log()
    chains = Chains("ticks", KEYS)
    chains.add_repairs([repair(at(2), log[at(2)][1], head)])
    for i, (key, value) in enumerate(log):
        chains.judge(PARTITION, i, key.encode(), value)
    assert (chains.heads[OURS].seq, chains.heads[OURS].stopped) == (5, "")
    assert chains.counts == {Verdict.TAKE: 11, Verdict.REPAIRED: 1}


def test_only_a_sealed_repair_is_one() -> None:
    sound = repair(0, b"x", Head())
    values = [
        seal(sound, "reference", KEYS), seal(sound, "reference", STRANGER), seal(sound, "ticks", KEYS), b"", b"none",
        ChainOfTicks(OURS).open(), seal(specs()[1], "reference", KEYS),
    ]  # fmt: skip
    assert repairs_in(values, KEYS) == [dataclasses.replace(sound, mac=values[0][-16:])]
