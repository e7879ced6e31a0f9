"""A log that somebody has rebuilt with one record changed, dropped, swapped or added: verify says where."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from api.start import running_stack
from infra.clock import SystemClock
from infra.kafka import ensure_topics, new_producer, read_range
from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.services import ALL
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest
from producers.judge import Judge
from producers.sample import SAMPLE_DAY
from projections.derived import wait_until_derived
from schemas.catalogue import partition_of
from schemas.identity import Listing
from schemas.integrity import KeyRing
from streams.verify import Range, Report, Verification
from tests.conftest import StartStack, TestStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LISTING = "first/EURUSD"
OTHER = next(
    f"other/N{i}" for i in range(1_000) if partition_of("ticks", f"other/N{i}") == partition_of("ticks", LISTING)
)
PARTITION = partition_of("ticks", LISTING)
KEPT = (("reference", 0), ("anchors", 0), ("ticks", PARTITION), ("bars", PARTITION), ("signals", PARTITION))

Dump = dict[str, list[tuple[bytes | None, bytes]]]
"""By topic: key and value of each record of the one partition that has any."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dump, KeyRing]:
    """A log that all services have made: two listings on one partition, some blocks each."""
    folder = tmp_path_factory.mktemp("original")
    with zipfile.ZipFile(SAMPLE_DAY[0].path) as archive:
        lines = archive.read(archive.namelist()[0]).splitlines(keepends=True)
    file = folder / "20140506_quote.csv"
    file.write_bytes(b"".join(lines[:20_000]))
    settings = load_settings(home=folder / "home")
    with running_stack(settings, frozenset(ALL)) as stack:
        keys = load_or_create(settings)

        def wait(listing: str, n: int) -> None:
            wait_until_derived(stack.kafka, keys, stack.postgres_dsn, listing, n, check=stack.check)

        for name in (LISTING, OTHER):
            request = ImportRequest(listing=Listing(*name.split("/")), files=[file], zone=parse_zone("UTC"))
            Importer(stack.kafka, keys, SystemClock(), wait=wait).run(request)
        dump = {
            topic: [(m.key(), m.value() or b"") for batch in read_range(stack.kafka, topic, at) for m in batch]
            for topic, at in KEPT
        }
    assert len(dump["ticks"]) == 2 * (1 + 5)
    assert all(dump.values())
    return dump, keys


@pytest.fixture(scope="module")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    with start_stack(services={"kafka"}, topics=False) as stack:
        yield stack


def rebuilt(broker: TestStack, dump: Dump, keys: KeyRing) -> Report:
    """What verify says of the records, put onto topics made anew."""
    admin = AdminClient({"bootstrap.servers": broker.kafka})
    there = admin.list_topics(timeout=15).topics
    names = [topic for topic, _ in KEPT if topic in there]
    for future in (admin.delete_topics(names) if names else {}).values():
        future.result()
    ensure_topics(broker.kafka)
    producer = new_producer(broker.kafka)
    for topic, partition in KEPT:
        for key, value in dump[topic]:
            producer.produce(topic, key=key, value=value, partition=partition)
    assert producer.flush(30) == 0
    return Verification(broker.kafka, keys, Judge, Range(), settle_s=0.5).run()


def changed(at: int, byte: int) -> Callable[[list[Any]], None]:
    def change(records: list[Any]) -> None:
        key, value = records[at]
        place = byte % len(value)
        records[at] = (key, value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :])

    return change


def swapped(at: int) -> Callable[[list[Any]], None]:
    def swap(records: list[Any]) -> None:
        records[at], records[at + 1] = records[at + 1], records[at]

    return swap


def dropped(at: int) -> Callable[[list[Any]], None]:
    return lambda records: records.pop(at)


def added(at: int, record: Callable[[list[Any]], Any]) -> Callable[[list[Any]], None]:
    return lambda records: records.insert(at, record(records))


def test_as_it_was_nothing_differs(broker: TestStack, original: tuple[Dump, KeyRing]) -> None:
    report = rebuilt(broker, *original)
    assert (report.problems, report.exit_code) == ([], 0)
    assert report.ticks == 40_000


@pytest.mark.parametrize(
    ("topic", "damage", "offset", "reason"),
    [
        ("ticks", changed(2, 40), 2, "forged"),
        ("ticks", changed(3, 5_000), 3, "forged"),
        ("ticks", changed(5, -1), 5, "forged"),
        ("ticks", changed(0, 30), 0, "forged"),
        ("ticks", dropped(2), 2, "stopped"),
        ("ticks", swapped(2), 2, "stopped"),
        ("ticks", dropped(5), 11, "its tail is missing"),
        ("ticks", added(4, lambda r: r[1]), 4, "replayed"),
        ("ticks", added(4, lambda r: (LISTING.encode(), r[8][1])), 4, "forged"),
        ("ticks", added(4, lambda r: (LISTING.encode(), b"")), 4, "forged"),
        ("reference", changed(1, 30), 1, "forged"),
        ("bars", changed(7, 60), 7, ""),
        ("bars", dropped(7), 7, ""),
        ("signals", changed(1, -1), 1, "MAC"),
        ("signals", dropped(0), 0, ""),
    ],
)
def test_a_record_that_is_not_as_it_was_is_named_by_its_place(
    broker: TestStack, original: tuple[Dump, KeyRing], topic: str, damage: Any, offset: int, reason: str
) -> None:
    dump, keys = original
    damaged = {name: list(records) for name, records in dump.items()}
    damage(damaged[topic])
    report = rebuilt(broker, damaged, keys)
    assert report.exit_code == 1
    places = [(p.position.topic, p.position.partition, p.position.offset) for p in report.problems]
    partition = 0 if topic == "reference" else PARTITION
    assert (topic, partition, offset) in places, report.problems[:5]
    first = next(p for p in report.problems if p.position == (topic, partition, offset))
    assert reason in first.reason
