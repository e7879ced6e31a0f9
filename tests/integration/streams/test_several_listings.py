"""A strategy over several listings in the worker: what it says is what the logs prove, whoever dies and is silent."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from api.demo.laboratory import _sum, live_signals
from api.instances import running, with_failures
from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.data import Traded
from api.lab.log_data import LogSource
from api.lab.setup import SizedBy
from infra.clock import SystemClock
from infra.reference_log import read_reference
from infra.settings import WorkerSettings
from producers.judge import Judge
from producers.specs import for_digits, listing_spec, load_spec
from schemas.configuration import Sizing
from schemas.registry import decode
from schemas.ticks import TickBlock
from streams.driver import Driver
from streams.graph_programs import graph_activation
from streams.partition import TickPartition
from streams.report import Range, Report
from streams.verify import Verification
from tests.integration.streams.line import KEYS, Line, lively
from tests.integration.streams.pair import Pair
from tests.integration.streams.partitions import Reader
from tests.integration.streams.service import Service, wait
from tests.integration.streams.test_driver import events
from tests.integration.streams.verifying import judged

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]


def beside(blocks: list[TickBlock], seed: int) -> list[TickBlock]:
    """Another listing's walk, whose ticks come a little later than those of the blocks."""
    rng = np.random.default_rng(seed)
    found = []
    for one in blocks:
        bid = one.bid * (1.2 + np.cumsum(rng.integers(-6, 7, one.size)) / 1e4)
        later = {"time_ms": one.time_ms + LATER_MS, "watermark_ms": one.watermark_ms + LATER_MS}
        found.append(one._replace(bid=bid, ask=bid + 1e-4, **later))
    return judged(found)


def calm(seed: int, count: int) -> list[TickBlock]:
    """A walk without heartbeats, judged as a recorder does."""
    return judged([b for b in lively(seed, count) if b.size])


LATER_MS = 1_300
OWN = calm(7, 60)
FURTHER = beside(OWN, 8)


@pytest.fixture(params=["on two partitions", "on one"])
def pair(request: pytest.FixtureRequest, new_line: NewLine) -> Pair:
    own = new_line()
    return Pair(own, new_line(own) if request.param == "on one" else new_line())


@pytest.fixture
def apart(new_line: NewLine) -> Pair:
    return Pair(new_line(), new_line())


def verified(line: Line, settle_s: float = 0.0) -> Report:
    return Verification(line.kafka, KEYS, Judge, Range(listing=line.listing), settle_s=settle_s).run()


def stands_still(pair: Pair) -> list[str]:
    """The listings on which `strategies list` says that the strategy says nothing."""
    known = running(read_reference(pair.own.kafka, KEYS)[0])
    (one,) = (r for r in with_failures(pair.own.kafka, known) if r.activation.instance == pair.instance)
    return [told["listing"] for told in one.as_json()["failed"]]


def test_what_it_says_does_not_depend_on_when_its_worker_was_restarted_and_from_what(pair: Pair) -> None:
    pair.activate()
    reader = Reader(pair.own)
    states = []
    for at in range(0, 60, 12):
        pair.own.write(OWN[at : at + 12])
        pair.further.write(FURTHER[at : at + 6])
        pair.read(reader)
        states.append(reader.checkpoint())
        pair.further.write(FURTHER[at + 6 : at + 12])
        pair.read(reader)
        if at:
            # From the last snapshots, from earlier ones, and with those of bars alone.
            known = {24: states[-2], 36: [s for s in states[-1] if s.operator.startswith("bars")]}.get(at, states[-1])
            reader.part.close()
            reader = Reader(pair.own, known)
            pair.read(reader)
        assert pair.signals() == pair.expected()
    assert len(pair.signals()) > 20
    assert pair.own.alerts() == []


def test_a_silent_listing_silences_it_and_it_goes_on_where_it_was(apart: Pair) -> None:
    apart.activate()
    apart.own.write(OWN[:30])
    apart.further.write(FURTHER[:30])
    reader = Reader(apart.own)
    apart.read(reader)
    before = apart.signals()
    known_ms = apart.merged(reader)[0].fold.shown_ms(apart.further.listing)
    apart.own.write(OWN[30:])
    apart.read(reader)
    assert apart.own.found("bars") == apart.own.expected("bars"), "its bars go on"
    assert apart.signals() == before
    assert before
    assert apart.newest_ms() <= known_ms

    # Its worker begins again while nothing of its own listing comes.
    again = Reader(apart.own, reader.checkpoint(), apart.own.offsets[-1] + 1)
    apart.further.write(FURTHER[30:])
    apart.read(again)
    assert apart.signals() == apart.expected()
    assert len(apart.signals()) > len(before)
    assert len(apart.own.records("signals")) == len(apart.signals()), "its snapshot had all that was said before"


