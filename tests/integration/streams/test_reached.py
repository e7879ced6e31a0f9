"""The worker's mark: a market that waits for it goes on once everything recorded is folded, and on the log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.kafka import new_consumer, new_producer
from infra.marks import Mark
from infra.stack.home import Home, write_json
from streams.reached import Reached
from streams.worker import SERVICE
from tests.integration.streams.line import Line, lively
from tests.integration.streams.pair import Pair
from tests.integration.streams.service import Service, wait
from tests.integration.streams.test_several_listings import FURTHER, OWN

pytestmark = [pytest.mark.stack, pytest.mark.kill]


class Recorder:
    """What a recorder leaves in the home: its listings, and how far it is."""

    def __init__(self, home: Path, line: Line, *further: Line) -> None:
        self.line = line
        listings = [one.listing for one in (line, *further)]
        write_json(Home(home).ready_file("recorder"), {"ready": True, "listings": listings})
        self._mark = Mark.of(Home(home), "recorder")
        self._blocks = iter(lively(13, 400))

    def record(self, blocks: int, us: int) -> None:
        """So many blocks are on the log by then."""
        self.line.write([next(self._blocks) for _ in range(blocks)])
        self.reach(us)

    def reach(self, us: int) -> None:
        """Everything is on the log by then."""
        self._mark.set(us)


def reaches(mark: Mark, us: int) -> None:
    wait(lambda: mark.get() == us)


@pytest.fixture
def worker(line: Line, tmp_path: Path) -> Iterator[Service]:
    with Service(line.kafka, tmp_path / "home", TICKLEDGER_TERMINAL__FOLLOWERS='["recorder", "worker"]') as service:
        yield service


def test_the_mark_follows_what_is_folded_and_delivered_also_after_a_kill(line: Line, worker: Service) -> None:
    line.usual()
    recorder = Recorder(worker.home, line)
    mine = Mark.of(Home(worker.home), "worker")
    worker.start()
    for us in (1_000_000, 2_000_000, 3_000_000):
        recorder.record(60, us)
        reaches(mine, us)
        for topic in ("bars", "signals"):
            assert line.found(topic) == line.expected(topic), topic
    assert line.found("signals")
    worker.kill()
    recorder.record(60, 4_000_000)
    worker.start()
    reaches(mine, 4_000_000)
    assert line.found("bars") == line.expected("bars")
    # What was folded before isn't handed over again to the next one, and holds nobody.
    assert worker.end() == 0
    worker.start().ready()
    recorder.record(0, 5_000_000)
    reaches(mine, 5_000_000)


def test_strategies_over_several_listings_hold_the_market_too(new_line: Callable[..., Line], tmp_path: Path) -> None:
    pair = Pair(new_line(), new_line())
    pair.activate()
    followers = '["recorder", "worker"]'
    with Service(pair.own.kafka, tmp_path / "home", TICKLEDGER_TERMINAL__FOLLOWERS=followers) as worker:
        recorder = Recorder(worker.home, pair.own, pair.further)
        mine = Mark.of(Home(worker.home), "worker")
        worker.start()
        for at in range(0, 60, 20):
            pair.own.write(OWN[at : at + 20])
            pair.further.write(FURTHER[at : at + 20])
            recorder.reach(at + 1)
            reaches(mine, at + 1)
            assert pair.signals() == pair.expected()
        assert pair.signals()


Follow = Callable[..., Mark]


@pytest.fixture
def follow(line: Line, tmp_path: Path) -> Iterator[Follow]:
    """Starts to follow one recorded time, of the line and further ones; the mark. What is folded is what the argument
    has at "folded"."""
    consumer, threads = new_consumer(line.kafka, **{"group.id": SERVICE.group}), []
    home = Home(tmp_path / "own")
    home.run.mkdir(parents=True)
    producer = new_producer(line.kafka)

    def start(state: dict[str, dict[int, int] | None], *further: Line) -> Mark:
        write_json(home.ready_file("recorder"), {"listings": [one.listing for one in (line, *further)]})
        reached = Reached(home, "worker", line.kafka, SERVICE.group, lambda: state["folded"], producer)
        threads.append(threading.Thread(target=reached.follow, args=(consumer, 7_000_000)))
        threads[-1].start()
        return Mark.of(home, "worker")

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    consumer.close()


@pytest.mark.parametrize("held", ["behind", "catching up"])
def test_who_is_behind_or_catches_up_holds_the_market(line: Line, follow: Follow, held: str) -> None:
    last = line.write(lively(13, 5))[-1]
    state: dict[str, dict[int, int] | None] = {"folded": {line.partition: last} if held == "behind" else None}
    mark = follow(state)
    threading.Event().wait(0.3)
    assert mark.get() is None
    state["folded"] = {line.partition: last + 1}
    reaches(mark, 7_000_000)


def test_a_partition_that_was_folded_and_is_read_once_more_holds_the_market_again(
    line: Line, new_line: Callable[..., Line], follow: Follow
) -> None:
    """The first record of a listing brings the strategies that read others beside it, from the logs' starts."""
    further = new_line()
    while further.partition == line.partition:
        further = new_line()
    lower, upper = sorted((line, further), key=lambda one: one.partition)
    low, high = (one.write(lively(13, 5))[-1] + 1 for one in (lower, upper))
    state: dict[str, dict[int, int] | None] = {"folded": {lower.partition: low, upper.partition: 0}}
    mark = follow(state, further)
    threading.Event().wait(0.3)
    state["folded"] = {lower.partition: 0, upper.partition: high}
    threading.Event().wait(0.3)
    assert mark.get() is None
    state["folded"] = {lower.partition: low, upper.partition: high}
    reaches(mark, 7_000_000)
