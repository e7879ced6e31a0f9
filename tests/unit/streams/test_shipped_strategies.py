"""The strategies that ship, on the sample day: each says what its words promise, and the same wherever it is cut."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from agents.signals import ENTER, ENTRY_TYPES, EXIT, LEVELS
from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY
from schemas.timeframes import Timeframe
from streams.graph_programs import graph_activation, operator_of
from streams.merged_fold import MergedFold
from streams.segments import segments
from streams.strategy_file import load_named
from tests.property.references import spec, view
from tests.property.tick_logs import recut

LISTING = SAMPLE_DAY[0].listing


@pytest.fixture(scope="module")
def blocks() -> Any:
    return sample_blocks(SAMPLE_DAY[0], 1)


def made(name: str, **changes: Any) -> Any:
    """The program of a strategy that ships, on M1 bars and without waiting, so that a day is enough."""
    strategy: Any = load_named(name)
    return dataclasses.replace(strategy, timeframe=Timeframe.M1, warm_up=0).program(changes)


def said(program: Any, blocks: Any) -> Any:
    operator: Any = operator_of(program)
    state = operator.initial(LISTING)
    return np.concatenate([operator.fold(state, s, spec(listing=LISTING)) for s in segments(blocks)])


def test_sniper_waits_at_a_limit_with_the_trend_and_follows(blocks: Any) -> None:
    program = made("sniper", channel=20, trend=10, least_adx=0.0)
    rows = said(program, blocks)
    entries = rows[rows["kind"] == ENTER]
    assert len(entries)
    assert (rows["kind"] == LEVELS).any()
    assert {ENTRY_TYPES[k] for k in entries["entry_type"]} == {"LIMIT"}
    assert (entries["expires_ms"] == 4 * 3_600_000).all()
    assert (entries["partial_share"] == 0.5).all()
    assert (np.sign(entries["price"] - entries["bid"]) == np.where(entries["side"] == 2, -1, 1)).all()
    assert said(program, recut(blocks, [500])).tobytes() == rows.tobytes()


def test_ema_cross_enters_to_both_sides(blocks: Any) -> None:
    rows = said(made("ema_cross"), blocks)
    assert set(rows["side"][rows["kind"] == ENTER]) == {2, 3}


def test_rsi_reversion_leaves_in_the_middle(blocks: Any) -> None:
    rows = said(made("rsi_reversion"), blocks)
    assert (rows["kind"] == EXIT).any()


def test_buy_and_hold_only_ever_buys_from_the_first_bar_on(blocks: Any) -> None:
    rows = said(made("buy_and_hold"), blocks)
    assert rows["from_n"][0] == 0
    assert set(rows["kind"]) == {ENTER}
    assert set(rows["side"]) == {2}
    assert np.isnan(rows["stop_distance"]).all()


def test_pairs_reads_the_pound_beside_the_euro(blocks: Any) -> None:
    pound = LISTING.replace("EURUSD", "GBPUSD")
    program = made("pairs", period=20, far=1.0, alike=0.0)
    reference = view(
        spec(listing=LISTING), graph_activation("pairs", program), spec(listing=pound), *[spec(listing=LISTING)] * 2
    )
    fold = MergedFold(reference.activations()[0], LISTING, reference)
    euro = [b._replace(ref_no=reference.last) for b in blocks]
    assert fold.fold(LISTING, euro) == []
    # Another path for the pound: the euro's own, an hour late.
    prices = np.concatenate([b.bid for b in euro])
    late = np.roll(prices, 2_000)
    at, pounds = 0, []
    for b in euro:
        bid = late[at : at + b.size].copy()
        pounds.append(b._replace(listing=pound, bid=bid, ask=bid + 0.0001))
        at += b.size
    rows = np.concatenate([o.columns for o in fold.fold(pound, pounds)])
    assert (rows["kind"] == ENTER).any()
    assert (rows["kind"] == EXIT).any()
