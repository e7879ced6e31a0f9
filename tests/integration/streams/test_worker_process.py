"""The worker as a real process under load: killed again and again, nothing is missing and nothing differs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from infra.kafka import end_of, new_admin
from infra.stack.home import read_json
from infra.stack.services import REFUSED
from schemas.accept import Head
from schemas.ticks import TickBlock
from streams import snapshots
from streams.worker import SERVICE
from tests.conftest import StartStack, TestStack
from tests.integration.streams.line import KEYS, Line, lively
from tests.integration.streams.service import UNHURRIED, Service, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(900)]


def blocks(count: int) -> list[TickBlock]:
    """Blocks of one walk with bars and signals."""
    return lively(11, count)


@contextmanager
def load(*lines: Line, blocks_a_second: float = 20) -> Iterator[None]:
    """Writes to the listings in the background until the body is done."""
    enough = threading.Event()

    def write() -> None:
        for block in blocks(3_000):
            for line in lines:
                line.write([block])
            if enough.wait(1 / blocks_a_second):
                return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def snapshotted(line: Line) -> Head:
    """Where the worker has folded to, outputs sent."""
    states = [s.state for s in snapshots.load(line.kafka, KEYS, [line.partition])[line.partition]]
    mine = [s.head for s in states if s.listing == line.listing]
    return min(mine, key=lambda head: head.seq) if len(mine) == 2 else Head()


def is_complete(line: Line) -> None:
    wait(lambda: snapshotted(line) == line.head)
    for topic in ("bars", "signals"):
        assert line.found(topic) == line.expected(topic), topic
        assert line.found(topic)
    assert line.alerts() == []


def committed(line: Line) -> int:
    """What the group has acknowledged of the listing's partition."""
    consumer = Consumer({"bootstrap.servers": line.kafka, "group.id": SERVICE.group})
    try:
        return consumer.committed([TopicPartition("ticks", line.partition)], timeout=10)[0].offset
    finally:
        consumer.close()


def test_killed_again_and_again_under_load_it_leaves_the_topics_as_if_never(line: Line, tmp_path: Path) -> None:
    line.usual()
    with Service(line.kafka, tmp_path / "home") as worker:
        with load(line):
            worker.start().ready()
            for pause_s in (0.3, 0.05, 1.2):
                before = end_of(line.kafka, "bars", line.partition)
                worker.kill()
                worker.start()
                wait(lambda before=before: end_of(line.kafka, "bars", line.partition) > before)
                time.sleep(pause_s)
            worker.kill()
        worker.start()
        is_complete(line)


def test_of_two_workers_either_may_be_killed(broker: TestStack, tmp_path: Path) -> None:
    lines = [Line(broker.kafka).usual() for _ in range(4)]
    with Service(broker.kafka, tmp_path / "a") as a, Service(broker.kafka, tmp_path / "b") as b:
        with load(*lines, blocks_a_second=10):
            a.start()
            b.start().ready()
            a.ready()
            time.sleep(0.5)
            a.kill()
            time.sleep(2.5)
            a.start().ready()
            time.sleep(0.5)
            b.kill()
        for line in lines:
            is_complete(line)
        assert a.end() == 0


def test_it_ends_on_sigterm_with_all_of_it_snapshotted_and_acknowledged(line: Line, tmp_path: Path) -> None:
    line.usual()
    with Service(line.kafka, tmp_path / "home", TICKLEDGER_WORKER__SNAPSHOT_INTERVAL_S="60", **UNHURRIED) as worker:
        worker.start().ready()
        line.write(blocks(20))
        wait(lambda: len(line.records("bars")) > 0)
        line.write(blocks(20))
        wait(lambda: line.found("bars") == line.expected("bars"))
        assert snapshotted(line) != line.head
        assert worker.end() == 0
        assert snapshotted(line) == line.head
        assert committed(line) == end_of(line.kafka, "ticks", line.partition)
        assert "worker ends" not in [entry["event"] for entry in worker.lines()]


def test_it_waits_for_a_broker_that_is_killed(start_stack: StartStack, tmp_path: Path) -> None:
    with start_stack(services={"kafka"}) as own:
        line = Line(own.kafka).usual()
        with Service(own.kafka, tmp_path / "home") as worker:
            with load(line):
                worker.start().ready()
                wait(lambda: len(line.records("bars")) > 0)
                record = read_json(own.home / "run" / "kafka.pid")
                assert record is not None
                os.kill(record["pid"], signal.SIGKILL)
                time.sleep(1)
            is_complete(line)
            assert worker.process.poll() is None, "it was there all along"


def test_a_refused_output_ends_it_before_anything_is_acknowledged(line: Line, tmp_path: Path) -> None:
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource

    def limit(value: str) -> None:
        entry = ConfigEntry("max.message.bytes", value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, "bars", incremental_configs=[entry])
        for future in admin.incremental_alter_configs([resource]).values():
            future.result()

    admin = new_admin(line.kafka)
    line.usual()
    line.write(blocks(20))
    limit("60")
    try:
        with Service(line.kafka, tmp_path / "home") as worker:
            worker.start()
            assert worker.process.wait(120) == 1
            assert "the broker refused an output on bars" in worker.lines()[-1]["reason"]
            assert snapshotted(line).seq == 0
            assert committed(line) < line.offsets[0]
            limit("1010000")
            worker.start()
            is_complete(line)
    finally:
        limit("1010000")


def test_it_says_why_it_cannot_start(broker: TestStack, tmp_path: Path) -> None:
    with Service(broker.kafka, tmp_path / "home") as worker:
        (tmp_path / "home" / "keys" / "ring.json").chmod(0o644)
        assert worker.start().process.wait(120) == REFUSED
        assert "so others can read the keys" in worker.lines()[-1]["reason"]