def test_added_and_removed_while_it_runs_it_signals_in_between(apart: Pair) -> None:
    def write(start: int, end: int) -> None:
        apart.own.write(OWN[start:end])
        apart.further.write(FURTHER[start:end])
        apart.read(reader)

    reader = Reader(apart.own)
    write(0, 20)
    assert not apart.merged(reader)
    first = apart.activate()
    write(20, 30)
    second = apart.activate(graph_activation(apart.instance, apart.program(5), listings=(apart.own.listing,)))
    write(30, 45)
    ended = graph_activation(apart.instance, apart.program(5), listings=(apart.own.listing,))
    apart.activate(dataclasses.replace(ended, active=False))
    write(45, 60)
    assert apart.signals() == apart.expected()
    assert {decode(value).operator for value in apart.signals()} == {first, second}  # type: ignore[union-attr]

    states = reader.checkpoint()
    assert not apart.merged(reader), "nothing more will come of them"
    again = Reader(apart.own, states, apart.own.offsets[-1])
    assert not apart.merged(again)
    apart.read(again)
    assert apart.signals() == apart.expected()


def test_a_damaged_record_of_the_further_listing_stops_it_until_it_is_repaired(apart: Pair) -> None:
    apart.activate()
    apart.own.write(OWN)
    further = apart.further
    further.write(FURTHER[:20])
    _, damaged = further.sealed(FURTHER[20]), further.sealed(FURTHER[21])
    del further.blocks[20:]
    (offset,) = further.put(damaged)
    further.put(further.opened())
    reader = Reader(apart.own)
    apart.read(reader)
    before = apart.signals()
    assert before == apart.expected()
    states = reader.checkpoint()

    further.repair(offset, damaged, further.head)
    further.put(further.opened())
    apart.read(reader)
    led_past = reader.checkpoint()
    further.write(FURTHER[22:])
    apart.read(reader)
    assert apart.signals() == apart.expected()
    assert len(apart.signals()) > len(before)
    for known in (states, led_past, reader.checkpoint(), []):
        apart.read(Reader(apart.own, known))
        assert apart.signals() == apart.expected()


def test_on_a_listing_that_it_names_it_is_refused_and_on_the_other_it_runs(apart: Pair) -> None:
    both = (apart.own.listing, apart.further.listing)
    operator = apart.activate(graph_activation(apart.instance, apart.program(), listings=both))
    apart.own.write(OWN)
    apart.further.write(FURTHER)
    apart.read(Reader(apart.own))
    Reader(apart.further).read()
    assert apart.signals() == apart.expected()
    assert len(apart.signals()) > 20
    assert [code for code, _ in apart.further.alerts()] == ["activation_refused"]
    assert stands_still(apart) == [apart.further.listing]
    assert apart.further.found("bars") == apart.further.expected("bars")
    report = verified(apart.further)
    assert (report.exit_code, len(report.unverifiable)) == (2, 1)
    assert f"{operator} on {apart.further.listing}: pair runs on {apart.further.listing}" in report.unverifiable[0]


@pytest.mark.parametrize(
    ("later", "says"), [(0, "no ListingSpec in force"), (10**6, "and reference ends before it")]
)  # fmt: skip
def test_a_further_listing_that_can_not_be_folded_ends_it_and_nothing_else(
    new_line: NewLine, later: int, says: str
) -> None:
    pair = Pair(new_line(), new_line(), bare=True)
    pair.activate()
    pair.further.ref_no += later
    pair.own.write(OWN)
    pair.further.write(FURTHER)
    reader = Reader(pair.own).read()
    while pair.merged(reader):
        reader.part.merge()
    assert reader.producer.flush(30) == 0
    assert [code for code, _ in pair.own.alerts()] == ["strategy_parked"]
    assert stands_still(pair) == [pair.own.listing]
    assert pair.own.found("bars") == pair.own.expected("bars")
    (problem,) = verified(pair.own).problems
    assert f"{pair.instance}@{pair.own.ref_no} is not foldable from here on" in problem.reason
    assert says in problem.reason


