"""Accounts as they are put onto reference: once, again where they differ, and never against themselves."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from api.accounts import (
    BadAccount,
    Consensus,
    Plan,
    Share,
    check_plan,
    check_reach,
    limits_of,
    missing,
    placed,
    strategy_configs,
)
from infra.errors import BadFile
from schemas.configuration import AccountConfig, BreachAction, RiskLimits, Sizing, StrategyConfig
from schemas.events import OperatorActivation, ReferenceRecord
from schemas.integrity import UNWRITTEN
from streams.desk_program import check_desk, desk_missing
from streams.programs import NotRunnable
from tests.property.references import spec
from tests.unit.streams.desk.account import CONFIG

BOTH = (Share("berserker", Sizing.LOTS, 0.1), Share("sniper", Sizing.RISK, 0.01, weight=0.4))


def config(account: str = "demo", **fields: Any) -> AccountConfig:
    return dataclasses.replace(CONFIG, **{**UNWRITTEN, "account": account, **fields})


def plan(consensus: Consensus = "independent", shares: tuple[Share, ...] = BOTH, **fields: Any) -> Plan:
    return Plan(config(**fields), shares, limits_of("demo"), consensus)


def written(*plans: Plan) -> list[ReferenceRecord]:
    """The records of reference once each plan was put onto it."""
    records: list[ReferenceRecord] = []
    for one in plans:
        new: list[Any] = missing(list(records), one)
        for record in new:
            records.append(dataclasses.replace(record, ref_no=len(records) + 1))
    return records


def test_a_new_account_gets_its_desk_then_itself_its_limits_and_its_strategies() -> None:
    records = written(plan())
    assert [type(r) for r in records] == [
        OperatorActivation, AccountConfig, RiskLimits, StrategyConfig, StrategyConfig,
    ]  # fmt: skip
    assert isinstance(records[0], OperatorActivation)
    assert (records[0].operator, records[0].listings) == ("desk", ("demo",))
    check_desk(records[0])
    assert isinstance(records[1], AccountConfig)
    assert (records[1].partition, records[1].order_base) == (0, 2**24)
    assert isinstance(records[2], RiskLimits)
    assert records[2].daily_loss_action is BreachAction.FLATTEN


def test_what_is_there_is_not_written_again_and_what_differs_is() -> None:
    records = written(plan())
    assert missing(records, plan(balance=Decimal(5))) == [], "a balance counts once"
    (changed,) = missing(records, plan(leverage=30.0))
    assert isinstance(changed, AccountConfig)
    assert (changed.leverage, changed.balance, changed.partition) == (30.0, CONFIG.balance, 0)
    (share,) = missing(records, plan(shares=(BOTH[0]._replace(size=0.2), BOTH[1])))
    assert isinstance(share, StrategyConfig)
    assert (share.instance, share.size) == ("berserker", 0.2)


def test_each_account_has_a_partition_and_order_numbers_of_its_own() -> None:
    records = written(plan(), Plan(config("other"), (), limits_of("other")))
    assert [(r.partition, r.order_base) for r in records if isinstance(r, AccountConfig)] == [(0, 2**24), (1, 2**25)]
    bases = [placed(_used(n), config("new")).order_base for n in (0, 63)]
    assert max(bases) + 2**24 < 2**31
    with pytest.raises(BadAccount, match="no partition is free"):
        placed(_used(64), config("new"))


def _used(count: int) -> list[ReferenceRecord]:
    return [config(f"a{n}", partition=n) for n in range(count)]


@pytest.mark.parametrize(
    ("fields", "says"), [({"feed": "else"}, "trades on the quotes of test"), ({"currency": "EUR"}, "is in USD")]
)
def test_an_account_stays_with_its_feed_and_currency(fields: dict[str, str], says: str) -> None:
    with pytest.raises(BadAccount, match=says):
        missing(written(plan()), plan(**fields))


@pytest.mark.parametrize(
    ("consensus", "roles"),
    [
        ("independent", ["trade", "trade"]),
        ("agree", ["agree", "agree"]),
        ("veto", ["trade", "veto"]),
        ("weigh", ["trade", "weigh"]),
    ],
)
def test_two_agents_trade_alone_or_check_each_other(consensus: Consensus, roles: list[str]) -> None:
    found = [r for r in written(plan(consensus)) if isinstance(r, StrategyConfig)]
    assert [r.role for r in found] == roles
    assert [r.weight for r in found] == [1.0, 0.4]


def test_who_weighs_without_a_told_weight_halves_the_size_of_the_others() -> None:
    shares = (BOTH[0], BOTH[1]._replace(weight=None))
    assert [one.weight for one in strategy_configs("demo", shares, "weigh")] == [1.0, 0.5]
    assert [one.weight for one in strategy_configs("demo", shares, "veto")] == [1.0, 1.0], "as it always was"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_lots": 5.0, "max_symbol_lots": 1.0}, "max_lots = 5 is above max_symbol_lots = 1"),
        ({"max_daily_loss": 0.3, "max_drawdown": 0.1}, "the drawdown is reached before"),
        ({"max_orders_per_minute": 9, "max_requests_per_day": 8}, "a minute may not have more"),
        ({"max_currency_exposure": 9.0, "max_gross_notional": 8.0}, "what is held in all"),
        ({"max_lots": 0.05}, "berserker is to trade 0.1 lots, and max_lots = 0.05"),
    ],
)
def test_limits_that_contradict_each_other_are_refused(changes: dict[str, Any], says: str) -> None:
    one = plan()
    with pytest.raises(BadAccount, match=says):
        check_plan(one._replace(limits=dataclasses.replace(one.limits, **changes)))


def test_a_limit_below_the_smallest_order_is_refused_where_that_is_known() -> None:
    few, coarse = spec(), dataclasses.replace(spec(listing="test/DE40"), volume_min=0.1, volume_step=0.1)
    limits = dataclasses.replace(limits_of("demo"), max_lots=0.001)
    check_reach(limits, [])
    says = "max_lots = 0.001 is below the smallest order, 0.01 lots of test/EURUSD: .*make it 0.01 at least"
    with pytest.raises(BadAccount, match=says):
        check_reach(limits, [coarse, few])
    check_reach(dataclasses.replace(limits, max_lots=0.01), [coarse, few])
    with pytest.raises(BadAccount, match=r"max_lots = 0.01 is below the smallest order, 0.1 lots of test/DE40"):
        check_reach(dataclasses.replace(limits, max_lots=0.01), [coarse])
    with pytest.raises(BadAccount, match=r"max_symbol_lots = 0.001 is below"):
        check_reach(dataclasses.replace(limits, max_lots=None, max_symbol_lots=0.001), [few])


def test_an_account_on_a_log_with_specs_is_held_against_them() -> None:
    one = plan()._replace(limits=dataclasses.replace(limits_of("demo"), max_lots=0.001), shares=())
    other = [spec(listing="else/EURUSD")]
    assert missing(other, one), "another feed's"
    with pytest.raises(BadAccount, match="below the smallest order"):
        missing([*other, spec()], one)
    with pytest.raises(BadAccount, match=r"berserker: max_lots = 0.001 is below the smallest order"):
        missing([spec()], plan(shares=(BOTH[0]._replace(max_lots=0.001),)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_never_written(bad: float) -> None:
    limits = dataclasses.replace(limits_of("demo"), max_spread_points=bad)
    with pytest.raises(BadAccount, match=f"RiskLimits of demo: max_spread_points = {bad}.* a finite number"):
        missing([], plan()._replace(limits=limits))
    with pytest.raises(BadAccount, match="AccountConfig of demo: leverage"):
        missing([], plan(leverage=bad))
    with pytest.raises(BadAccount, match="AccountConfig of demo: balance"):
        missing([], plan(balance=Decimal(bad)))
    with pytest.raises(BadAccount, match="AccountConfig of demo: balance"):
        check_plan(plan(balance=Decimal(bad)))
    with pytest.raises(BadAccount, match="StrategyConfig of demo: weight"):
        missing([], plan(shares=(BOTH[0], BOTH[1]._replace(weight=bad))))


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (plan(leverage=0.0), "must be > 0"),
        (plan(shares=(BOTH[0], BOTH[0])), "trades berserker twice"),
        (plan("veto", BOTH[:1]), "needs two strategies"),
        (plan(shares=(BOTH[0]._replace(size=0.0),)), "must be above 0"),
        (plan(shares=(BOTH[1]._replace(size=1.5),)), "can't be risked"),
        (plan(shares=(BOTH[0]._replace(size=math.inf),)), "must be above 0"),
        (plan(shares=(BOTH[0]._replace(max_lots=-1.0),)), "berserker: max_lots = -1: .*above 0, or 0 for no limit"),
        (plan(shares=(BOTH[0]._replace(max_lots=math.nan),)), "max_lots = nan"),
        (plan(shares=(BOTH[0]._replace(max_lots=math.inf),)), "max_lots = inf"),
        (plan(shares=(BOTH[0]._replace(weight=-7.0),)), "berserker: weight = -7: .*from 0 .*to 1"),
        (plan(shares=(BOTH[0]._replace(weight=1.01),)), "weight = 1.01"),
        (plan(shares=(BOTH[0]._replace(weight=math.nan),)), "weight = nan"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(one: Plan, says: str) -> None:
    with pytest.raises(BadAccount, match=says):
        check_plan(one)


def test_limits_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("max_lots = 2.0\n")
    assert limits_of("demo", file).max_lots == 2.0
    file.write_text("max_lotz = 2.0\n")
    with pytest.raises(BadFile, match="did you mean max_lots"):
        limits_of("demo", file)


def test_another_releases_desk_is_activated_anew() -> None:
    records = written(plan())
    assert isinstance(records[0], OperatorActivation)
    old = dataclasses.replace(records[0], program_sha256="0" * 64)
    assert len(desk_missing([old], "demo")) == 1
    assert len(desk_missing(records, "other")) == 1
    with pytest.raises(NotRunnable, match="desk 1 of the log is 000000000000…"):
        check_desk(old)
