"""Processes of a trading day killed at random moments, and how long each is away."""

from __future__ import annotations

import random
import signal
import time
from functools import partial
from typing import Final, NamedTuple

import psycopg

from api.demo.home import ACCOUNT
from infra.errors import TickledgerError
from infra.stack.services import KAFKA, POSTGRES
from projections.extents import extents
from tests.e2e.chaos.day import TradingDay

KILLED: Final = ("recorder", "worker", "desk", "sequencer", "gateway", "projector", KAFKA, POSTGRES)


class Recovery(NamedTuple):
    """A process that was killed: from then until a new one was ready, and what it does had gone on, in seconds."""

    service: str
    ready_s: float
    at_work_s: float


def kill_each(
    day: TradingDay, draw: random.Random, *, times: int = 1, pause_s: float = 0.5, pairs: float = 0.0
) -> list[Recovery]:
    """Each process is killed so many times, in random order, until the market has been played: each time something has
    been entered since all are back, and a pause of `pause_s` in the middle has passed. `pairs`: how often a second one
    dies before the first is back."""
    victims = [*KILLED] * times
    draw.shuffle(victims)
    found = []
    while victims and not day.is_played():
        since_us = day.clock.now_us()
        day.until(partial(_has_entered, day, since_us), "the account trades")
        time.sleep(draw.uniform(0, 2 * pause_s))
        first = victims.pop()
        second = draw.choice([other for other in KILLED if other != first]) if draw.random() < pairs else None
        found += kill(day, first, second, draw.uniform(0, 0.5))
    return found


def kill(day: TradingDay, service: str, second: str | None = None, after_s: float = 0.0) -> list[Recovery]:
    """Kills a process, and a second one a moment later, and waits until all is at work again. Only one that fell alone
    is measured."""
    before, start = _progress(day, service), time.monotonic()
    fallen = {service: day.send(service, signal.SIGKILL)}
    if second is not None:
        time.sleep(after_s)
        fallen[second] = day.send(second, signal.SIGKILL)

    def back(name: str) -> bool:
        return day.process(name) != fallen[name] and day.is_ready(name)

    for name in fallen:
        day.until(partial(back, name), f"{name} is back")
    ready_s = time.monotonic() - start
    day.until(lambda: _gone_on(before, _progress(day, service)) or day.is_played(), f"{service} is at work again")
    return [] if second is not None else [Recovery(service, ready_s, time.monotonic() - start)]


def _has_entered(day: TradingDay, since_us: int) -> bool:
    return bool(day.entries(since_us)) or day.is_played()


def _gone_on(before: tuple[int, ...], now: tuple[int, ...]) -> bool:
    return all(one > other for one, other in zip(now, before, strict=True))


def _progress(day: TradingDay, service: str) -> tuple[int, ...]:
    """Numbers that grow while a process does its work."""
    recorder, desk = day.mark("recorder"), day.mark(f"desk-{ACCOUNT}")
    if service == "recorder":
        return (recorder,)
    if service in ("desk", "sequencer"):
        return (desk,)
    if service == KAFKA:
        return (recorder, desk)
    if service == "worker":
        return (_bars(day),)
    if service in ("projector", POSTGRES):
        return (_projected(day),)
    # A gateway says that it is ready once it has looked at everything, and may have nothing to do then.
    return ()


def _bars(day: TradingDay) -> int:
    try:
        return sum(ends.high for ends in extents(day.running.kafka, ("bars",)).values())
    except TickledgerError:
        return -1


def _projected(day: TradingDay) -> int:
    try:
        with psycopg.connect(day.running.postgres_dsn, connect_timeout=2) as connection:
            row = connection.execute("select coalesce(sum(taken), 0)::bigint from tickledger.marks").fetchone()
    except psycopg.Error:
        return -1
    return int(row[0]) if row else -1
