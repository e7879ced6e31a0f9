"""What a demo refuses before it starts anything, and what it writes onto `reference` of a home that is there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from api.accounts import Consensus
from api.demo.played import Played
from api.instances import to_remove
from infra.errors import Refused, SettingsError
from infra.settings import RecorderSettings, Settings, TerminalSettings, TradeSettings
from schemas.configuration import StrategyConfig
from schemas.events import OperatorActivation, ReferenceRecord
from streams.activations import missing

STRATEGY = """
from tickledger import BarStrategy, Enter, Exit, Param

class Mine(BarStrategy):
    version = 1
    bars = "M1"
    each = Param(2, 1, 100)

    def on_bar(self, bar):
        return Enter.long(plan=Exit(stop=0.001))
"""

Home = Callable[..., Played]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A demo of some symbols and strategies, in one home."""

    def made(
        *symbols: str,
        spec: str = "vantage-raw",
        strategies: tuple[Path, ...] = (),
        consensus: Consensus | None = None,
        once: bool = False,
    ) -> Played:
        for symbol in symbols:
            rows = "".join(f"2014-05-06 09:00:0{second},0.8{second},0.81\n" for second in range(3))
            (tmp_path / f"{symbol}.csv").write_text("time,bid,ask\n" + rows)
        data = tuple(str(tmp_path / f"{symbol}.csv") for symbol in symbols)
        settings = Settings(
            home=tmp_path / "home",
            cache=tmp_path / "cache",
            terminal=TerminalSettings(kind="simulated", data=data, spec=spec),
            recorder=RecorderSettings(feed="demo"),
            trade=TradeSettings(account="demo"),
        )
        return Played(settings, strategies, consensus, once=once)

    return made


def numbered(known: list[ReferenceRecord], more: Iterable[Any]) -> list[ReferenceRecord]:
    """`reference` with more records behind those that are there."""
    return [*known, *(dataclasses.replace(r, ref_no=n) for n, r in enumerate(more, start=len(known) + 1))]


def after(played: Played, known: list[ReferenceRecord]) -> list[ReferenceRecord]:
    """`reference` once a demo has started on it."""
    for wanted in (played.missing_activations, played.missing_account):
        known = numbered(known, wanted(known))
        assert wanted(known) == [], "it is there"
    return known


FRESH = numbered([], missing([]))


# -- money -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbols", "listing", "currency"),
    [
        (("EURGBP",), "demo/EURGBP", "GBP"),
        (("EURUSD", "GBPJPY"), "demo/GBPJPY", "JPY"),
        (("DE40",), "demo/DE40", "EUR"),
    ],
)
def test_a_symbol_whose_money_nothing_converts_is_refused_with_both_ways_out(
    home: Home, symbols: tuple[str, ...], listing: str, currency: str
) -> None:
    with pytest.raises(
        SettingsError,
        match=rf"^{listing} earns and costs {currency}, and nothing converts that into the account's USD: .*"
        rf"{currency}USD or USD{currency}.*--data.*rate_{currency} = .*--spec.*--fresh",
    ):
        home(*symbols)


@pytest.mark.parametrize("symbols", [("EURGBP", "GBPUSD"), ("EURJPY", "USDJPY"), ("USDJPY",), ("EURUSD",), ("XAUUSD",)])
def test_the_symbols_themselves_may_convert_it(home: Home, symbols: tuple[str, ...]) -> None:
    assert home(*symbols).listings == [f"demo/{symbol}" for symbol in symbols]


@pytest.mark.parametrize("told", ["rate_GBP = 1.7", 'account_currency = "GBP"'])
def test_a_file_of_costs_may_convert_it_or_have_the_account_in_that_money(
    home: Home, tmp_path: Path, told: str
) -> None:
    spec = tmp_path / "own.toml"
    spec.write_text(f'base = "vantage-standard"\n{told}\n')

    assert home("EURGBP", spec=str(spec)).listings == ["demo/EURGBP"]


# -- strategies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(STRATEGY)
    return path


