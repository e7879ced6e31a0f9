"""What a backtest runs with: the records of `reference` that configure it, numbered from 1, and its operators."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from api.lab.choice import Chosen
from schemas.configuration import AccountConfig, RiskLimits, Sizing, StrategyConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from schemas.integrity import UNWRITTEN
from schemas.ticks import TickBlock
from streams.activations import activation
from streams.backtest.driver import Fold
from streams.class_programs import class_activation, class_operator
from streams.fold import ListingFold, Output
from streams.graph_programs import graph_activation, graph_or_built_in
from streams.merged_fold import MergedFold, missing_listings
from streams.operators.bar_strategy import BarStrategyOperator
from streams.operators.bars import Bars
from streams.operators.base import Operator, Outputs, Segment
from streams.programs import PROGRAMS, NotRunnable
from streams.reference import ReferenceView

ACCOUNT: Final = "lab"
BARS: Final = "bars"


class SizedBy(NamedTuple):
    """How entries are sized: lots, or the share of equity at risk …"""

    sizing: Sizing
    size: float
    max_lots: float = 0.0


class Configured(NamedTuple):
    """All records, in the order of their numbers."""

    records: tuple[ReferenceRecord, ...]
    view: ReferenceView

    @property
    def last(self) -> int:
        """The number that every block carries."""
        return self.view.last

    def of(self, kind: type[Any]) -> list[Any]:
        """The records of a type."""
        return [record for record in self.records if isinstance(record, kind)]


class Folds(NamedTuple):
    """What folds a block of any listing, and its parts."""

    fold: Fold
    own: Mapping[str, ListingFold]
    merged: Sequence[MergedFold]


def configured(
    specs: Iterable[ListingSpec],
    account: AccountConfig,
    limits: RiskLimits,
    chosen: Chosen,
    sized: SizedBy,
    listings: Sequence[str],
) -> Configured:
    """The records of a run of one strategy, on the listings that it trades."""
    strategy = StrategyConfig(
        account=account.account,
        instance=chosen.instance,
        sizing=sized.sizing,
        size=sized.size,
        max_lots=sized.max_lots,
        role="trade",
        weight=1.0,
        active=True,
        **UNWRITTEN,
    )
    wanted: list[Any] = [
        *specs,
        account,
        limits,
        strategy,
        activation(BARS, PROGRAMS["bars", 1], "{}"),
        activated(chosen, listings),
    ]
    records = tuple(
        dataclasses.replace(record, epoch=1, seq=number, ref_no=number) for number, record in enumerate(wanted, start=1)
    )
    return Configured(records, ReferenceView(records))


def folds(
    configured: Configured,
    chosen: Chosen,
    listings: Sequence[str],
    *,
    bars_of: Iterable[str] = (),
    spent: Callable[[float], None] = lambda _: None,
    shared: Bars | None = None,
) -> Folds:
    """What folds a block of any listing, and its parts. Bars are made for `bars_of` only; `spent` gets the
    seconds of a class's own code. `shared`: what folds ticks into a strategy's bars. Raises NotRunnable."""
    wanted = frozenset(bars_of)
    own: dict[str, ListingFold] = {}
    for listing in listings:
        own[listing] = ListingFold(listing, configured.view, _programs(chosen, listing in wanted, spent, shared))
    merged: list[MergedFold] = []
    if chosen.graph is not None and chosen.graph.listings:
        acts = configured.of(OperatorActivation)[-1]
        for listing in acts.listings:
            missing = missing_listings(chosen.graph, listing, listings)
            if missing is not None:
                raise NotRunnable(missing)
            merged.append(MergedFold(acts, listing, configured.view))

    def fold(block: TickBlock) -> list[Output]:
        outputs = list(own[block.listing].fold([block]))
        for one in merged:
            if block.listing in one.listings:
                outputs += one.fold(block.listing, [block])
        return outputs

    return Folds(fold, own, merged)


def activated(chosen: Chosen, listings: Sequence[str]) -> OperatorActivation:
    """An activation of a strategy for listings (none: all of the log), with blank chain fields."""
    if chosen.built_in is not None:
        made = activation(chosen.instance, chosen.built_in, chosen.parameters_text)
        return dataclasses.replace(made, listings=tuple(listings))
    if chosen.graph is not None:
        return graph_activation(chosen.instance, chosen.graph, parameters=chosen.parameters, listings=tuple(listings))
    assert chosen.class_program is not None
    return class_activation(chosen.instance, chosen.class_program, chosen.source, listings=tuple(listings))


def operator_of(chosen: Chosen) -> Operator:
    """The strategy at work. Raises NotRunnable."""
    if chosen.class_program is not None:
        return class_operator(chosen.class_program)
    return graph_or_built_in(activated(chosen, ()))


class Timed:
    """An operator whose folds are timed, to tell what a strategy's own Python costs."""

    def __init__(self, operator: Operator, spent: Callable[[float], None]) -> None:
        self._operator, self._spent = operator, spent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)

    def fold(self, state: Any, segment: Segment, spec: ListingSpec | None) -> Outputs:
        started = time.perf_counter()
        found = self._operator.fold(state, segment, spec)
        self._spent(time.perf_counter() - started)
        return found


def _programs(
    chosen: Chosen, bars: bool, spent: Callable[[float], None], shared: Bars | None
) -> Callable[[OperatorActivation], Operator]:
    def program(one: OperatorActivation) -> Operator:
        if one.instance != BARS:
            if shared is not None and chosen.graph is not None and not chosen.graph.graph.sources:
                return BarStrategyOperator(chosen.graph, shared)
            if chosen.class_program is None:
                return graph_or_built_in(one)
            timed: Any = Timed(class_operator(chosen.class_program), spent)
            found: Operator = timed
            return found
        if not bars:
            raise NotRunnable("bars are not asked for")
        return graph_or_built_in(one)

    return program
