"""Java's start-up cache for the broker, trained once by a throw-away broker: it halves the time to start, and tells the
second compiler what runs often before it does.

A cache that is missing or doesn't fit is passed over by Java; one whose bytes have changed would crash it, hence
VerifySharedSpaces.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from infra.clock import Stopwatch
from infra.stack.broker import Broker, wait_ready
from infra.stack.ports import ADDRESS, choose
from infra.stack.supervision import Run, Supervision

Progress = Callable[[str], None]

USED_S = 8.0
"""How long the throw-away broker is used."""
PARTITIONS, READERS, RECORD_BYTES = 32, 3, 300
"""Of the topic that it is used by."""
FORM = "2"
"""Of the training: caches of an older one are not taken."""


def cache_path(cache: Path, broker: Broker) -> Path:
    """Where the cache for this Java and these jars belongs."""
    marks = [FORM, broker.java.identity]
    for jar in broker.jars:
        stat = jar.stat()
        marks.append(f"{jar.name} {stat.st_size} {stat.st_mtime_ns}")
    digest = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]
    return cache / f"start-{digest}.aot"


KEPT = 3
"""Start-up caches kept beside a new one: those of other checkouts, which would else train each time in turn."""


def options(path: Path) -> list[str]:
    """The options that use the cache at ``path``, if it is there."""
    if not path.is_file():
        return []
    return [f"-XX:AOTCache={path}", "-XX:+VerifySharedSpaces", "-Xlog:disable"]


def train(path: Path, broker: Broker, progress: Progress) -> bool:
    """Make the cache at ``path`` by a broker that lives for some seconds beside it; whether that worked.

    ``broker`` is taken as the pattern: Java, jars and heap. Raises HomeUnusable if the disk does not let us.
    """
    progress("Java: training the start-up cache with a throw-away broker (about 20 s, once)")
    with tempfile.TemporaryDirectory(prefix="train.", dir=path.parent) as scratch:
        folder = Path(scratch)
        made = folder / "made.aot"
        trainee = Broker(broker.java, broker.jars, folder / "kafka", folder, broker.heap_mb, optimizes=True)
        port = choose("", 0, 0, set())
        trainee.write_config(port, choose("", 0, 0, {port}))
        trainee.format()
        if not _run(trainee, folder, made, f"{ADDRESS}:{port}") or not made.is_file():
            progress(f"Java: no start-up cache could be made, the broker will start slower: {_last_line(folder)}")
            return False
        older = sorted(path.parent.glob("start-*.aot"), key=lambda p: p.stat().st_mtime)
        for old in older[:-KEPT]:
            old.unlink(missing_ok=True)
        made.chmod(0o644)
        os.replace(made, path)
    return True


def _run(trainee: Broker, folder: Path, made: Path, address: str) -> bool:
    """Start it, use it a little, end it; the JVM writes the cache as it ends."""
    supervision = Supervision()
    try:
        supervision.start(
            Run(
                name="kafka",
                argv=trainee.command(f"-XX:AOTCacheOutput={made}"),
                env=trainee.env,
                cwd=trainee.folder,
                log=folder / "kafka.log",
                record=folder / "kafka.pid",
                stop_signal=signal.SIGTERM,
                stop_timeout_s=120,
                most_ends=0,
            )
        )
        ready = wait_ready(address, 60, lambda: supervision.failure() is not None)
        if ready:
            use(address)
        return ready
    finally:
        supervision.end()


def use(address: str) -> None:
    """Make topics, write to one and read it as a live market does: many small batches, each read at once by several,
    one of them a group. It is what Java's second compiler goes by from the start."""
    # Here: a start that finds its cache needs none of it.
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.cimpl import NewTopic

    from infra.kafka import new_admin, new_consumer, new_producer

    admin = new_admin(address)
    admin.create_topics([NewTopic("t", PARTITIONS, 1)])["t"].result(30)
    producer = new_producer(address, **{"linger.ms": 1})
    readers = [new_consumer(address) for _ in range(READERS)]
    group = new_consumer(address, **{"group.id": "t", "auto.offset.reset": "earliest"})
    group.subscribe(["t"])
    for reader in readers:
        reader.assign([TopicPartition("t", partition, 0) for partition in range(PARTITIONS)])
    since = Stopwatch()
    count = 0
    while since.seconds() < USED_S:
        for partition in range(PARTITIONS):
            producer.produce("t", key="feed/SYMBOL", value=os.urandom(RECORD_BYTES), partition=partition)
            producer.poll(0.0005)
        while len(producer) > PARTITIONS:
            producer.poll(0.001)
        for reader in (*readers, group):
            reader.consume(PARTITIONS, 0)
        count += 1
        if count % 50 == 0:
            with suppress(KafkaException):
                group.commit(asynchronous=False)
    producer.flush(10)
    for reader in (*readers, group):
        reader.close()


def _last_line(folder: Path) -> str:
    lines = (folder / "kafka.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
