"""`tickledger strategies add | list | remove` on the log of a home."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api import cli
from api.accounts import Plan, Share, configure_account, limits_of
from api.commands import strategies as command
from infra.clock import SystemClock
from infra.kafka import new_producer
from infra.reference_log import append_reference, read_reference
from schemas.configuration import Sizing
from schemas.events import ListingSpec, ReferenceRecord, SignalKind
from schemas.times import iso_ms
from streams.alarms import tell_failed
from tests.conftest import TestStack
from tests.integration.desk.account_day import KEYS
from tests.integration.projections.scripted import signal
from tests.property.references import spec
from tests.unit.api.test_accounts import config

pytestmark = pytest.mark.stack

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(broker: TestStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command on the broker that is there: exit code and what it printed."""
    monkeypatch.setattr(command, "running_stack", lambda *_: nullcontext(SimpleNamespace(kafka=broker.kafka)))
    monkeypatch.setattr("infra.keys.load_or_create", lambda _: KEYS)

    def running(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["strategies", *arguments, "--home", str(broker.home)])
        return int(ended.value.code or 0), *capsys.readouterr()

    return running


@pytest.fixture(scope="module")
def account(broker: TestStack) -> str:
    return configured(broker, "paper", "live")


def configured(broker: TestStack, account: str, feed: str) -> str:
    """An account on the quotes of a feed is on the log."""
    shares = (Share("berserker", Sizing.LOTS, 0.1),)
    plan = Plan(config(account, feed=feed), shares, limits_of(account))
    configure_account(broker.kafka, KEYS, SystemClock(), plan)
    return account


def listed(run: Run) -> dict[str, dict[str, Any]]:
    code, out, _ = run("list", "--json")
    assert code == 0
    return {one["instance"]: one for one in json.loads(out)}


def test_a_strategy_is_added_listed_and_removed(run: Run, broker: TestStack) -> None:
    # Other feeds have listings by then.
    recorded(broker, "both/EURUSD")
    account = configured(broker, "waiting", "waits")
    more = ("--instance", "slow", "--symbol", "waits/EURUSD", "--account", account, "--risk", "0.5%", "-p", "fast=30")
    code, out, _ = run("add", "ema_cross", *more, "--json")
    assert code == 0
    added = json.loads(out)
    assert (added["operator"], added["listings"], added["parameters"]["fast"]) == ("ema_cross", ["waits/EURUSD"], 30)
    assert added["accounts"][0] | {"weight": 1.0} == {
        "account": "waiting", "sizing": "RISK", "size": 0.005, "max_lots": 0.0, "role": "alone", "weight": 1.0,
    }  # fmt: skip
    assert listed(run)["slow"] == added
    code, out, _ = run("list")
    assert "slow: ema_cross 1 (expressions)" in out
    assert "  waits for waits/EURUSD: nothing of it is on the log yet\n" in out
    assert "traded by waiting: RISK 0.005, role alone" in out

    code, out, _ = run("remove", "slow", "--json")
    assert (code, json.loads(out)["instance"]) == (0, "slow")
    assert "slow" not in listed(run)


def test_one_that_reads_several_listings_is_added_where_all_are_known(run: Run, broker: TestStack) -> None:
    recorded(broker, "both/EURUSD", "both/GBPUSD")
    assert run("add", "pairs", "--symbol", "both/EURUSD")[0] == 0
    assert listed(run)["pairs"]["listings"] == ["both/EURUSD"]
    assert run("remove", "pairs")[0] == 0
    code, _, err = run("add", "pairs", "--symbol", "both/GBPUSD")
    assert (code, "names both/GBPUSD twice" in err) == (1, True)


def recorded(broker: TestStack, *listings: str) -> None:
    """The log has these listings."""
    specs = [spec(listing=listing) for listing in listings]
    append_reference(broker.kafka, KEYS, SystemClock(), lambda found: [] if known(found, specs) else specs)


def known(found: list[ReferenceRecord], specs: list[ListingSpec]) -> bool:
    return {one.listing for one in specs} <= {one.listing for one in found if isinstance(one, ListingSpec)}


def test_a_class_of_ones_own_file_is_added(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from tickledger import BarStrategy\nclass Own(BarStrategy):\n    version = 1\n    bars = 'M1'\n"
        "    def on_bar(self, bar):\n        return []\n"
    )
    assert run("add", str(file))[0] == 0
    assert listed(run)["Own"]["kind"] == "CLASS"
    code, out, _ = run("remove", "Own")
    assert (code, "Own ends with record" in out) == (0, True)


