"""The sample day as a home has it: imported, folded by the Faust worker as a process, equal to the golden digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from infra.kafka import read_range
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest
from producers.judge import Judge
from producers.sample import SAMPLE_DAY
from schemas.catalogue import partition_of
from schemas.events import Bar, Signal
from schemas.identity import parse_listing
from schemas.registry import decision_bytes, decode
from streams import snapshots
from streams.activations import ensure
from streams.report import Range
from streams.verify import Verification
from tests.conftest import StartStack
from tests.integration.streams.line import CLOCK, KEYS
from tests.integration.streams.service import Service, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill]

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "sample_day.json").read_text(encoding="utf-8"))


def found(kafka: str, topic: str, listing: str) -> dict[str, object]:
    """Count and digest of the decisions on a topic, copies left out."""
    digest, count = hashlib.sha256(), 0
    for batch in read_range(kafka, topic, partition_of(topic, listing)):
        for message in batch:
            record = decode(message.value() or b"")
            assert isinstance(record, Bar | Signal)
            if record.listing == listing and record.out_seq == count:
                value = decision_bytes(record)
                digest.update(len(value).to_bytes(4, "big") + value)
                count += 1
    return {"count": count, "sha256": digest.hexdigest()}


def test_a_worker_killed_in_the_middle_gives_the_golden_digests_and_verify_finds_nothing(
    start_stack: StartStack, tmp_path: Path
) -> None:
    with start_stack(services={"kafka"}) as own, Service(own.kafka, tmp_path / "home") as worker:
        ensure(own.kafka, KEYS, CLOCK)
        worker.start().ready()
        for file in SAMPLE_DAY:
            Importer(own.kafka, KEYS, CLOCK).run(
                ImportRequest(listing=parse_listing(file.listing), files=[file.path], zone=parse_zone(file.tz))
            )
            worker.kill()
            worker.start()

        def is_folded() -> bool:
            partitions = sorted({partition_of("ticks", file.listing) for file in SAMPLE_DAY})
            states = [s.state for here in snapshots.load(own.kafka, KEYS, partitions).values() for s in here]
            counts = {file.listing: GOLDEN["ticks"][file.listing]["count"] for file in SAMPLE_DAY}
            return sum(s.head.n == counts[s.listing] for s in states) == 2 * len(SAMPLE_DAY)

        wait(is_folded, 150)
        for topic in ("bars", "signals"):
            for file in SAMPLE_DAY:
                assert found(own.kafka, topic, file.listing) == GOLDEN[topic][file.listing], (topic, file.listing)
        report = Verification(own.kafka, KEYS, Judge, Range(), settle_s=1.0).run()
        assert (report.problems, report.unverifiable, report.exit_code) == ([], [], 0)
        assert report.ticks == sum(GOLDEN["ticks"][file.listing]["count"] for file in SAMPLE_DAY)
        assert report.refused == sum(GOLDEN["ticks"][file.listing]["refused"] for file in SAMPLE_DAY)
        assert report.bars == sum(GOLDEN["bars"][file.listing]["count"] for file in SAMPLE_DAY)
        assert report.signals == sum(GOLDEN["signals"][file.listing]["count"] for file in SAMPLE_DAY)
