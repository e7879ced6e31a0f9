"""Snapshot, load, go on: the same as never having stopped, for each operator and for a listing's fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.berserker import Berserker
from streams.fold import ListingFold
from streams.operators.bars import Bars
from streams.operators.signals import StrategyOperator
from streams.segments import segments
from tests.property.references import LISTING, spec
from tests.property.test_block_invariance import CHANGING, EAGER, fold_of, folded, numbered
from tests.property.tick_logs import Knobs, knobs, random_log


@pytest.mark.parametrize("make", [Bars, lambda: StrategyOperator(Berserker(EAGER))], ids=["bars", "signals"])
@settings(deadline=None)
@given(k=knobs, stops=st.sets(st.integers(0, 39)))
def test_an_operator_goes_on_from_its_dump_as_if_it_had_never_stopped(make: Any, k: Knobs, stops: set[int]) -> None:
    blocks = random_log(k)
    operator = make()
    state = operator.initial(LISTING)
    rows = []
    for at, block in enumerate(blocks):
        if at in stops:
            saved, digest = operator.dump(state), operator.digest(state)
            operator = make()
            state = operator.load(saved)
            assert operator.digest(state) == digest
            assert operator.dump(state) == saved
        rows += [operator.fold(state, s, spec()) for s in segments([block])]
    assert (np.concatenate(rows).tobytes(), operator.digest(state)) == folded(make(), blocks)


@settings(deadline=None)
@given(k=knobs, kept=st.dictionaries(st.sampled_from(["bars@2", "berserker@3", "berserker@5"]), st.integers(1, 39)))
def test_instances_restored_at_different_places_send_the_same_again(k: Knobs, kept: dict[str, int]) -> None:
    blocks = random_log(k)
    first = ListingFold(LISTING, CHANGING)
    saved = {}
    for block in blocks:
        first.fold([block])
        saved |= {name: first.dump(name) for name, seq in kept.items() if block.seq <= seq}

    second = ListingFold(LISTING, CHANGING)
    for name, state in saved.items():
        second.load(name, state)
    outputs = second.fold(blocks)

    whole, digests = fold_of(blocks)
    again = numbered(outputs)
    for name, rows in whole.items():
        done = saved[name].out_seq if name in saved else 0
        assert again.get(name, []) == rows[done:]
    assert [second.dump(name).digest for name in second.positions()] == digests
