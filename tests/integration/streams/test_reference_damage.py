"""A record of `reference` that is gone: its chain stands still there, and what was numbered before holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.kafka import read_range
from schemas.chains import Position
from tests.conftest import StartStack, TestStack
from tests.integration.streams.line import Line
from tests.integration.streams.partitions import Reader
from tests.integration.streams.verifying import BLOCKS, derive, verify
from tests.property.references import spec

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def damaged(broker: TestStack, start_stack: StartStack) -> Iterator[Line]:
    """A listing on a broker of which `reference` was copied without the record after the listing's own."""
    with start_stack(services={"kafka"}) as own:
        line = Line(broker.kafka).usual()
        known = line.ref_no
        line.configure(spec(listing="x/Y"), spec(listing="x/Z"))
        records = [m.value() for batch in read_range(broker.kafka, "reference", 0) for m in batch]
        dropped = next(i for i, value in enumerate(records) if value is not None and b"x/Y" in value)
        copied = Line(own.kafka)
        copied.name, copied.listing, copied.partition = line.name, line.listing, line.partition
        for value in records[:dropped] + records[dropped + 1 :]:
            copied.producer.produce("reference", value=value, partition=0)
        assert copied.producer.flush(30) == 0
        copied.ref_no = known
        copied.write(BLOCKS[:20])
        derive(copied)
        copied.ref_no = known + 2
        copied.write(BLOCKS[20:])
        yield copied


def test_verify_names_the_stop_and_the_first_block_that_needs_more(damaged: Line) -> None:
    report = verify(damaged)
    assert report.exit_code == 1
    first, second = report.problems
    assert first.position[:2] == ("reference", 0)
    assert first.reason == f"stopped: link {damaged.ref_no} comes after link {damaged.ref_no - 2}"
    assert second.position == Position("ticks", damaged.partition, damaged.offsets[20])
    assert second.reason.startswith("not foldable from here on: ")
    assert f"reference {damaged.ref_no}" in second.reason
    assert report.bars == len(damaged.expected("bars", damaged.blocks[:20])) > 0


def test_the_worker_parks_the_listing_there(damaged: Line) -> None:
    line = damaged
    reader = Reader(line).read()
    assert line.alerts() == [("listing_parked", line.offsets[20])]
    assert line.found("bars") == line.expected("bars", line.blocks[:20])
    assert reader.reference.head.stopped
    assert {s.head.seq for s in reader.changed()} <= {20}
