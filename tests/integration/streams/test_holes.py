"""A hole among outputs: readers wait behind it until the worker has folded from before it once more."""

from __future__ import annotations

import pytest

from infra.kafka import read_range
from schemas.accept import Verdict
from schemas.chains import Derivations
from tests.integration.streams.line import KEYS, Line
from tests.integration.streams.partitions import Reader
from tests.integration.streams.verifying import BLOCKS, derive, verify

pytestmark = pytest.mark.stack


def taken(line: Line) -> list[bytes]:
    """What a reader of `bars` takes of the listing, in order."""
    derivations, found = Derivations("bars", KEYS), []
    for batch in read_range(line.kafka, "bars", line.partition):
        for message in batch:
            if message.key() == line.listing.encode():
                judged = derivations.judge(line.partition, message.offset() or 0, message.key(), message.value())
                if judged.verdict is Verdict.TAKE:
                    found.append(message.value() or b"")
    return found


def test_a_hole_is_filled_by_folding_anew_and_nothing_is_taken_twice(line: Line) -> None:
    line.usual().write(BLOCKS)
    bars = line.expected("bars")
    derive(line, lambda v: [*v[:5], *v[8:]])
    assert taken(line) == bars[:5]
    assert verify(line).exit_code == 1

    Reader(line, states=[]).read()
    assert taken(line) == bars
    report = verify(line)
    assert (report.exit_code, report.copies) == (0, len(bars) - 3 + len(line.expected("signals")))


def test_outputs_at_other_offsets_are_taken_once(line: Line) -> None:
    line.usual().write(BLOCKS)
    for _ in range(2):
        Reader(line, states=[]).read()
    assert taken(line) == line.expected("bars")
    assert len(line.records("bars")) == 2 * len(line.expected("bars"))
