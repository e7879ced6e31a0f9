"""Strategies are added to a home and removed from it while its worker runs, whatever their program is."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.instances import Wanted, activation_of, add, remove, running
from api.lab.choice import Chosen, choose
from infra.reference_log import read_reference
from schemas.events import Signal, SignalKind
from schemas.registry import decode
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
    assert line.alerts() == []


def test_one_that_raises_on_earlier_ticks_says_so_too(line: Line, file: Path) -> None:
    line.usual().write(BLOCKS)
    reader = Reader(line).read()
    failing = added(line, choose(f"{file}:Fails", {}))
    line.write(lively(9)[:2])
    reader.read()
    (failed,) = signals(line, failing)
    assert (failed.kind, failed.ref_no < line.ref_no) == (SignalKind.FAILED, True)
    assert line.found("signals") == line.expected("signals")
