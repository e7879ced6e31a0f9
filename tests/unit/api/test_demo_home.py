"""The demo's home: what is written into a new one, and which homes are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api import cli
from api.demo.home import FILE, Wanted, check_lead, check_speed, demo_settings
from api.demo.rehearsal import rehearse
from infra.errors import Refused, SettingsError
from infra.settings import Settings, load_settings
from infra.weekly_hours import weekly_hours
from producers.specs import load_spec
from producers.terminal.symbols import symbol_of
from tests.users import another_user, needs_root


def settings(
    home: Path, config: Path | None = None, *, fresh: bool = False, once: bool = False, **wanted: Any
) -> Settings:
    return demo_settings(home, config, Wanted(**wanted), fresh=fresh, once=once, check=lambda _: None)


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
        demo_settings(None, own, Wanted(), fresh=True, once=False, check=lambda _: None)
    other.write_text(f'home = "{tmp_path}"\n[terminal]\nkind = "official"\n[trade]\naccount = "mine"\n')
    with pytest.raises(Refused, match="the demo plays a simulated terminal"):
        demo_settings(None, other, Wanted(), fresh=True, once=False, check=lambda _: None)

    assert inside.exists()


@pytest.mark.parametrize("lead_s", [0.0, 1.0, -1.0, 90_000.0, float("inf"), float("nan")])
def test_a_lead_that_cannot_be_is_refused_before_anything_is_written(lead_s: float) -> None:
    check_lead(None)
    check_lead(5.0)
    with pytest.raises(SettingsError, match=r"--lead .*at least 2.*86,400"):
        check_lead(lead_s)


def test_a_speed_that_cannot_be_is_refused() -> None:
    check_speed(None)
    check_speed(0.0)
    with pytest.raises(SettingsError, match="--speed -1 is below 0"):
        check_speed(-1.0)
    for speed in (float("nan"), float("inf")):
        with pytest.raises(SettingsError, match=r"--speed (nan|inf) isn't finite"):
            check_speed(speed)


# -- by the command ----------------------------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `tickledger demo` says to options that it refuses."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["demo", *options])
    assert ended.value.code in (1, 2)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files that are told."""
    folder = tmp_path / "told"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TICKLEDGER_CACHE", str(tmp_path / "cache"))
    (folder / "EURUSD.csv").write_text("time,bid,ask\n2014-05-06 09:00:00,0.8,0.81\n2014-05-06 09:00:01,0.8,0.81\n")
    (folder / "bad.csv").write_text("nothing of this kind\n")
    (folder / "bad.py").write_text("import nothing_of_this_name\n")
    (folder / "bad.toml").write_text("spread = [\n")
    (folder / "twice.py").write_text(_STRATEGY)
    return folder


_STRATEGY = """
from tickledger import BarStrategy, Enter, Exit

class Mine(BarStrategy):
    version = 1
    bars = "M1"

    def on_bar(self, bar):
        return Enter.long(plan=Exit(stop=0.001))
"""

MISTYPED = [
    ("--data typo.csv", "typo.csv"),
    ("--data EURUSD.csv typo.csv", "typo.csv"),
    ("--data bad.csv", "bad.csv"),
    ("--data EURUSD.csv --format typo", "typo"),
    ("--data EURUSD.csv --symbol EURGBP", "nothing converts that"),
    ("--strategy typo.py", "typo.py"),
    ("--strategy bad.py", "nothing_of_this_name"),
    ("--spec typo", "typo"),
    ("--spec bad.toml", "bad.toml"),
    ("--speed nan", "--speed nan"),
    ("--speed inf", "--speed inf"),
    ("--lead nan", "--lead nan"),
]


@pytest.mark.parametrize(("options", "named"), MISTYPED)
def test_fresh_removes_nothing_for_what_can_not_be_played(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, named: str
) -> None:
    settings(tmp_path / "home")
    (tmp_path / "home" / "kafka" / "log").touch()
    before = contents(tmp_path / "home")

    assert named in refused(capsys, "--fresh", "--home", str(tmp_path / "home"), *options.split())

    assert contents(tmp_path / "home") == before


@pytest.mark.parametrize(("options", "named"), MISTYPED)
def test_nothing_is_kept_of_a_new_home_that_can_not_be_played(
    told: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: str, named: str
) -> None:
    assert named in refused(capsys, "--home", str(tmp_path / "home"), *options.split())

    assert not (tmp_path / "home").exists()


def test_what_can_be_played_passes_the_rehearsal_and_leaves_nothing_in_the_home(told: Path, tmp_path: Path) -> None:
    wanted = Wanted(data=[Path("EURUSD.csv")], strategies=[Path("twice.py")])
    seen: list[Path] = []

    def check(settings: Settings) -> None:
        rehearse(settings, wanted.strategies, "agree", once=True)
        seen.extend(tmp_path.joinpath("home").rglob("*"))

    made = demo_settings(tmp_path / "home", None, wanted, fresh=False, once=True, check=check)
    assert (made.terminal.data, seen) == ((str(told / "EURUSD.csv"),), [])
    assert not (tmp_path / "home" / "keys" / "ring.json").exists()


def test_fresh_keeps_what_it_is_told_to_play(tmp_path: Path) -> None:
    settings(tmp_path)
    for name in ("day.csv", "mine.py", "own.toml"):
        (tmp_path / name).touch()
    wanted: tuple[dict[str, Any], ...] = (
        {"data": [tmp_path / "day.csv"]}, {"strategies": [tmp_path / "mine.py"]}, {"spec": str(tmp_path / "own.toml")},
    )  # fmt: skip
    for one in wanted:
        with pytest.raises(Refused, match=r"--fresh would remove .* too: move it out of"):
            settings(tmp_path, fresh=True, **one)


@pytest.mark.parametrize("content", ["[terminal]\nspeed = NaN\n", "[kafak]\nport = 1\n"])
def test_fresh_is_a_way_out_of_settings_that_can_not_be_used(tmp_path: Path, content: str) -> None:
    first = settings(tmp_path)
    file = tmp_path / FILE
    file.write_text(f"{file.read_text().splitlines()[0]}\n{content}")
    with pytest.raises(SettingsError):
        settings(tmp_path)

    assert settings(tmp_path, fresh=True).terminal == first.terminal


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o000])
def test_fresh_says_whose_settings_it_can_not_read(open_folder: Path, mode: int) -> None:
    home = open_folder / "home"
    settings(home)
    home.chmod(0o755)
    (home / FILE).chmod(mode)

    with another_user(), pytest.raises(SettingsError, match=r"tickledger\.toml belongs to root.*run this as root"):
        settings(home, fresh=True)
    (home / FILE).unlink()
    with another_user(), pytest.raises(SettingsError, match=r"kafka belongs to root"):
        settings(home)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_page_for_others_is_refused_before_anything_is_written_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    if fresh:
        settings(tmp_path / "home")
    before = contents(tmp_path)
    monkeypatch.setenv("TICKLEDGER_API__HOST", "0.0.0.0")

    with pytest.raises(SettingsError, match=r"api\.host = '0\.0\.0\.0'.*ask nobody who they are.*ssh -L"):
        settings(tmp_path / "home", fresh=fresh)

    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    """All that is below it."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
