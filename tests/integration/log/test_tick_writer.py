"""The writer of ticks on a real broker: opens first, reads second, follows its own chain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from infra import anchors
from infra.chain_follower import ChainStopped, Fenced, Standing, read_tail, standing_of
from infra.clock import SystemClock
from infra.kafka import end_of, new_producer
from infra.tick_writer import WINDOW_BLOCKS, TickWriter
from schemas.accept import Head, Verdict
from schemas.catalogue import MAX_VALUE_BYTES
from schemas.ticks import BlockKind, TickBlock
from tests.integration.log.place import Place, write
from tests.records import ChainOfTicks

pytestmark = pytest.mark.stack


def test_what_is_drained_is_on_the_log_and_read_back(place: Place) -> None:
    with place.writer() as writer:
        assert writer.open() == Head(epoch=1, nonce=writer.written.nonce)
        write(writer, blocks=20)
        assert writer.head.n == 60
        writer.drain()
        assert writer.written == writer.head
    assert place.written() == 60
    assert place.verdicts() == {Verdict.TAKE: 21}


def test_a_writer_waits_while_too_many_blocks_are_on_their_way(place: Place) -> None:
    with place.writer() as writer:
        writer.open()
        for _ in range(2 * WINDOW_BLOCKS):
            write(writer, blocks=1, count=1)
            assert writer.head.seq - writer.written.seq <= WINDOW_BLOCKS
        writer.drain()
    assert place.written() == 2 * WINDOW_BLOCKS


def test_the_next_writer_reads_all_blocks_and_goes_on_behind_them(place: Place) -> None:
    with place.writer() as first:
        first.open()
        write(first, blocks=5)
        first.drain()
    read: list[TickBlock] = []
    with place.writer(on_block=read.append) as second:
        head = second.open()
        assert (head.epoch, head.seq, head.n) == (2, 5, 15)
        assert [b.seq for b in read if b.kind == BlockKind.DATA] == [1, 2, 3, 4, 5]
        write(second, blocks=5)
        second.drain()
    assert place.written() == 30


def test_a_writer_that_was_fenced_ends_and_its_late_blocks_are_void(place: Place) -> None:
    first = place.writer()
    first.open()
    write(first, blocks=3)
    first.drain()
    with place.writer() as second:
        second.open()
        with pytest.raises(
            Fenced, match=r"another writer opened .* \(epoch 2\): this one has ended; \d+ of its blocks"
        ):
            # More than it may have on its way: it has to read what came in between.
            write(first, blocks=300)
        first.close()
        write(second, blocks=4)
        second.drain()
    assert place.written() == 21
    verdicts = place.verdicts()
    assert verdicts[Verdict.VOID] >= 1
    assert set(verdicts) == {Verdict.TAKE, Verdict.VOID}
    assert Fenced.exit_code == 1


def test_a_batch_that_a_producer_sends_long_after_the_next_writer_opened_is_void(place: Place) -> None:
    with place.writer() as first:
        first.open()
        late = ChainOfTicks(place.listing, place.keys, 1, first.written.nonce)
        batch = [late.data() for _ in range(3)]
    with place.writer() as second:
        second.open()
        write(second, blocks=2)
        second.drain()
        for value in batch:
            place.put(value)
        write(second, blocks=2)
        second.drain()
    assert place.verdicts() == {Verdict.TAKE: 6, Verdict.VOID: 3}
    assert place.written() == 12


class Meanwhile(SystemClock):
    """A writer asks for the time between reading the log and sending its OPEN: then this happens, once each time."""

    def __init__(self, *happenings: Callable[[], object]) -> None:
        super().__init__()
        self._happenings = list(happenings)

    def now_us(self) -> int:
        if self._happenings:
            self._happenings.pop(0)()
        return super().now_us()


def test_what_another_wrote_right_before_the_open_is_read(place: Place) -> None:
    """A writer that reads first and opens second would go on behind an older head, and stop the chain."""
    with place.writer() as first:
        first.open()

        def write_more() -> None:
            write(first, blocks=4)
            first.drain()

        with place.writer(clock=Meanwhile(write_more)) as second:
            assert second.open().n == 12
            write(second, blocks=2)
            second.drain()
    assert place.written() == 18
    assert set(place.verdicts()) == {Verdict.TAKE}


def test_an_open_that_is_the_second_of_its_epoch_ends_its_writer(place: Place) -> None:
    with place.writer() as rival:
        with (
            place.writer(clock=Meanwhile(rival.open)) as late,
            pytest.raises(Fenced, match="at the same moment: this one has ended and wrote no tick"),
        ):
            late.open()
        write(rival, blocks=1)
        rival.drain()
    assert place.written() == 3
    assert place.verdicts() == {Verdict.TAKE: 2, Verdict.VOID: 1}


def open_and_close(place: Place, times: int = 1) -> None:
    for _ in range(times):
        with place.writer() as writer:
            writer.open()


def test_an_open_that_came_too_late_is_tried_once_more_above_the_highest(place: Place) -> None:
    with place.writer(clock=Meanwhile(lambda: open_and_close(place, 2))) as writer:
        assert writer.open().epoch == 3
        write(writer, blocks=1)
        writer.drain()
    assert place.written() == 3
    overtaken = [lambda: open_and_close(place, 2)] * 2
    with place.writer(clock=Meanwhile(*overtaken)) as writer, pytest.raises(Fenced):
        writer.open()


@pytest.mark.parametrize("rivals", [2, 4])
def test_of_opens_that_race_all_but_one_end_and_the_log_is_right(place: Place, rivals: int) -> None:
    for _ in range(6):
        start = threading.Barrier(rivals)

        def run(writer: TickWriter, start: threading.Barrier = start) -> bool:
            start.wait(60)
            try:
                writer.open()
                write(writer, blocks=3)
                writer.drain()
            except Fenced:
                return False
            return True

        with ExitStack() as kept, ThreadPoolExecutor(rivals) as threads:
            writers = [kept.enter_context(place.writer()) for _ in range(rivals)]
            wrote = list(threads.map(run, writers))
        assert len(wrote) == rivals, "each ended, none by another error"
        assert any(wrote)
    assert set(place.verdicts()) <= {Verdict.TAKE, Verdict.VOID}
    assert place.written() >= 6 * 9


def test_what_an_intruder_puts_between_stops_no_writer(place: Place) -> None:
    stranger = ChainOfTicks(place.listing)
    with place.writer() as writer:
        writer.open()
        for value in (stranger.open(99), b"", b"nonsense", bytes(MAX_VALUE_BYTES + 1)):
            place.put(value)
            write(writer, blocks=2)
        writer.drain()
    assert place.written() == 24
    assert place.verdicts() == {Verdict.TAKE: 9, Verdict.FORGED: 4}
    with place.writer() as next_one:
        assert next_one.open().epoch == 2, "the intruder's epoch doesn't count"


def damaged(place: Place) -> TickWriter:
    """A writer on a chain that has a hole behind it: somebody with the key wrote link 5 after link 2."""
    writer = place.writer()
    writer.open()
    write(writer, blocks=2)
    writer.drain()
    head = writer.written
    ahead = ChainOfTicks(place.listing, place.keys, 1, head.nonce, seq=4, n=6, prev=head.mac)
    place.put(ahead.data())
    return writer


def test_nobody_writes_to_a_chain_that_stands_still(place: Place) -> None:
    writer = damaged(place)
    with (
        writer,
        pytest.raises(ChainStopped, match="stands still: link 5 comes after link 2; `tickledger verify` names"),
    ):
        write(writer, blocks=300)
    with place.writer() as other, pytest.raises(ChainStopped, match="stands still"):
        other.open()
    assert place.verdicts()[Verdict.STOP] >= 1
    assert place.written() == 6


def test_a_chain_that_stands_still_is_not_anchored(place: Place) -> None:
    writer = damaged(place)
    with writer, pytest.raises(ChainStopped):
        write(writer, blocks=300)
    writer = place.writer()
    with writer:
        with pytest.raises(ChainStopped):
            writer.open()
        writer.anchor()
    assert anchors.last_anchor(place.kafka, place.keys, "ticks", place.listing) is None


class TestAnchors:
    """A reader may start at an anchor, if the log has what it witnesses."""

    def test_without_one_a_reader_starts_at_the_beginning(self, place: Place) -> None:
        assert standing_of(place.kafka, place.keys, place.listing) == Standing(Head(), 0, 0)

    def test_a_writer_starts_at_the_last_one_and_reads_what_came_after(self, place: Place) -> None:
        read: list[Any] = []
        with place.writer() as first:
            first.open()
            write(first, blocks=3)
            first.drain()
            first.anchor()
            write(first, blocks=2)
            first.drain()
        standing = standing_of(place.kafka, place.keys, place.listing)
        assert (standing.head.seq, standing.head.n, standing.highest_epoch) == (3, 9, 1)
        with place.writer(standing, on_block=read.append) as second:
            assert second.open().seq == 5
            assert [b.seq for b in read if b.kind == BlockKind.DATA] == [4, 5]
            second.anchor()
            write(second, blocks=1)
            second.drain()
        standing = standing_of(place.kafka, place.keys, place.listing)
        assert (standing.head.seq, standing.highest_epoch) == (5, 2), "an anchor right behind an OPEN is one too"
        assert place.written() == 18

    def test_a_tail_that_was_cut_shows(self, place: Place) -> None:
        """As after a broker lost a disk: the anchors are there, the records aren't."""
        with place.writer() as writer:
            writer.open()
            write(writer, blocks=3)
            writer.drain()
            head = writer.written
        end = end_of(place.kafka, "ticks", place.partition)
        elsewhere = [
            (head._replace(seq=4, n=12, mac=b"m" * 16), end, end + 1),
            (head._replace(seq=4, n=12, mac=b"m" * 16), end - 1, end),
            (head._replace(nonce=b"another."), end - 4, end),
        ]
        for lost, offset, scanned in elsewhere:
            self.anchor(place, lost, offset, scanned)
            with pytest.raises(ChainStopped, match=f"has not the record at ticks/{place.partition}/{offset} that an"):
                standing_of(place.kafka, place.keys, place.listing)
        self.anchor(place, head, end - 1, end)
        assert standing_of(place.kafka, place.keys, place.listing).head == head

    def test_one_that_was_not_sealed_or_is_none_is_left_out(self, place: Place) -> None:
        stranger = ChainOfTicks().keys
        producer = new_producer(place.kafka)
        made = anchors.make_anchor("ticks", place.listing, place.partition, Head(seq=9), 0, 1, 0, "k1")
        anchors.send(producer, stranger, [made])
        producer.produce("anchors", key=b"junk", value=b"junk", partition=0)
        producer.flush()
        assert anchors.last_anchor(place.kafka, place.keys, "ticks", place.listing) is None
        assert len(anchors.read_anchors(place.kafka, place.keys)[1]) >= 2

    def anchor(self, place: Place, head: Head, offset: int, scanned: int) -> None:
        producer = new_producer(place.kafka)
        key_id = place.keys.current
        made = anchors.make_anchor("ticks", place.listing, place.partition, head, offset, scanned, 0, key_id)
        anchors.send(producer, place.keys, [made])
        producer.flush()


