"""Java's start-up cache for the broker, trained once by a throw-away broker: it halves the time to start.

A cache that is missing or doesn't fit is passed over by Java; one whose bytes have changed would crash it, hence
VerifySharedSpaces.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra.stack.broker import Broker, wait_ready
from infra.stack.ports import ADDRESS, choose
from infra.stack.supervision import Run, Supervision

Progress = Callable[[str], None]


def cache_path(cache: Path, broker: Broker) -> Path:
    """Where the cache for this Java and these jars belongs."""
    marks = [broker.java.identity]
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
    progress("Java: training the start-up cache with a throw-away broker (about 15 s, once)")
    with tempfile.TemporaryDirectory(prefix="train.", dir=path.parent) as scratch:
        folder = Path(scratch)
        made = folder / "made.aot"
        trainee = Broker(broker.java, broker.jars, folder / "kafka", folder, broker.heap_mb)
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
    """Create a topic, write to it and read it by a group: the classes that a real start will need."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("t", 1, 1)])["t"].result(10)
    producer = Producer({"bootstrap.servers": address, "compression.type": "zstd", "log_level": 0})
    for _ in range(100):
        producer.produce("t", bytes(1000))
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": address, "group.id": "t", "auto.offset.reset": "earliest"})
    consumer.subscribe(["t"])
    consumer.consume(100, 5)
    consumer.commit(asynchronous=False)
    consumer.close()


def _last_line(folder: Path) -> str:
    lines = (folder / "kafka.log").read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
