"""The embedded Kafka broker: one KRaft node on 127.0.0.1, its properties, its command, its storage."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.clock import Stopwatch
from infra.errors import ServiceFailed, SettingsError, home_unusable
from infra.stack.java import Java
from infra.stack.ports import ADDRESS, answers

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

# One node; why each differs from Kafka's default is said where it isn't "one node" or "little memory".
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # a worker that dies is replaced sooner
    "broker.session.timeout.ms": "2000",  # after kill -9 the old registration must expire (KAFKA-19130)
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",  # a misspelt topic is an error
    "num.network.threads": "2",
    "num.io.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    # Fetches that have been answered are forgotten after so many, not a thousand: each collection copies them, with the
    # state of each partition that they named, and everything stands still meanwhile.
    "fetch.purgatory.purge.interval.requests": "100",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",  # 10 MiB for each of hundreds of partitions otherwise
    "log.retention.ms": "-1",  # the log is the truth
    "offsets.retention.minutes": "525600",
}

QUICK_CLIENT: dict[str, str | int | float | bool] = {
    "socket.timeout.ms": 3000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 200,
}

LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{1}: %m%n%throwable
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


@dataclass(frozen=True)
class Broker:
    """How to run a broker in ``folder``; everything there is named relative to it, so that any path works."""

    java: Java
    jars: list[Path]
    folder: Path
    crash_folder: Path
    heap_mb: int
    optimizes: bool = False
    """Whether Java's second compiler is at work: it pays for itself after a minute or two."""

    def write_config(self, port: int, controller_port: int) -> None:
        """server.properties and log4j2.properties. Raises HomeUnusable."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            (self.folder / "server.properties").write_text(properties(port, controller_port, "data"))
            (self.folder / "log4j2.properties").write_text(LOG4J)
        except OSError as error:
            raise home_unusable(self.folder, error) from None

    def command(self, *more: str, main: tuple[str, ...] = ("kafka.Kafka", "server.properties")) -> list[str]:
        """The JVM's command line; ``more`` are further options for it. Run it in ``folder``."""
        if any(":" in str(jar) for jar in self.jars[:1]):
            raise SettingsError(
                f"Java cannot read jars below {self.jars[0].parent}, whose path has a colon: set cache to another path"
            )
        return [
            str(self.java.launcher),
            f"-Xmx{self.heap_mb}m",
            f"-Xms{self.heap_mb // 2}m",
            "-XX:+UseSerialGC",
            *([] if self.optimizes else ["-XX:TieredStopAtLevel=1"]),
            # Half of the heap for what is new, and a quarter of that for what outlives a collection: what waits in a
            # fetch does by a few, and would else fill the old half, whose collection stops everything for 0.1 s.
            "-XX:NewRatio=1",
            "-XX:SurvivorRatio=6",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            f"-XX:ErrorFile={self.crash_folder}/kafka-crash-%p.log",
            "-Dlog4j2.configurationFile=log4j2.properties",
            *(["--sun-misc-unsafe-memory-access=allow"] if self.java.release >= 24 else []),
            *more,
            "-cp",
            ":".join(str(jar) for jar in self.jars),
            *main,
        ]

    @property
    def env(self) -> dict[str, str]:
        """Nothing of ours leaks into the JVM; UTF-8, so that any path can be read."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    @property
    def formatted(self) -> bool:
        return (self.folder / "data" / "meta.properties").is_file()

    def format(self, *more: str) -> None:
        """Make the storage, aside first: an interrupted format leaves nothing half done. Raises ServiceFailed."""
        aside = self.folder / "data.new"
        shutil.rmtree(aside, ignore_errors=True)
        (self.folder / "format.properties").write_text(properties(9092, 9093, "data.new"))
        main = ("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "format.properties")
        done = subprocess.run(
            self.command(*more, main=main),
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()[-5:]
            raise ServiceFailed("kafka", f"kafka: its storage in {self.folder} cannot be made: {' | '.join(lines)}")
        try:
            aside.rename(self.folder / "data")
        except OSError as error:
            raise home_unusable(self.folder, error) from None


def properties(port: int, controller_port: int, data: str) -> str:
    """The content of server.properties for a broker on 127.0.0.1; ``data`` is relative to the working folder."""
    lines = {
        **PROPERTIES,
        "listeners": f"PLAINTEXT://{ADDRESS}:{port},CONTROLLER://{ADDRESS}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{ADDRESS}:{port}",
        "controller.quorum.voters": f"1@{ADDRESS}:{controller_port}",
        "log.dirs": data,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def wait_ready(
    address: str, timeout_s: float, gave_up: Callable[[], bool] = lambda: False, *, leading: bool = False
) -> bool:
    """Whether the cluster at ``address`` (host:port[,host:port]) answers within ``timeout_s``, unless ``gave_up``.

    ``leading``: also that every partition can be read. A broker that was killed answers some seconds before that.
    """
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    servers = [server.rpartition(":") for server in address.split(",")]
    client: AdminClient | None = None
    watch = Stopwatch()
    while watch.seconds() < timeout_s and not gave_up():
        if any(answers(host, int(port), 0.5) for host, _, port in servers):
            # one client for all tries: a broker that is starting has better things to do than to greet new ones
            client = client or AdminClient({"bootstrap.servers": address, "log_level": 0, **QUICK_CLIENT})
            try:
                if client.list_topics(timeout=2).brokers and (not leading or _leads(client)):
                    return True
            except (KafkaException, TimeoutError):
                pass
            _pause(0.1)
        _pause(0.02)
    return False


def _leads(client: AdminClient) -> bool:
    """Whether each partition says where it ends. Raises KafkaException if one doesn't, TimeoutError if not in time."""
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin._listoffsets import OffsetSpec

    topics = client.list_topics(timeout=2).topics.items()
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = {TopicPartition(name, number): latest for name, topic in topics for number in topic.partitions}
    if wanted:
        for future in client.list_offsets(wanted, request_timeout=3).values():
            future.result(5)
    return True


def _pause(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _cluster_id() -> str:
    """A KRaft cluster id: 22 characters that don't start with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
