"""A Repair leads past a damaged fact, whether it is read before the damage or long after."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import psycopg
import pytest

from infra.clock import FixedClock
from infra.kafka import read_range
from infra.reference_log import append_reference
from projections.projector import Projector
from projections.rebuild import rebuild
from schemas.catalogue import partition_of
from schemas.chains import Position
from schemas.events import ReferenceRecord, Repair
from schemas.integrity import ZERO_MAC
from schemas.ticks import decode_block
from tests.conftest import TestStack
from tests.integration.projections.conftest import Ask
from tests.integration.projections.contents import contents
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log
from tests.integration.streams.service import wait

pytestmark = pytest.mark.stack

CHAIN = "select n, stopped_why from tickledger.heads where topic = 'ticks' and chain = %s"
TICKS = "select count(*), max(n) from tickledger.ticks join tickledger.listings on id = listing_id where name = %s"


def damaged(log: Log, listing: str) -> tuple[Feed, Position, bytes]:
    """A chain of which the third record was changed, with records after it; where that lies, and the head after it."""
    feed = Feed(log, listing)
    feed.open()
    feed.write(10)
    good = feed.block(10)
    bad = bytearray(good)
    bad[70] ^= 1
    offset = log.send("ticks", listing, bytes(bad))
    for _ in range(3):
        feed.write(10)
    return feed, Position("ticks", partition_of("ticks", listing), offset), good


def repair(stack: TestStack, listing: str, position: Position, good: bytes) -> None:
    """Writes the Repair that takes the record as if it had been whole."""
    block = decode_block(good)
    (records,) = read_range(stack.kafka, "ticks", position.partition, position.offset, position.offset + 1)
    record = Repair(
        epoch=0,
        nonce=bytes(8),
        seq=0,
        ref_no=0,
        effective_from_us=0,
        written_us=0,
        topic="ticks",
        partition=position.partition,
        offset=position.offset,
        value_sha256=hashlib.sha256(records[0].value() or b"").digest(),
        chain=listing,
        head_epoch=block.epoch,
        head_nonce=block.nonce,
        head_seq=block.seq,
        head_n=block.first_n + block.size,
        head_ref_no=block.ref_no,
        head_mac=block.mac,
        reason="a test changed it",
        who="test",
        key_id="",
        prev=ZERO_MAC,
        mac=ZERO_MAC,
    )

    def wanted(known: list[ReferenceRecord]) -> list[ReferenceRecord]:
        there = any(isinstance(r, Repair) and r.chain == listing for r in known)
        return [] if there else [record]

    append_reference(stack.kafka, KEYS, FixedClock(START_MS * 1000), wanted)


def test_a_chain_goes_on_after_a_late_repair_as_if_it_had_been_there_before(
    own_stack: TestStack, log: Log, listing: str, dsn: str, project: Callable[[], None], ask: Ask
) -> None:
    feed, position, good = damaged(log, listing)
    project()
    assert ask(TICKS, listing) == [(10, 9)]
    assert ask(CHAIN, listing)[0][1]

    repair(own_stack, listing, position, good)
    feed.write(10)
    project()
    project()

    assert ask(TICKS, listing) == [(50, 59)]
    assert ask(CHAIN, listing) == [(60, "")]
    late = contents(dsn)

    rebuild(dsn, own_stack.kafka, KEYS, FixedClock(START_MS * 1000))
    early = contents(dsn)
    for table, rows in late.items():
        assert early[table] == rows, table


def test_a_repair_that_comes_while_the_projector_runs_is_taken_at_once(
    own_stack: TestStack, log: Log, listing: str, dsn: str, ask: Ask
) -> None:
    _, position, good = damaged(log, listing)
    projector = Projector(dsn, own_stack.kafka, KEYS, FixedClock(START_MS * 1000))
    thread = threading.Thread(target=projector.run)
    thread.start()
    try:
        wait(lambda: _has(ask, listing, 10))
        repair(own_stack, listing, position, good)
        wait(lambda: _has(ask, listing, 40))
    finally:
        projector.stop()
        thread.join()

    assert ask(TICKS, listing) == [(40, 49)]


def _has(ask: Ask, listing: str, ticks: int) -> bool:
    try:
        return ask(TICKS, listing)[0][0] == ticks
    except psycopg.Error:
        return False
