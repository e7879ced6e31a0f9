"""Runs give what judging record by record gives, on sound logs and tampered ones, however they are handed over."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas.codec
import streams.run_segments
from schemas import codec
from schemas.accept import Verdict
from schemas.chains import Chains
from schemas.runs import RUN_LINKS, RunReader
from schemas.ticks import BlockKind, TickBlock, decode_block, seal_block
from streams.replay import Digests, replay
from streams.run_segments import run_segments
from streams.segments import segments
from streams.topic_replay import PartitionReplay, Record
from tests.chain_logs import OURS, PARTITION
from tests.chain_logs import Record as Entry
from tests.kernels import bounds_checked, plain
from tests.property.references import usual
from tests.property.test_tampered_chains import Move, log_of, moves
from tests.property.tick_logs import Knobs, knobs, random_log
from tests.records import KEYS, ChainOfTicks

KERNELS = (schemas.codec, streams.run_segments)
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def one_by_one(log: list[Entry]) -> tuple[list[tuple[int, bytes]], dict[str, Any]]:
    """(what is taken: offset and value, the heads) by accept() alone."""
    chains = Chains("ticks", KEYS)
    taken = [
        (i, value or b"")
        for i, (key, value) in enumerate(log)
        if chains.judge(PARTITION, i, key.encode(), value).verdict is Verdict.TAKE
    ]
    return taken, chains.heads


def by_runs(log: list[Entry], cut: list[int]) -> tuple[list[tuple[int, bytes]], dict[str, Any], int]:
    """The same by runs, and how many links came in them."""
    chains = Chains("ticks", KEYS)
    reader = RunReader(chains, KEYS, PARTITION)
    taken, in_runs, at, turn = [], 0, 0, 0
    while at < len(log):
        key = log[at][0]
        end = min(at + cut[turn % len(cut)], len(log))
        turn += 1
        some = [value for of, value in log[at:end] if of == key]
        together = some if all(of == key for of, _ in log[at:end]) else some[:1]
        run = reader.read(key.encode(), together)
        if run is None:
            if chains.judge(PARTITION, at, key.encode(), log[at][1]).verdict is Verdict.TAKE:
                taken.append((at, log[at][1] or b""))
            at += 1
            continue
        assert (run.listing, 0 < run.links <= len(together)) == (key, True)
        for i, head in enumerate(run.heads.tolist()):
            block = decode_block(log[at + i][1] or b"")
            assert (head[codec.SEQ], head[codec.FIRST_N], head[codec.TICKS]) == (block.seq, block.first_n, block.size)
            taken.append((at + i, log[at + i][1] or b""))
        at, in_runs = at + run.links, in_runs + run.links
    return taken, chains.heads, in_runs


@settings(deadline=None)
@given(moves, cuts, st.data())
def test_tampered_or_not_the_same_is_taken(some: list[Move], cut: list[int], data: st.DataObject) -> None:
    log = log_of(some)
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(log) - 1))
        match data.draw(st.sampled_from(["byte", "drop", "swap", "again", "empty", "junk"])):
            case "byte" if log[place][1]:
                changed = bytearray(log[place][1] or b"")
                changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
                log[place] = (log[place][0], bytes(changed))
            case "drop" if len(log) > 1:
                del log[place]
            case "swap":
                other = data.draw(st.integers(0, len(log) - 1))
                log[place], log[other] = log[other], log[place]
            case "again":
                log.insert(data.draw(st.integers(0, len(log))), log[place])
            case "empty":
                log[place] = (log[place][0], b"")
            case "junk":
                log[place] = (log[place][0], b"junk that is no record at all")
    assert by_runs(log, cut)[:2] == one_by_one(log)


def test_a_sound_log_comes_in_runs() -> None:
    writer = ChainOfTicks(OURS)
    log: list[Entry] = [(OURS, writer.open()), *((OURS, writer.data(i % 4)) for i in range(3 * RUN_LINKS))]
    taken, heads, in_runs = by_runs(log, [len(log)])
    assert (in_runs, len(taken)) == (len(log) - 1, len(log))
    assert heads == one_by_one(log)[1]


@pytest.mark.parametrize("key", [None, b"\xff", b"test/NOT-HERE-7", b""])
def test_keys_that_have_no_place_there_are_left_to_accept(key: bytes | None) -> None:
    writer = ChainOfTicks(OURS)
    chains = Chains("ticks", KEYS)
    chains.judge(PARTITION, 0, OURS.encode(), writer.open())
    assert RunReader(chains, KEYS, PARTITION).read(key, [writer.data()]) is None


@pytest.mark.parametrize(
    "changed",
    [{"epoch": 0, "nonce": bytes(8)}, {"seq": 2**63 - 1}, {"first_n": 2**62}, {"ref_no": 0}, {"key_id": "unknown"}],
)
def test_a_first_link_that_fits_nearly_is_left_to_accept(changed: dict[str, Any]) -> None:
    writer = ChainOfTicks(OURS)
    chains = Chains("ticks", KEYS)
    chains.judge(PARTITION, 0, OURS.encode(), writer.open())
    chains.judge(PARTITION, 1, OURS.encode(), writer.data())
    block = writer.block(**changed)
    value = KEYS.seal("ticks", "k1", _sealed_by_another_name(block)) if "key_id" in changed else seal_block(block, KEYS)
    before = dict(chains.heads)
    assert RunReader(chains, KEYS, PARTITION).read(OURS.encode(), [value]) is None
    assert chains.heads == before


def _sealed_by_another_name(block: TickBlock) -> bytes:
    return seal_block(block._replace(key_id=KEYS.current), KEYS).replace(KEYS.current.encode(), b"k9")


def chained(blocks: list[TickBlock]) -> list[Record]:
    """The blocks as one writer's chain, with its OPEN."""
    writer = ChainOfTicks(OURS)
    values = [writer.open()]
    for block in blocks:
        value = seal_block(
            block._replace(
                listing=OURS,
                epoch=writer.epoch,
                nonce=writer.nonce,
                prev=writer.prev,
                key_id=KEYS.current,
            ),
            KEYS,
        )
        writer.prev = value[-16:]
        values.append(value)
    return [Record(i, OURS.encode(), value) for i, value in enumerate(values)]


