"""Golden digests: the sample day gives these ticks, bars, signals and states, on every machine and for ever.

A digest that changes says that old logs no longer verify. If that is meant, write the file anew from the message.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from api.bench.sample_day import sample_blocks
from api.bench.slow_bars import slow_bars
from producers.sample import SAMPLE_DAY
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.ticks import TickBlock, seal_block
from streams.activations import missing
from streams.fold import ListingFold
from streams.operators.bars import Bars
from streams.replay import Digests, replay
from streams.segments import segments
from tests.property.references import spec, view
from tests.property.tick_logs import recut

GOLDEN = Path(__file__).with_name("sample_day.json")
KEYS = KeyRing({"golden": bytes(range(32))}, "golden")
BUILT_IN = missing([])
REFERENCE = view(*BUILT_IN, *[spec(listing=file.listing) for file in SAMPLE_DAY])


@pytest.fixture(scope="module")
def days() -> dict[str, list[TickBlock]]:
    return {file.listing: sample_blocks(file, REFERENCE.last) for file in SAMPLE_DAY}


def sealed(blocks: list[TickBlock]) -> str:
    """SHA-256 over the values of the chain that the blocks make under the fixed key."""
    digest, mac = hashlib.sha256(), ZERO_MAC
    for block in blocks:
        value = seal_block(block._replace(nonce=b"sample!!", key_id=KEYS.current, prev=mac), KEYS)
        mac = value[-16:]
        digest.update(value)
    return digest.hexdigest()


def found(days: dict[str, list[TickBlock]]) -> dict[str, Any]:
    decisions, states, ticks = Digests(), {}, {}
    for listing, blocks in days.items():
        for output in replay(blocks, REFERENCE):
            decisions.add(output)
        fold = ListingFold(listing, REFERENCE)
        fold.fold(blocks)
        states[listing] = {name: fold.dump(name).digest for name in fold.positions()}
        refused = sum(int((block.quality != 0).sum()) for block in blocks)
        ticks[listing] = {"count": sum(b.size for b in blocks), "refused": refused, "sha256": sealed(blocks)}
    records: dict[str, Any] = {"bars": {}, "signals": {}}
    for stream, digest in decisions.hex().items():
        records[stream.topic][stream.listing] = {"count": decisions.counts[stream], "sha256": digest}
    return {"ticks": ticks, **records, "states": states}


def test_the_sample_day_gives_the_digests_that_are_written_down(days: dict[str, list[TickBlock]]) -> None:
    present = found(days)
    assert present == json.loads(GOLDEN.read_text(encoding="utf-8")), json.dumps(present, indent=2)


@pytest.mark.parametrize("size", [1, 7, 100, 1_000_000])
def test_the_cut_of_the_sample_day_does_not_show(days: dict[str, list[TickBlock]], size: int) -> None:
    digests = []
    for cut in (days, {listing: recut(blocks, [size]) for listing, blocks in days.items()}):
        decisions = Digests()
        for blocks in cut.values():
            for output in replay(blocks, REFERENCE):
                decisions.add(output)
        digests.append(decisions.hex())
    assert digests[0] == digests[1]


def test_the_bars_of_the_sample_day_equal_a_slow_computation(days: dict[str, list[TickBlock]]) -> None:
    for listing, blocks in days.items():
        operator = Bars()
        state = operator.initial(listing)
        pieces = list(segments(blocks))
        assert [row for s in pieces for row in operator.fold(state, s, spec()).tolist()] == slow_bars(
            (s, 5) for s in pieces
        )


def test_berserker_finds_some_entries_a_day_and_not_hundreds(days: dict[str, list[TickBlock]]) -> None:
    for blocks in days.values():
        signals = sum(len(o.columns) for o in replay(blocks, REFERENCE) if o.topic == "signals")
        assert 6 <= signals <= 120