def test_one_on_a_listing_that_is_not_there_is_refused(run: Run, broker: TestStack) -> None:
    recorded(broker, "live/EURUSD")
    code, _, err = run("add", "ema_cross", "--symbol", "live/NOSUCH")
    assert (code, "ema_cross would wait for live/NOSUCH for ever" in err, "live/EURUSD" in err) == (1, True, True)
    assert "ema_cross" not in listed(run)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--max-lots", "-1"), "max_lots = -1"),
        (("--max-lots", "0.001"), "max_lots = 0.001 is below the smallest order, 0.01 lots of live/EURUSD"),
        (("--weight", "nan"), "weight = nan"),
        (("--weight", "-7"), "weight = -7"),
    ],
)
def test_a_share_that_cannot_be_meant_is_refused_and_nothing_is_written(
    run: Run, broker: TestStack, account: str, options: tuple[str, ...], says: str
) -> None:
    recorded(broker, "live/EURUSD")
    before = read_reference(broker.kafka, KEYS)[0]
    code, _, err = run("add", "ema_cross", "--account", account, "--lots", "0.1", *options)
    assert (code, f"error: ema_cross: {says}" in err) == (1, True)
    assert read_reference(broker.kafka, KEYS)[0] == before
    code, _, err = run("add", "ema_cross", *options)
    assert (code, "no account: give --account as well" in err) == (2, True)


def test_who_weighs_is_shown_with_the_weight(run: Run, account: str) -> None:
    asked = ("add", "ema_cross", "--instance", "weighing", "--account", account, "--role", "weigh")
    code, out, _ = run(*asked)
    assert (code, "role weigh, weight 0.5\n" in out) == (0, True)
    code, out, _ = run(*asked, "--weight", "0.3")
    assert (code, "role weigh, weight 0.3\n" in out) == (0, True)
    assert run("remove", "weighing")[0] == 0


def test_one_that_raised_is_listed_as_failed_with_what_to_do(run: Run, broker: TestStack, tmp_path: Path) -> None:
    recorded(broker, "live/EURUSD")
    assert run("add", "ema_cross", "--instance", "raising", "--symbol", "live/EURUSD")[0] == 0
    operator = f"raising@{listed(run)['raising']['since_ref_no']}"
    said = signal("live/EURUSD", 0, operator=operator, kind=SignalKind.FAILED, message="line 7: ValueError: no more")
    producer = new_producer(broker.kafka)
    tell_failed(producer, said)
    assert producer.flush(10) == 0

    _, out, _ = run("list")
    (line,) = (text for text in out.splitlines() if "FAILED" in text)
    assert f"FAILED at {iso_ms(said.time_ms)}: raising on live/EURUSD: line 7: ValueError: no more; it says" in line
    assert "Mend it, then `tickledger strategies remove raising` and add it again" in line
    assert [one["listing"] for one in listed(run)["raising"]["failed"]] == ["live/EURUSD"]

    assert run("remove", "raising")[0] == 0
    assert run("add", "ema_cross", "--instance", "raising", "--symbol", "live/EURUSD")[0] == 0
    assert listed(run)["raising"]["failed"] == []
    assert run("remove", "raising")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "ema_cross", "--lots", "0.1"), 2, "give --account as well"),
        (("add", "ema_cross", "--symbol", "EURUSD"), 2, "has no feed"),
        (("add", "ema_cros"), 2, "no strategy of this name"),
        (("add", "pairs", "--symbol", "else/EURUSD"), 1, "pairs on else/EURUSD reads else/EURUSD, else/GBPUSD"),
        (("add", "ema_cross", "--account", "nobody"), 1, "there is no account 'nobody'"),
        (("add", "ema_cross", "--account", "paper", "--role", "chief"), 1, "role 'chief'"),
        (("remove", "nothing"), 1, "no instance 'nothing' runs"),
        (("remove", "bars"), 1, "bars is no strategy"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    run: Run, account: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert says in err
    assert err.startswith("error: ")


def test_without_a_subcommand_it_lists_what_ships(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["strategies", "--json"])
    assert ended.value.code == 0
    assert {"ema_cross", "sniper", "berserker"} <= {one["name"] for one in json.loads(capsys.readouterr().out)}