@settings(deadline=None)
@given(k=knobs, cut=cuts)
def test_the_replay_of_a_partition_gives_what_the_replay_of_its_blocks_gives(k: Knobs, cut: list[int]) -> None:
    records = chained(random_log(k))
    blocks = [decode_block(record.value or b"") for record in records]
    expected, found = Digests(), Digests()
    for output in replay([b for b in blocks if b.kind == BlockKind.DATA], usual()):
        expected.add(output)
    partition = PartitionReplay(PARTITION, KEYS, usual(), judged=lambda judged: taken_one_by_one.append(judged.verdict))
    taken_one_by_one: list[Verdict] = []
    ends = list(accumulate([0, *(cut * len(records))]))
    for start, end in pairwise(ends):
        for output in partition.fold(records[start:end]):
            found.add(output)
    assert (found.hex(), found.counts) == (expected.hex(), expected.counts)
    assert taken_one_by_one == [Verdict.TAKE], "the OPEN and nothing else"


@settings(deadline=None, max_examples=30)
@given(k=knobs)
@pytest.mark.parametrize("how", [plain, bounds_checked])
def test_a_run_has_the_segments_of_its_blocks(how: Any, k: Knobs) -> None:
    records = chained(random_log(k))
    blocks = [decode_block(record.value or b"") for record in records[1:]]
    chains = Chains("ticks", KEYS)
    chains.judge(PARTITION, 0, OURS.encode(), records[0].value)
    with how(*KERNELS):
        run = RunReader(chains, KEYS, PARTITION).read(OURS.encode(), [record.value for record in records[1:]])
        assert run is not None
        assert run.links == len(blocks)
        found = run_segments(run)
    expected = list(segments(blocks))
    assert [s[:6] for s in found] == [s[:6] for s in expected]
    for one, other in zip(found, expected, strict=True):
        for mine, theirs in zip(one[6:], other[6:], strict=True):
            assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes()