def test_a_worker_that_loses_the_partition_stops_reading_and_goes_on_when_it_has_it_again(apart: Pair) -> None:
    apart.activate()
    apart.own.write(OWN[:30])
    apart.further.write(FURTHER)

    async def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def take(one: Driver) -> TickPartition:
        for event in events(apart.own):
            await one.take(event)
        await one.quiet()
        return await one._loading[apart.own.partition]

    async def steps() -> None:
        one = Driver(WorkerSettings(), apart.own.kafka, KEYS, SystemClock())
        before = await take(one)
        await until(lambda: apart.signals() == apart.expected())
        one.revoked([apart.own.partition])
        await until(lambda: not before.merges)
        apart.own.write(OWN[30:])
        after = await take(one)
        assert after is not before
        await until(lambda: apart.signals() == apart.expected())
        await one.close()
        assert not after.merges

    asyncio.run(steps())
    assert len(apart.signals()) > 20


def test_verify_derives_it_again_from_both_logs(apart: Pair) -> None:
    apart.activate()
    apart.own.write(OWN)
    apart.further.write(FURTHER)
    apart.own.put(*apart.own.expected("bars"), topic="bars")
    due = apart.expected()
    apart.own.put(*due[:-1], topic="signals")
    (problem,) = verified(apart.own).problems
    assert f"output {len(due) - 1} of {apart.instance}" in problem.reason
    assert "is missing" in problem.reason
    apart.own.put(due[-1], topic="signals")
    report = verified(apart.own)
    assert (report.exit_code, report.signals) == (0, len(due))
    assert apart.further.listing not in "".join(report.unverifiable)


@pytest.mark.kill
def test_killed_again_and_again_it_says_what_the_laboratory_says_of_the_topic(apart: Pair, tmp_path: Path) -> None:
    apart.activate()
    path = tmp_path / "pair.py"
    path.write_text(SOURCE.format(other=apart.further.listing))
    one = choose(str(path), {})
    assert one.graph is not None
    one = dataclasses.replace(one, name=apart.instance)
    apart.activate(graph_activation(apart.instance, one.graph, listings=(apart.own.listing,)))
    enough = threading.Event()

    def write() -> None:
        for mine, further in zip(OWN[:40], FURTHER[:40], strict=True):
            apart.own.write([mine])
            apart.further.write([further])
            enough.wait(0.05)

    with Service(apart.own.kafka, tmp_path / "home") as worker:
        writing = threading.Thread(target=write)
        writing.start()
        worker.start().ready()
        for pause_s in (0.3, 1.0):
            time.sleep(pause_s)
            worker.kill()
            worker.start().ready()
        enough.set()
        writing.join()
        wait(lambda: apart.signals() == apart.expected())
        before = apart.signals()

        # The further listing falls silent, and the worker dies meanwhile.
        apart.own.write(OWN[40:])
        wait(lambda: apart.own.found("bars") == apart.own.expected("bars"))
        assert apart.signals() == before
        worker.kill()
        worker.start().ready()
        apart.further.write(FURTHER[40:])
        wait(lambda: apart.signals() == apart.expected())
        assert len(apart.signals()) > len(before)
        assert apart.own.alerts() == []
        assert worker.end() == 0
    live = live_signals(apart.own.kafka, KEYS, apart.own.listing)[apart.instance]
    data = [of_topic(line) for line in (apart.own, apart.further)]
    run = run_backtest(Request(chosen=one, data=data, sized=SizedBy(Sizing.LOTS, 0.01), trade=[apart.own.listing]))
    said = f"{apart.instance} {apart.own.listing} {_sum(live)}\n".encode()
    assert hashlib.sha256(said).hexdigest() == run.digests["signals"]
    assert len(live) > 20
    report = verified(apart.own)
    assert (report.exit_code, report.signals) == (0, len(apart.expected()))


def of_topic(line: Line) -> Traded:
    symbol = line.listing.partition("/")[2]
    loaded = for_digits(load_spec("generic", symbol, ()), 5)
    source = LogSource(line.kafka, KEYS, line.listing, 5)
    return Traded(source, loaded, listing_spec(loaded, line.listing, 5), (), ())


SOURCE = '''
from tickledger import Enter, Exit, Flat, other, strategy
from tickledger.ta import ema


@strategy(version=1, bars="M1")
def pair(b):
    """Signals on nearly any bars, which depend on those of both."""
    ratio = b.close / other("{other}").close
    up = ratio > ema(ratio, 2)
    yield Enter.long(up, Exit(stop=0.001))
    yield Flat(~up)
'''
