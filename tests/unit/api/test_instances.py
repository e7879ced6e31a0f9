"""Strategies of a home as records of reference: what is written to add or remove one, and what is refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from api.accounts import BadAccount, Share
from api.instances import BadInstance, Wanted, activation_of, check_program, placed, running, to_add, to_remove
from api.lab.choice import choose
from schemas.configuration import Sizing, StrategyConfig
from schemas.events import OperatorActivation, ProgramKind, ReferenceRecord
from streams.activations import missing
from tests.property.references import spec
from tests.unit.api.test_accounts import plan, written

EMA = choose("ema_cross", {})
LOTS = Share("ema_cross", Sizing.LOTS, 0.1)


def numbered(records: list[Any]) -> list[ReferenceRecord]:
    return [dataclasses.replace(r, ref_no=n) for n, r in enumerate(records, start=1)]


HOME = numbered([*missing([]), *written(plan())])


def after(*more: ReferenceRecord) -> list[ReferenceRecord]:
    return numbered([*HOME, *more])


def test_a_home_runs_its_built_in_strategies() -> None:
    assert [(r.activation.instance, r.activation.ref_no) for r in running(HOME)] == [("berserker", 2)]
    assert [c.account for c in running(HOME)[0].traded] == ["demo"]


def test_an_added_strategy_is_listed_with_its_program_and_who_trades_it() -> None:
    one = activation_of(choose("ema_cross", {"fast": 10}), listings=["test/EURUSD"], warm_from_us=7)
    wanted = Wanted(one, "demo", LOTS)
    records = after(*to_add(HOME, wanted))
    found = running(records)[-1].as_json()
    assert found | {"program_sha256": ""} == {
        "instance": "ema_cross", "operator": "ema_cross", "version": 1, "kind": "GRAPH",
        "parameters": {"fast": 10, "slow": 50, "k": 2.0}, "listings": ["test/EURUSD"],
        "since_ref_no": len(HOME) + 1, "program_sha256": "",
        "accounts": [
            {"account": "demo", "sizing": "LOTS", "size": 0.1, "max_lots": 0.0, "role": "alone", "weight": 1.0}
        ],
        "waits_for": ["test/EURUSD"], "failed": [],
    }  # fmt: skip
    assert to_add(records, wanted) == [], "it is there"
    (renewed,) = to_add(records, wanted._replace(activation=activation_of(EMA, listings=["test/EURUSD"])))
    assert isinstance(renewed, OperatorActivation)


def test_its_removal_ends_it_and_its_trading() -> None:
    records = after(*to_add(HOME, Wanted(activation_of(EMA), "demo", LOTS)))
    share, ended = to_remove(records, "ema_cross")
    assert isinstance(share, StrategyConfig)
    assert isinstance(ended, OperatorActivation)
    assert (share.active, ended.active) == (False, False)
    left = after(*records[len(HOME) :], share, ended)
    assert [r.activation.instance for r in running(left)] == ["berserker"]
    assert to_remove(left, "ema_cross") == []
    with pytest.raises(BadInstance, match="bars is no strategy"):
        to_remove(left, "bars")


def test_a_class_goes_as_its_source(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from tickledger import BarStrategy\nclass Own(BarStrategy):\n    version = 1\n    bars = 'M1'\n"
        "    def on_bar(self, bar):\n        return []\n"
    )
    one = activation_of(choose(str(file), {}))
    assert (one.program_kind, one.program) == (ProgramKind.CLASS, file.read_text())
    check_program(one)
    assert running(after(one))[-1].as_json()["kind"] == "CLASS"


def test_a_class_that_needs_its_neighbours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "near_by_of_own.py").write_text("n = 1\n")
    file = tmp_path / "own.py"
    file.write_text(
        "import near_by_of_own\nfrom tickledger import BarStrategy\nclass Own(BarStrategy):\n    version = 1\n"
        "    bars = 'M1'\n    def on_bar(self, bar):\n        return []\n"
    )
    one = activation_of(choose(str(file), {}))
    with pytest.raises(BadInstance, match="near_by_of_own"):
        check_program(one)


PAIRS = activation_of(choose("pairs", {}))


def test_one_that_reads_several_listings_runs_on_the_one_that_it_does_not_name() -> None:
    check_program(PAIRS)
    assert placed(PAIRS, ["test/EURUSD", "test/GBPUSD"]).listings == ("test/EURUSD",)
    told = dataclasses.replace(PAIRS, listings=("test/USDJPY",))
    assert placed(told, ["test/EURUSD", "test/GBPUSD", "test/USDJPY"]) == told
    one = activation_of(EMA)
    assert placed(one, []) == one, "others run on all"


@pytest.mark.parametrize(
    ("listings", "known", "says"),
    [
        (
            [],
            ["test/EURUSD"],
            "pairs reads GBPUSD beside the listing that it runs on, and there is test/EURUSD: record",
        ),
        ([], [], "and there is no listing yet: record or import"),
        (
            [],
            ["test/EURUSD", "test/GBPUSD", "test/USDJPY"],
            "may be test/EURUSD or test/USDJPY: say which, tickledger strategies add pairs --symbol test/EURUSD",
        ),
        (["test/EURUSD"], ["test/EURUSD", "else/GBPUSD"], "pairs on test/EURUSD reads test/GBPUSD, and there is"),
        (["test/EURUSD"], ["test/GBPUSD"], "pairs on test/EURUSD reads test/EURUSD, and there is test/GBPUSD"),
        (["test/GBPUSD"], ["test/EURUSD", "test/GBPUSD"], "names test/GBPUSD twice: run it on another listing"),
    ],
)
def test_one_that_reads_what_is_not_known_is_refused(listings: list[str], known: list[str], says: str) -> None:
    with pytest.raises(BadInstance, match=says):
        placed(dataclasses.replace(PAIRS, listings=tuple(listings)), known)


def test_one_on_a_listing_that_is_not_on_the_log_is_refused_rather_than_left_to_wait() -> None:
    one = activation_of(EMA, listings=["test/EURUSD", "test/NOSUCH"])
    says = (
        "ema_cross would wait for test/NOSUCH for ever: of test the log has test/EURUSD, test/GBPUSD: name .*--symbol"
    )
    with pytest.raises(BadInstance, match=says):
        placed(one, ["test/EURUSD", "test/GBPUSD"])
    there = activation_of(EMA, listings=["test/EURUSD"])
    assert placed(there, ["test/EURUSD", "test/GBPUSD"]) == there


def test_one_on_a_log_without_listings_waits_for_its_own_and_says_so() -> None:
    one = activation_of(EMA, listings=["test/EURUSD"])
    assert placed(one, []) == one
    records = after(*to_add(HOME, Wanted(one)))
    assert running(records)[-1].as_json()["waits_for"] == ["test/EURUSD"]
    assert running([spec(), *records])[-1].as_json()["waits_for"] == []


@pytest.mark.parametrize(("name", "says"), [("desk", "is taken"), ("a b", "can't be used")])
def test_names_that_cannot_be_an_instances_are_refused(name: str, says: str) -> None:
    with pytest.raises(BadInstance, match=says):
        check_program(activation_of(EMA, name))


def test_an_instance_of_another_program_is_refused() -> None:
    with pytest.raises(BadInstance, match="berserker runs berserker"):
        to_add(HOME, Wanted(activation_of(EMA, "berserker")))


@pytest.mark.parametrize(
    ("account", "listings", "share", "says"),
    [
        ("demi", [], LOTS, "there is no account 'demi' on reference: there are demo"),
        ("demo", ["else/EURUSD"], LOTS, "trades on the quotes of test"),
        ("demo", [], LOTS._replace(size=0.0), "must be above 0"),
        ("demo", [], LOTS._replace(max_lots=-1.0), "ema_cross: max_lots = -1"),
        ("demo", [], LOTS._replace(weight=math.nan), "ema_cross: weight = nan"),
        ("demo", [], LOTS._replace(weight=-7.0), "ema_cross: weight = -7"),
    ],
)
def test_trading_that_cannot_be_is_refused(account: str, listings: list[str], share: Share, says: str) -> None:
    with pytest.raises(BadAccount, match=says):
        to_add(HOME, Wanted(activation_of(EMA, listings=listings), account, share))


def test_a_role_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadAccount, match="role 'chief'"):
        to_add(HOME, Wanted(activation_of(EMA), "demo", LOTS, "chief"))


def test_a_largest_entry_below_the_smallest_order_of_its_listings_is_refused() -> None:
    coarse = dataclasses.replace(spec(listing="test/DE40"), volume_min=1.0, volume_step=1.0)
    records, share = [*HOME, spec(), coarse], LOTS._replace(max_lots=0.5)
    assert to_add(records, Wanted(activation_of(EMA), "demo", share)), "EURUSD takes it"
    with pytest.raises(BadAccount, match=r"ema_cross: max_lots = 0.5 is below the smallest order, 1.0 lots of"):
        to_add(records, Wanted(activation_of(EMA, listings=["test/DE40"]), "demo", share))


def test_who_is_added_to_weigh_without_a_weight_halves_and_a_told_weight_stays() -> None:
    def weight(share: Share, role: str) -> float:
        (config,) = (r for r in to_add(HOME, Wanted(activation_of(EMA), "demo", share, role)) if hasattr(r, "weight"))
        assert isinstance(config, StrategyConfig)
        return config.weight

    assert weight(LOTS, "weigh") == 0.5
    assert weight(LOTS._replace(weight=0.3), "weigh") == 0.3
    assert weight(LOTS._replace(weight=1.0), "weigh") == 1.0
