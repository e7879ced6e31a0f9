"""Strategies as programs on the log."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agents.strategy_program import parse_program
from streams.fold import Behind, ReferenceBehind
from streams.graph_programs import graph_activation, graph_or_built_in
from streams.merged_fold import MergedFold, listings_of, missing_listings
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.bars import Bars
from streams.operators.base import BadState
from streams.programs import NotRunnable
from tests.property.references import LISTING, built_in, spec, view
from tests.property.tick_logs import block
from tests.strategies import busy, ema_cross
from tickledger import Enter, Exit, other, strategy

ACTIVATION = graph_activation("mine", ema_cross.program(), parameters={"fast": 20, "k": 2.0}, listings=[LISTING])


def test_an_activation_carries_the_whole_program() -> None:
    operator = graph_or_built_in(ACTIVATION)
    assert isinstance(operator, BarStrategyOperator)
    assert (operator.name, operator.version, operator.topic) == ("ema_cross", 1, "signals")
    assert parse_program(ACTIVATION.program) == ema_cross.program()
    assert ACTIVATION.program_sha256 == ema_cross.program().digest
    assert (ACTIVATION.parameters, ACTIVATION.listings) == ('{"fast":20,"k":2.0}', (LISTING,))


def test_built_in_programs_run_as_before() -> None:
    assert isinstance(graph_or_built_in(built_in("bars")), Bars)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"program": ACTIVATION.program + " "}, "the program's hash is"),
        ({"program_sha256": "0" * 64}, "and the log says 000000000000…"),
        ({"operator": "other"}, "the program is ema_cross 1, and the log says other 1"),
        ({"version": 2}, "and the log says ema_cross 2"),
    ],
)
def test_a_program_that_the_log_contradicts_is_not_run(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(NotRunnable, match=said):
        graph_or_built_in(dataclasses.replace(ACTIVATION, **changes))


def test_a_program_of_a_form_unknown_here_is_not_run() -> None:
    later = dataclasses.replace(
        ACTIVATION, program="{}", program_sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    with pytest.raises(NotRunnable, match="a program is an object of form"):
        graph_or_built_in(later)


def test_a_state_of_another_program_is_refused() -> None:
    first, second = BarStrategyOperator(ema_cross.program()), BarStrategyOperator(busy.program())
    with pytest.raises(BadState, match="not a state of busy version 3"):
        second.load(first.dump(first.initial(LISTING)))
    with pytest.raises(BadState):
        first.load(first.dump(first.initial(LISTING))[:60])


@strategy(version=1, bars="M5")
def spread_of_two(b: Any) -> Iterator[Any]:
    yield Enter.long(other("GBPUSD").close > b.close, Exit(stop=0.001))


def test_a_program_of_several_listings_is_not_run_where_one_is_folded_at_a_time() -> None:
    with pytest.raises(NotRunnable, match="it reads GBPUSD too"):
        graph_or_built_in(graph_activation("two", spread_of_two.program()))


def test_other_listings_are_of_the_same_feed_unless_they_say_which() -> None:
    program = spread_of_two.program()
    assert listings_of(program, "oanda/EURUSD") == ("oanda/EURUSD", "oanda/GBPUSD")
    with pytest.raises(NotRunnable, match="names oanda/GBPUSD twice: run it on another listing"):
        listings_of(program, "oanda/GBPUSD")


def test_a_listing_that_is_not_there_is_said_with_what_is() -> None:
    program = spread_of_two.program()
    assert missing_listings(program, "oanda/EURUSD", ["oanda/GBPUSD", "oanda/EURUSD"]) is None
    said = missing_listings(program, "oanda/EURUSD", ["oanda/EURUSD"])
    assert said == (
        "spread_of_two reads oanda/GBPUSD, and there is oanda/EURUSD: give its data too, or name another one, "
        'other("feed/SYMBOL")'
    )


def test_a_merged_fold_takes_each_listings_links_in_order_and_restores_only_its_own_state() -> None:
    reference = view(spec(), graph_activation("two", spread_of_two.program()))
    fold = MergedFold(reference.activations()[0], LISTING, reference)
    with pytest.raises(Behind, match=r"two@2 on test/EURUSD stands at link 0, not 1"):
        fold.fold(LISTING, [block(time_ms=np.empty(0, np.int64), bid=np.empty(0), ask=np.empty(0), seq=2)])
    with pytest.raises(ReferenceBehind, match="written with reference 9, read so far: 2"):
        fold.fold(LISTING, [block(time_ms=np.empty(0, np.int64), bid=np.empty(0), ask=np.empty(0), ref_no=9)])
    with pytest.raises(BadState, match="has digest"):
        fold.load(fold.dump()._replace(digest="00"))
    with pytest.raises(BadState, match="are not a state of spread_of_two version 1"):
        fold.load(fold.dump()._replace(state=b"\x02\x00\x00\x00\x00\x00\x00\x00ab"))
