"""Logs that are sound but for one thing, which a test puts there: ticks by their writer, outputs as they must be."""

from __future__ import annotations

from collections.abc import Callable

from infra import anchors
from producers.judge import Judge
from schemas.accept import Head
from schemas.ticks import TickBlock
from streams.report import Range, Report
from streams.verify import Verification
from tests.integration.streams.line import CLOCK, KEYS, Line, lively

Edit = Callable[[list[bytes]], list[bytes]]
TOPICS = ("bars", "signals")


def judged(blocks: list[TickBlock]) -> list[TickBlock]:
    """The same ticks with the quality and watermarks that the judge gives them."""
    judge = Judge()
    found = []
    for block in blocks:
        quality = judge.judge(block, block.source, block.received_us)
        judge.end_block(judge.watermark_ms)
        found.append(block._replace(quality=quality, watermark_ms=judge.watermark_ms))
    return found


BLOCKS = judged(lively())


def same(values: list[bytes]) -> list[bytes]:
    return values


def sound(line: Line) -> Line:
    """Ticks and all that comes of them."""
    line.usual().write(BLOCKS)
    return derive(line)


def derive(line: Line, bars: Edit = same, signals: Edit = same) -> Line:
    """Puts outputs there as they must be, but for the edits."""
    for topic, edit in (("bars", bars), ("signals", signals)):
        line.put(*edit(line.expected(topic)), topic=topic)
    return line


def verify(line: Line, asked: Range | None = None, settle_s: float = 0.0) -> Report:
    """verify of the one listing, or of what is asked."""
    asked = Range(listing=line.listing) if asked is None else asked
    return Verification(line.kafka, KEYS, Judge, asked, settle_s=settle_s).run()


def offset_of(line: Line, topic: str, value: bytes) -> int:
    """Where the last copy of a record lies on its topic."""
    from infra.kafka import read_range

    found = [m.offset() for b in read_range(line.kafka, topic, line.partition) for m in b if m.value() == value]
    assert found[-1] is not None
    return found[-1]


def anchor(line: Line, head: Head, offset: int) -> None:
    """Witnesses a head of the chain."""
    key_id = KEYS.current
    made = anchors.make_anchor("ticks", line.listing, line.partition, head, offset, offset + 1, CLOCK.now_us(), key_id)
    anchors.send(line.producer, KEYS, [made])
    assert line.producer.flush(30) == 0
