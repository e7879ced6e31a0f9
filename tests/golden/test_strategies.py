"""Golden digests of graphs: what every node computes, and what strategies say of the sample day, never changes.

A digest that changes says that old logs no longer verify: a node that computes something else needs a new version.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.graph import KINDS
from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY
from schemas.ticks import TickBlock
from streams.fold import ListingFold
from streams.graph_programs import graph_activation, graph_or_built_in
from streams.replay import Digests, replay
from streams.strategy_file import build, load_named, shipped
from tests.graphs import graph_of_kind, outputs_of, random_bars
from tests.property.references import spec, view
from tests.property.test_merged_strategies import own_timeframes
from tests.property.tick_logs import recut
from tests.strategies import busy, ema_cross
from tests.unit.test_purity import nothing_outside
from tickledger import strategy

GOLDEN = Path(__file__).with_name("strategies.json")
PROGRAMS = {
    "busy": busy.program(),
    "hourly": strategy(version=1, bars="H1", warmup=3)(busy.function).program(),
    "cross": ema_cross.program(),
    "minute_cross": strategy(version=1, bars="M1")(ema_cross.function).program(),
    "joined": own_timeframes.program(),
}
SHIPPED = {name: build(load_named(name)) for name in shipped()}
REFERENCE = view(
    *[graph_activation(name, program) for name, program in PROGRAMS.items()],
    *[spec(listing=file.listing) for file in SAMPLE_DAY],
)


@pytest.fixture(scope="module")
def days() -> dict[str, list[TickBlock]]:
    return {file.listing: sample_blocks(file, REFERENCE.last) for file in SAMPLE_DAY}


def signals(days: dict[str, list[TickBlock]]) -> dict[str, Any]:
    digests = Digests()
    for blocks in days.values():
        for output in replay(blocks, REFERENCE, programs=graph_or_built_in):
            digests.add(output)
    return {
        f"{stream.instance} on {stream.listing}": {"count": digests.counts[stream], "sha256": digest}
        for stream, digest in digests.hex().items()
    }


@pytest.fixture(scope="module")
def whole(days: dict[str, list[TickBlock]]) -> dict[str, Any]:
    return signals(days)


def node(kind: Any) -> str:
    values = outputs_of(graph_of_kind(kind), random_bars(2_026, 500, 0.01))
    values[np.isnan(values)] = np.nan
    return hashlib.sha256(values.tobytes()).hexdigest()


def test_nodes_programs_and_signals_of_the_sample_day_are_those_that_are_written_down(
    whole: dict[str, Any],
) -> None:
    present = {
        "nodes": {kind.key: node(kind) for kind in KINDS.values() if kind.kernel is not None},
        "programs": {name: program.digest for name, program in PROGRAMS.items()},
        "shipped": {name: program.digest for name, program in SHIPPED.items()},
        "signals": whole,
    }
    assert present == json.loads(GOLDEN.read_text(encoding="utf-8")), json.dumps(present, indent=2)


@pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
def test_the_cut_of_the_sample_day_does_not_show_in_signals(
    days: dict[str, list[TickBlock]], whole: dict[str, Any], size: int
) -> None:
    assert signals({listing: recut(blocks, [size]) for listing, blocks in days.items()}) == whole


def test_strategies_run_where_nothing_outside_can_be_read(
    days: dict[str, list[TickBlock]], whole: dict[str, Any]
) -> None:
    with nothing_outside():
        found = signals(days)
    assert found == whole


def test_a_restart_in_the_middle_of_the_day_does_not_show(days: dict[str, list[TickBlock]]) -> None:
    for listing, blocks in days.items():
        whole = ListingFold(listing, REFERENCE, graph_or_built_in)
        said = [o.columns.tobytes() for o in whole.fold(blocks) if o.operator.startswith("busy")]
        first, second = (ListingFold(listing, REFERENCE, graph_or_built_in) for _ in range(2))
        half = len(blocks) // 2
        before = first.fold(blocks[:half])
        for operator in first.positions():
            second.load(operator, first.dump(operator))
        after = second.fold(blocks[half:])
        again = [o.columns.tobytes() for o in [*before, *after] if o.operator.startswith("busy")]
        assert b"".join(again) == b"".join(said)
        assert [second.dump(o).digest for o in second.positions()] == [whole.dump(o).digest for o in whole.positions()]
