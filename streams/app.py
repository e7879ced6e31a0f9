"""The Faust app: the group that shares the partitions of `ticks`, and one agent that hands each record to the worker.

An error in a step ends the process at once: Faust would otherwise go on with the next record.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from typing import Any

import faust

from infra.settings import Settings
from schemas.catalogue import TOPICS
from streams.driver import Driver, or_end

GROUP = "tickledger-worker"

BUFFERED_RECORDS = 256
"""Records that Faust holds ready; one of an import has up to 180 kB."""


def make_app(settings: Settings, bootstrap: str, driver: Driver, ready: Callable[[], None]) -> faust.App:
    """The app; `ready` is called whenever the group has given this process its partitions."""
    app = faust.App(
        GROUP,
        broker=";".join(f"kafka://{address}" for address in bootstrap.split(",")),
        store="memory://",
        datadir=str(settings.home / "worker"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=_instance(settings),
        broker_session_timeout=settings.worker.session_timeout_s,
        broker_heartbeat_interval=min(1.0, settings.worker.session_timeout_s / 3),
        broker_commit_interval=0.5,
        broker_max_poll_interval=3600.0,
        producer_acks=-1,
        producer_linger=0,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        consumer_max_fetch_size=8 * 1024 * 1024,
        worker_redirect_stdouts=False,
        logging_config=None,
    )
    ticks = app.topic(
        "ticks",
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=TOPICS["ticks"].partitions,
        internal=False,
    )

    async def fold_ticks(stream: Any) -> None:
        async for event in stream.noack().events():
            await or_end(driver.take(event))

    async def when_quiet() -> None:
        await or_end(driver.quiet())

    async def on_assigned(_: Any, assigned: Any, **__: Any) -> None:
        driver.assigned(tp.partition for tp in assigned if tp.topic == "ticks")
        ready()

    async def on_revoked(_: Any, revoked: Any, **__: Any) -> None:
        driver.revoked([tp.partition for tp in revoked if tp.topic == "ticks"])

    async def on_shutdown(_: Any, **__: Any) -> None:
        await or_end(driver.close())

    app.agent(ticks)(fold_ticks)
    app.timer(0.25)(when_quiet)
    app.on_partitions_assigned.connect(on_assigned)
    app.on_partitions_revoked.connect(on_revoked)
    app.on_before_shutdown.connect(on_shutdown)
    return app


def _instance(settings: Settings) -> str:
    """The same for each start of a home's worker: so the group takes it back at once, also after a kill."""
    place = f"{socket.gethostname()} {settings.home.resolve()}"
    return f"worker-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