def changed(file: Path) -> str:
    text = STRATEGY.replace("Enter.long", "Enter.short")
    file.write_text(text)
    return text


def test_a_file_that_was_changed_since_is_traded_as_it_is_now(home: Home, file: Path) -> None:
    known = after(home(strategies=(file,)), FRESH)
    assert home(strategies=(file,)).missing_activations(known) == [], "it is what it was"
    text = changed(file)

    again = home(strategies=(file,))

    (activation,) = again.missing_activations(known)
    assert isinstance(activation, OperatorActivation)
    assert (activation.instance, activation.program) == ("Mine", text)
    assert again.missing_account(after(again, known)) == []


def test_once_refuses_a_day_of_which_a_part_was_played_by_another_program(home: Home, file: Path) -> None:
    known = after(home(strategies=(file,)), FRESH)
    assert home(strategies=(file,), once=True).missing_activations(known) == []
    changed(file)

    says = r"Mine .* since this home began.*--once.*--fresh"
    with pytest.raises(Refused, match=says):
        home(strategies=(file,), once=True).missing_activations(known)
    later = after(home(strategies=(file,)), known)
    with pytest.raises(Refused, match=says):
        home(strategies=(file,), once=True).missing_activations(later)
    assert home(once=True).missing_activations(later) == [], "Mine isn't asked for"


def test_once_takes_what_was_written_before_the_first_day_began(home: Home, file: Path) -> None:
    first = home(strategies=(file,), once=True)
    known = numbered(FRESH, first.missing_activations(FRESH))
    changed(file)

    assert after(home(strategies=(file,), once=True), known)


def test_a_file_that_is_named_again_after_its_removal_is_traded_again(home: Home, file: Path) -> None:
    known = after(home(strategies=(file,)), FRESH)
    known = numbered(known, to_remove(known, "Mine"))

    more = after(home(strategies=(file,)), known)[len(known) :]

    assert [(type(r), r.instance, r.active) for r in more if isinstance(r, OperatorActivation | StrategyConfig)] == [
        (OperatorActivation, "Mine", True), (StrategyConfig, "Mine", True),
    ]  # fmt: skip


def test_what_people_made_of_the_demos_own_two_stays(home: Home) -> None:
    known = after(home(), FRESH)
    known = numbered(known, to_remove(known, "berserker"))
    sniper = next(r for r in known if isinstance(r, OperatorActivation) and r.instance == "sniper_intraday")
    known = numbered(known, [dataclasses.replace(sniper, listings=("demo/EURUSD",), warm_from_us=7)])

    assert after(home(), known) == known


# -- consensus ---------------------------------------------------------------------------------------------------------


def decides(known: list[ReferenceRecord]) -> list[tuple[str, float]]:
    """Role and weight of the demo's own two, as they stand."""
    last = {r.instance: r for r in known if isinstance(r, StrategyConfig)}
    return [(last[name].role, last[name].weight) for name in ("berserker", "sniper_intraday")]


def test_who_weighs_in_a_demo_halves_the_size_of_the_other_in_a_new_home_and_one_that_is_there(home: Home) -> None:
    assert decides(after(home(consensus="weigh"), FRESH)) == [("trade", 1.0), ("weigh", 0.5)]
    known = after(home(), FRESH)
    assert decides(known) == [("trade", 1.0), ("trade", 1.0)]
    known = after(home(consensus="weigh"), known)
    assert decides(known) == [("trade", 1.0), ("weigh", 0.5)]
    assert decides(after(home(consensus="veto"), known)) == [("trade", 1.0), ("veto", 1.0)]


def test_a_weight_that_somebody_told_since_stays(home: Home) -> None:
    known = after(home(consensus="weigh"), FRESH)
    sniper = next(r for r in known if isinstance(r, StrategyConfig) and r.role == "weigh")
    known = numbered(known, [dataclasses.replace(sniper, weight=0.3)])
    assert decides(after(home(consensus="weigh"), known)) == [("trade", 1.0), ("weigh", 0.3)]
