"""`reference` on a real broker: whoever writes opens an epoch, writes what is missing, reads back and leaves."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from infra.chain_follower import ChainStopped, Fenced, read_repairs
from infra.clock import FixedClock
from infra.kafka import end_of, new_producer, read_range, send_and_wait
from infra.keys import load_or_create, ring_file
from infra.reference_log import SealedByOthers, append_reference, read_reference
from schemas.accept import Verdict
from schemas.chains import Chains
from schemas.events import ListingSpec, ReferenceOpen, ReferenceRecord
from schemas.integrity import KeyRing
from schemas.registry import seal
from tests.chain_logs import specs
from tests.conftest import StartStack, TestStack
from tests.integration.log.appending import spec_of
from tests.integration.log.place import ROOT, Place

pytestmark = pytest.mark.stack

CLOCK = FixedClock(1_790_000_000_000_000)


def missing(*listings: str):  # type: ignore[no-untyped-def]
    def wanted(records: list[ReferenceRecord]) -> list[ReferenceRecord]:
        there = {r.listing for r in records if isinstance(r, ListingSpec)}
        return [spec_of(name) for name in listings if name not in there]

    return wanted


def test_what_is_missing_is_written_numbered_and_sealed_once(place: Place) -> None:
    names = [f"{place.listing}{i}" for i in range(3)]
    before = len(read_reference(place.kafka, place.keys)[0])
    records = append_reference(place.kafka, place.keys, CLOCK, missing(*names))
    ours = [r for r in records if isinstance(r, ListingSpec) and r.listing in names]
    assert [r.ref_no for r in ours] == [before + 1, before + 2, before + 3]
    assert {r.written_us for r in ours} == {CLOCK.now_us()}
    again = append_reference(place.kafka, place.keys, CLOCK, missing(*names))
    read, head = read_reference(place.kafka, place.keys)
    assert again == records == read
    assert (head.n, head.ref_no, head.seq) == (len(read), len(read), len(read))


def test_nothing_missing_opens_no_epoch(place: Place) -> None:
    before = read_reference(place.kafka, place.keys)[1]
    append_reference(place.kafka, place.keys, CLOCK, lambda _: [])
    assert read_reference(place.kafka, place.keys)[1] == before


def test_an_open_is_not_for_callers_to_write(place: Place) -> None:
    opening = specs()[0]
    assert isinstance(opening, ReferenceOpen)
    with pytest.raises(TypeError, match="an OPEN is written by append_reference itself"):
        append_reference(place.kafka, place.keys, CLOCK, lambda _: [opening])


def test_of_processes_that_write_at_once_each_gets_all_of_its_records_on_the_log(broker: TestStack) -> None:
    ring, keys = ring_file(broker.settings), load_or_create(broker.settings)
    feeds, count = ["f1", "f2", "f3"], 8
    processes = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.integration.log.appending", broker.kafka, str(ring), feed, str(count)],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for feed in feeds
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == ["done\n"] * len(feeds)
    records, head = read_reference(broker.kafka, keys)
    found = [r.listing for r in records if isinstance(r, ListingSpec) and r.listing.partition("/")[0] in feeds]
    assert sorted(found) == sorted(f"{feed}/S{i}" for feed in feeds for i in range(count)), "each once"
    assert [r.ref_no for r in records if not isinstance(r, ReferenceOpen)] == list(range(1, head.n + 1))
    chains = Chains("reference", keys)
    for batch in read_range(broker.kafka, "reference", 0):
        for message in batch:
            chains.judge(0, message.offset() or 0, message.key(), message.value())
    assert set(chains.counts) <= {Verdict.TAKE, Verdict.VOID}


def test_a_writer_that_never_gets_its_turn_says_so(place: Place) -> None:
    """`wanted` that always finds something missing is what rivals without end look like."""
    with pytest.raises(Fenced, match="other writers of reference came in between 2 times: run it again"):
        append_reference(place.kafka, place.keys, CLOCK, lambda _: [spec_of(place.listing)], attempts=2)


def test_nobody_writes_to_a_reference_that_stands_still(start_stack: StartStack) -> None:
    with start_stack(services={"kafka"}) as own:
        keys = load_or_create(own.settings)
        append_reference(own.kafka, keys, CLOCK, missing("a/B"))
        head = read_reference(own.kafka, keys)[1]
        ahead = dataclasses.replace(
            spec_of("c/D"), epoch=head.epoch, nonce=head.nonce, seq=9, ref_no=9, key_id=keys.current
        )
        send_and_wait(new_producer(own.kafka), "reference", 0, None, seal(ahead, "reference", keys))
        with pytest.raises(ChainStopped, match="the chain of reference stands still: link 9 comes after link 1"):
            append_reference(own.kafka, keys, CLOCK, missing("e/F"))
        assert read_repairs(own.kafka, keys) == []
        assert [r.ref_no for r in read_reference(own.kafka, keys)[0]] == [1]


def test_a_ring_that_is_not_the_logs_writes_nothing_onto_it(place: Place) -> None:
    append_reference(place.kafka, place.keys, CLOCK, missing(place.listing))
    end = end_of(place.kafka, "reference", 0)
    new = KeyRing({"k-new": bytes(32)}, "k-new")
    with pytest.raises(SealedByOthers, match=rf"the key {place.keys.current}.*its key is k-new.: put the saved copy"):
        append_reference(place.kafka, new, CLOCK, missing(place.listing))
    assert end_of(place.kafka, "reference", 0) == end


def test_a_ring_with_one_key_of_the_log_goes_on(start_stack: StartStack) -> None:
    with start_stack(services={"kafka"}) as own:
        place = Place(own)
        append_reference(place.kafka, place.keys, CLOCK, missing(place.listing))
        ring = json.loads(place.ring.read_text())
        more = KeyRing(
            {"k-new": bytes(32), **{name: bytes.fromhex(key) for name, key in ring["keys"].items()}}, "k-new"
        )
        name = f"{place.listing}2"
        append_reference(place.kafka, more, CLOCK, missing(name))
        records, head = read_reference(place.kafka, more)
        assert (records[-1].key_id, head.n) == ("k-new", len(records))