def test_the_tail_is_the_last_blocks_of_the_chain_and_nothing_that_was_fenced(place: Place) -> None:
    with place.writer() as first:
        first.open()
        write(first, blocks=120)
        first.drain()
        late = ChainOfTicks(place.listing, place.keys, 1, first.written.nonce, 120, 360, first.written.mac)
    with place.writer() as second:
        second.open()
        place.put(late.data())
        write(second, blocks=90, count=2)
        second.drain()
        standing = Standing(second.written, end_of(place.kafka, "ticks", place.partition), 2)
    for wanted in (1, 2, 3, 179, 181, 400, 540, 10_000):
        tail = read_tail(place.kafka, place.keys, place.listing, standing, wanted)
        assert sum(block.size for block in tail) >= min(wanted, 540)
        assert [b.seq for b in tail] == list(range(tail[0].seq, 211))
        assert tail[-1].mac == standing.head.mac
    assert read_tail(place.kafka, place.keys, place.listing, Standing(Head(), 0, 0), 5) == []


def test_a_block_that_is_too_long_is_refused_and_the_writer_goes_on(place: Place) -> None:
    with place.writer() as writer:
        writer.open()
        with pytest.raises(ValueError, match="longer than 4096"):
            write(writer, blocks=1, count=5_000)
        write(writer, blocks=1)
        writer.drain()
    assert place.written() == 3
