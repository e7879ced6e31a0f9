"""Strategies are added to a home and removed from it while its worker runs, whatever their program is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api.instances import Running, Wanted, activation_of, add, remove, running, with_failures
from api.lab.choice import Chosen, choose
from infra.kafka import read_range
from infra.reference_log import read_reference
from schemas.catalogue import partition_of
from schemas.events import Alert, Severity, Signal, SignalKind
from schemas.registry import decode
from schemas.times import iso_ms
from tests.integration.streams.line import CLOCK, KEYS, Line, lively
from tests.integration.streams.partitions import Reader

pytestmark = pytest.mark.stack

BLOCKS = lively(blocks=60)
SOURCE = '''
from tickledger import BarStrategy, Enter, Exit, Flat, TickStrategy, strategy
from tickledger.ta import ema


@strategy(version=1, bars="M1")
def lines(b):
    """Signals on nearly any bars."""
    up = b.close > ema(b.close, 2)
    yield Enter.long(up, Exit(stop=0.001))
    yield Flat(~up)


class Bars(BarStrategy):
    """The same, bar by bar."""

    version = 1
    bars = "M1"

    def start(self):
        self.last = 0.0

    def on_bar(self, bar):
        if bar.close > self.last:
            yield Enter.long(plan=Exit(stop=0.001))
        else:
            yield Flat()
        self.last = bar.close


class Fails(TickStrategy):
    """Raises after four hundred ticks."""

    version = 1

    def start(self):
        self.seen = 0

    def on_block(self, ticks):
        self.seen += len(ticks.n)
        if self.seen > 400:
            raise ValueError("no more")
        return []
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    return path


def added(line: Line, chosen: Chosen) -> str:
    """Adds it to the listing; the operator that it is from then on."""
    one = activation_of(chosen, f"{chosen.name}-{line.name}", (line.listing,))
    found = add(line.kafka, KEYS, CLOCK, Wanted(one)).activation
    line.ref_no = found.ref_no
    return f"{found.instance}@{found.ref_no}"


def signals(line: Line, operator: str) -> list[Signal]:
    found = [decode(value) for value in line.found("signals")]
    return [s for s in found if isinstance(s, Signal) and s.operator == operator]


def failures(line: Line) -> list[Alert]:
    """The alerts that a strategy failed on the listing, copies too."""
    messages = (m for b in read_range(line.kafka, "alerts", partition_of("alerts", "worker")) for m in b)
    found = [decode(message.value() or b"") for message in messages]
    return [a for a in found if isinstance(a, Alert) and a.code == "strategy_failed" and line.listing in a.subject]


def found_running(line: Line) -> list[Running]:
    return with_failures(line.kafka, running(read_reference(line.kafka, KEYS)[0]))


@pytest.mark.parametrize("name", ["lines", "Bars"])
def test_added_while_the_worker_runs_it_signals_from_the_next_block_on(line: Line, file: Path, name: str) -> None:
    line.usual().write(BLOCKS[:20])
    reader = Reader(line).read()
    operator = added(line, choose(f"{file}:{name}", {}))
    line.write(BLOCKS[20:40])
    reader.read()
    mine = signals(line, operator)
    assert mine
    assert min(s.ref_no for s in mine) == line.ref_no
    assert line.found("signals") == line.expected("signals")

    ended = remove(line.kafka, KEYS, CLOCK, operator.partition("@")[0])
    line.ref_no = ended.ref_no
    line.write(BLOCKS[40:])
    reader.read()
    assert line.found("signals") == line.expected("signals")
    assert signals(line, operator) == mine, "it has ended"
    names = [one.activation.instance for one in running(read_reference(line.kafka, KEYS)[0])]
    assert operator.partition("@")[0] not in names

    # Another worker that starts from what this one kept says the same.
    Reader(line, reader.checkpoint(), line.offsets[-1]).read()
    assert line.found("signals") == line.expected("signals")


def test_one_that_raises_says_so_and_the_others_go_on(line: Line, file: Path) -> None:
    line.usual().write(BLOCKS[:10])
    reader = Reader(line).read()
    failing = added(line, choose(f"{file}:Fails", {}))
    going = added(line, choose(f"{file}:lines", {}))
    line.write(BLOCKS[10:])
    reader.read()
    (failed,) = signals(line, failing)
    assert (failed.kind, "no more" in failed.message) == (SignalKind.FAILED, True)
    assert signals(line, going)[-1].n > failed.n
    assert line.found("signals") == line.expected("signals")
    assert line.alerts() == [("strategy_failed", -1)]

    # It is told once: one that starts from the snapshots says nothing again, one that folds all says the same.
    sent = failures(line)
    Reader(line, reader.checkpoint(), line.offsets[-1]).read()
    assert failures(line) == sent
    Reader(line, []).read()
    assert failures(line) == sent * 2
    (alert,) = set(failures(line))
    assert alert.subject == f"{failing}/{line.listing}"
    assert (alert.source, alert.severity, alert.time_us) == ("worker", Severity.CRITICAL, failed.time_ms * 1000)
    raises = next(n for n, text in enumerate(SOURCE.split("\n"), start=1) if "raise ValueError" in text)
    assert f": line {raises}: ValueError: no more; " in alert.message
    instance = failing.partition("@")[0]
    assert f"tickledger strategies remove {instance}` and add it again" in alert.message
    (one,) = (r for r in found_running(line) if r.activation.instance == instance)
    assert one.failed == (alert,)
    told = one.as_json()["failed"]
    expected = {"listing": line.listing, "time": iso_ms(failed.time_ms), "message": alert.message}
    assert told == [expected | {"by_former_worker": False}]
    assert [r.failed for r in found_running(line) if r.activation.instance == going.partition("@")[0]] == [()]

    # Added again it is another operator, which hasn't failed yet.
    remove(line.kafka, KEYS, CLOCK, instance)
    assert added(line, choose(f"{file}:Fails", {})).startswith(f"{instance}@")
    (one,) = (r for r in found_running(line) if r.activation.instance == instance)
    assert one.failed == ()


def test_a_listing_that_is_folded_no_more_is_said_of_all_that_run_on_it(line: Line, file: Path) -> None:
    line.usual().write(BLOCKS[:10])
    reader = Reader(line).read()
    added(line, choose(f"{file}:lines", {}))
    line.ref_no = 10**6
    line.write(BLOCKS[10:20])
    reader.read()

    def stands_on(worker_since_ms: int = 0) -> dict[str, list[bool]]:
        """By operator of each alert whether only a former worker said it."""
        found = with_failures(line.kafka, running(read_reference(line.kafka, KEYS)[0]), worker_since_ms)
        return {
            r.activation.operator: [
                t["by_former_worker"] for t in r.as_json()["failed"] if t["listing"] == line.listing
            ]
            for r in found
            if line.listing in r.activation.listings
        }

    assert stands_on() == {"berserker": [False], "lines": [False]}
    # A worker that was started since says it once more if it still is so.
    started_ms = time.time_ns() // 1_000_000 + 1
    assert stands_on(started_ms) == {"berserker": [True], "lines": [True]}
    time.sleep(0.005)  # Records are stamped in whole milliseconds: what is said from here on is stamped later.
    Reader(line, reader.checkpoint(), line.offsets[-1]).read()
    assert stands_on(started_ms) == {"berserker": [False], "lines": [False]}


def test_one_that_raises_on_earlier_ticks_says_so_too(line: Line, file: Path) -> None:
    line.usual().write(BLOCKS)
    reader = Reader(line).read()
    failing = added(line, choose(f"{file}:Fails", {}))
    line.write(lively(9)[:2])
    reader.read()
    (failed,) = signals(line, failing)
    assert (failed.kind, failed.ref_no < line.ref_no) == (SignalKind.FAILED, True)
    assert line.found("signals") == line.expected("signals")
