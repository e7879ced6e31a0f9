"""The demo's home: what is written into a new one, and which homes are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.demo.home import FILE, Wanted, check_lead, check_speed, demo_settings
from infra.errors import Refused, SettingsError
from infra.settings import Settings, load_settings
from infra.weekly_hours import weekly_hours
from producers.specs import load_spec
from producers.terminal.symbols import symbol_of


def settings(
    home: Path, config: Path | None = None, *, fresh: bool = False, once: bool = False, **wanted: Any
) -> Settings:
    return demo_settings(home, config, Wanted(**wanted), fresh=fresh, once=once)


def test_a_new_home_plays_the_sample_day_twenty_times_as_fast_and_waits_for_who_follows(tmp_path: Path) -> None:
    made = settings(tmp_path / "home")

    assert (made.terminal.kind, made.terminal.data, made.terminal.speed) == ("simulated", (), 20.0)
    assert made.terminal.followers == ("recorder", "worker", "desk-demo", "gateway")
    assert (made.recorder.feed, made.trade.account) == ("demo", "demo")
    assert load_settings(tmp_path / "home").terminal == made.terminal


def test_the_sample_days_hours_are_those_that_its_terminal_knows_and_nobody_tells_those_of_other_files(
    tmp_path: Path,
) -> None:
    told = settings(tmp_path / "home").recorder.sessions
    known = symbol_of(load_spec("vantage-raw", "EURUSD", ()), 5)
    assert {name: weekly_hours(text) for name, text in told.items()} == {"*": known.sessions}
    (tmp_path / "weekend.csv").touch()
    assert settings(tmp_path / "other", data=[tmp_path / "weekend.csv"]).recorder.sessions == {}


def test_once_plays_as_fast_as_it_goes(tmp_path: Path) -> None:
    assert settings(tmp_path / "home", once=True).terminal.speed == 0.0


def test_what_is_asked_for_is_written_as_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'a "day".csv').touch()
    monkeypatch.chdir(tmp_path)

    made = settings(
        tmp_path / "höme", data=[Path('a "day".csv'), Path("2014*.zip")], format="lean", symbol="XAUUSD", spec="raw",
        speed=3.0, lead_s=9.0,
    )  # fmt: skip

    assert made.terminal.data == (str(tmp_path / 'a "day".csv'), "2014*.zip")
    assert (made.terminal.data_format, made.terminal.symbol, made.terminal.spec) == ("lean", "XAUUSD", "raw")
    assert (made.terminal.speed, made.terminal.lead_s) == (3.0, 9.0)


def test_a_home_goes_on_with_its_own_day(tmp_path: Path) -> None:
    first = settings(tmp_path, symbol="XAUUSD")

    assert settings(tmp_path).terminal == first.terminal
    with pytest.raises(Refused, match=r"plays its own day.*--fresh.*--home DIR"):
        settings(tmp_path, symbol="EURUSD")


def test_the_lead_of_a_home_that_is_there_is_its_own(tmp_path: Path) -> None:
    first = settings(tmp_path, lead_s=9.0)

    assert settings(tmp_path, lead_s=9.0).terminal == first.terminal
    with pytest.raises(Refused, match=r"--lead 20: .* a lead of 9 s, .*tickledger\.toml.*terminal\.lead_s.*--fresh"):
        settings(tmp_path, lead_s=20.0)
    assert settings(tmp_path).terminal == first.terminal


def test_fresh_removes_what_a_demo_has_left_and_takes_another_day(tmp_path: Path) -> None:
    settings(tmp_path, symbol="XAUUSD")
    (tmp_path / "kafka" / "log").touch()

    assert settings(tmp_path, fresh=True, symbol="EURUSD").terminal.symbol == "EURUSD"
    assert not (tmp_path / "kafka" / "log").exists()


@pytest.mark.parametrize("content", [None, '[log]\nlevel = "info"\n'])
def test_fresh_leaves_a_home_alone_that_is_not_the_demos(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "kept").touch()
    if content is not None:
        (tmp_path / FILE).write_text(content)

    with pytest.raises(Refused, match=r"was not made by the demo.*another home"):
        settings(tmp_path, fresh=True)

    assert (tmp_path / "kept").exists()


def test_a_log_without_a_terminal_is_no_demos(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "log").touch()

    with pytest.raises(Refused, match="has a log already, and no terminal to go with it"):
        settings(tmp_path)

    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(
    "content",
    ['[terminal]\nkind = "official"\n[trade]\naccount = "mine"\n', '[terminal]\nkind = "simulated"\n', ""],
)
def test_a_home_that_trades_elsewhere_or_not_at_all_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)

    with pytest.raises(Refused, match=r"terminal\.kind = .* and trade\.account = .*tickledger up"):
        settings(tmp_path)


def test_settings_of_a_file_are_taken_as_they_are(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[terminal]\nkind = "simulated"\nspeed = 2\n[trade]\naccount = "mine"\n')

    made = settings(tmp_path / "home", config)

    assert (made.trade.account, made.terminal.speed) == ("mine", 2.0)
    assert not (tmp_path / "home" / FILE).exists()


@pytest.mark.parametrize("by_variable", [False, True])
def test_options_beside_settings_of_a_file_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[terminal]\nkind = "simulated"\n[trade]\naccount = "mine"\n')
    if by_variable:
        monkeypatch.setenv("TICKLEDGER_CONFIG", str(config))
    told = None if by_variable else config
    both: dict[str, Any] = {"data": [Path("a.csv")], "format": "lean", "symbol": "EURUSD", "spec": "raw", "lead_s": 9.0}

    with pytest.raises(
        Refused, match=r"--data, --format, --symbol, --spec, --lead .*own\.toml.*terminal\.data, .* terminal\.lead_s"
    ):
        settings(tmp_path / "home", told, **both)
    with pytest.raises(Refused, match=r"^--lead .*: set terminal\.lead_s there"):
        settings(tmp_path / "home", told, lead_s=9.0)

    assert settings(tmp_path / "home", told, speed=3.0).trade.account == "mine"
    assert not (tmp_path / "home" / FILE).exists()


def test_fresh_removes_nothing_where_it_is_refused(tmp_path: Path) -> None:
    settings(tmp_path)
    inside = tmp_path / FILE

    with pytest.raises(Refused, match="--symbol can't be given where"):
        settings(tmp_path, inside, fresh=True, symbol="EURUSD")
    with pytest.raises(Refused, match=r"--fresh would remove .*tickledger\.toml too: play without it"):
        settings(tmp_path, inside, fresh=True)

    assert inside.exists()
    around = tmp_path.with_name(f"{tmp_path.name} around")
    around.symlink_to(tmp_path)
    own, other = tmp_path / "own.toml", tmp_path.with_name(f"{tmp_path.name} other.toml")
    own.write_text(f'home = "{around}"\n[terminal]\nkind = "simulated"\n[trade]\naccount = "mine"\n')
    with pytest.raises(Refused, match=r"--fresh would remove .*own"):
        demo_settings(None, own, Wanted(), fresh=True, once=False)
    other.write_text(f'home = "{tmp_path}"\n[terminal]\nkind = "official"\n[trade]\naccount = "mine"\n')
    with pytest.raises(Refused, match="the demo plays a simulated terminal"):
        demo_settings(None, other, Wanted(), fresh=True, once=False)

    assert inside.exists()


@pytest.mark.parametrize("lead_s", [0.0, 1.0, -1.0, 90_000.0, float("inf"), float("nan")])
def test_a_lead_that_cannot_be_is_refused_before_anything_is_written(lead_s: float) -> None:
    check_lead(None)
    check_lead(5.0)
    with pytest.raises(SettingsError, match=r"--lead .*at least 2.*86,400"):
        check_lead(lead_s)


def test_a_speed_below_nothing_is_refused() -> None:
    check_speed(None)
    check_speed(0.0)
    with pytest.raises(SettingsError, match="--speed -1 is below 0"):
        check_speed(-1.0)
