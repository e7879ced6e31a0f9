"""`tickledger backtest` as a person meets it: what it writes, what it refuses and in which words."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from api.cli import main
from streams.backtest import driver
from tests.unit.api.lab.test_backtest import CROSSING

MINUTES = 3_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy and the M1 bars that MT5 exported."""
    folder = tmp_path_factory.mktemp("somebodys folder")
    (folder / "crossing.py").write_text(CROSSING)
    (folder / "no_stop.py").write_text(
        CROSSING.replace("stop=2 * r, ", "").replace("breakeven_at=1.0, ", "").replace(", partial=(1.5, 0.5)", "")
    )
    (folder / "raises.py").write_text("from tickledger import strategy\n\nfrom nowhere import it\n")
    (folder / "peeks.py").write_text(CROSSING.replace("ema(b.close, 3)", "b.close.lag(-1)"))
    (folder / "frame.py").write_text(CROSSING.replace('bars="M1"', 'bars="M3"'))
    (folder / "pair.py").write_text(
        "from tickledger import Enter, Exit, other, strategy\n\n\n"
        '@strategy(version=1, bars="M5")\ndef pair(b):\n'
        '    yield Enter.long(b.close > other("GBPUSD").close, Exit(stop=0.001))\n'
    )
    (folder / "EURUSD_M1.csv").write_text(bars())
    return folder


def bars(symbol_at: float = 1.1, seed: int = 3) -> str:
    random = np.random.default_rng(seed)
    times = np.datetime64("2024-01-08T00:00") + np.arange(MINUTES).astype("timedelta64[m]")
    close = symbol_at + np.cumsum(random.normal(0, 0.00012, MINUTES))
    opened = np.concatenate(([symbol_at], close[:-1]))
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for time, o, c in zip(times.astype(str), opened, close, strict=True):
        day, minute = time[:10].replace("-", "."), time[11:16]
        lines.append(f"{day}\t{minute}:00\t{o:.5f}\t{max(o, c) + 4e-5:.5f}\t{min(o, c) - 4e-5:.5f}\t{c:.5f}\t50\t0\t3")
    return "\n".join(lines) + "\n"


def tickledger(place: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(place)
    monkeypatch.setenv("TICKLEDGER_CACHE", str(place / "cache"))
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_strategy_and_an_export_give_a_folder_with_a_report(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tickledger(
        place, monkeypatch, "backtest", "crossing.py", "EURUSD_M1.csv", "--spec", "vantage-raw", "--risk", "0.5%",
        "--out", "first",
    )  # fmt: skip
    out = capsys.readouterr().out
    assert code == 0
    assert "Total net profit" in out
    assert "first/report.html" in out
    there = {path.name for path in (place / "first").iterdir()}
    assert there == {"report.html", "report.json", "manifest.json", "trades.csv", "equity.parquet", "events"}
    header = (place / "first" / "trades.csv").read_text().splitlines()[0]
    assert header.startswith("entry_time,entry_price,exit_time,exit_price,side,lots,pnl,commission,swap,spread_cost")


def test_a_manifest_repeats_a_run_to_the_same_digests(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickledger(place, monkeypatch, "backtest", "crossing.py", "EURUSD_M1.csv", "--out", "one", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert tickledger(place, monkeypatch, "backtest", "--manifest", "one/manifest.json", "--out", "two", "--json") == 0
    again = json.loads(capsys.readouterr().out)
    assert again["digests"] == first["digests"]
    assert again["differs"] == []
    assert tickledger(place, monkeypatch, "verify", "--run", "two") == 0
    assert tickledger(place, monkeypatch, "compare", "one", "two") == 0
    other = ("backtest", "crossing.py", "EURUSD_M1.csv", "--set", "spread_points=9", "--lots", "0.2", "--out", "three")
    assert tickledger(place, monkeypatch, *other) == 0
    assert tickledger(place, monkeypatch, "compare", "one", "three") == 1


def test_a_manifest_whose_data_has_changed_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "GBPUSD_M1.csv").write_text(bars(1.3, 5))
    assert tickledger(place, monkeypatch, "backtest", "crossing.py", "GBPUSD_M1.csv", "--out", "gb") == 0
    (place / "GBPUSD_M1.csv").write_text(bars(1.3, 6))
    assert tickledger(place, monkeypatch, "backtest", "--manifest", "gb/manifest.json", "--out", "gb2") == 1
    assert "is not what the manifest's run read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "no strategy is named"),
        (("nothing.py", "EURUSD_M1.csv"), 2, "cannot read nothing.py"),
        (("unheard_of", "EURUSD_M1.csv"), 2, "no strategy of this name"),
        (("crossing.py",), 2, "neither a file nor --symbol is named"),
        (("crossing.py", "none.csv"), 2, "none.csv: can't be read"),
        (("crossing.py", "none_*.csv"), 2, "none_*.csv: no file is named so"),
        (("crossing.py", "EURUSD_M1.csv", "--limits", "none.toml"), 2, "none.toml: can't be read"),
        (("crossing.py", "EURUSD_M1.csv", "--limits", "crossing.py"), 1, "crossing.py: is not TOML"),
        (("crossing.py", "EURUSD_M1.csv", "--manifest", "none.json"), 2, "none.json: can't be read"),
        (("raises.py", "EURUSD_M1.csv"), 1, "raises.py, line 3, `from nowhere import it`: ModuleNotFoundError"),
        (("peeks.py", "EURUSD_M1.csv"), 1, "lag(-1) would look 1 bars into the future"),
        (("frame.py", "EURUSD_M1.csv"), 1, "'M3' is no timeframe"),
        (("pair.py", "EURUSD_M1.csv"), 2, "pair reads import/GBPUSD, and there is import/EURUSD"),
        (("no_stop.py", "EURUSD_M1.csv", "--risk", "1%"), 2, "write Exit(stop=2 * atr(b, 14)), or size by --lots"),
        (("crossing.py", "EURUSD_M1.csv", "-p", "speed=3"), 2, "crossing has no parameter 'speed'"),
        (("ema_cross", "EURUSD_M1.csv", "-p", "fast=1000"), 2, "fast = 1000 is not between 5 and 100"),
        (("ema_cross", "EURUSD_M1.csv", "-p", "fst=10"), 2, "did you mean fast?"),
        (("EURUSD_M1.csv", "crossing.py"), 2, "the strategy comes first"),
        (("ema_cross", "EURUSD_M1.csv", "-p", "fast"), 2, "write it as name=value"),
        (("ema_cross", "EURUSD_M1.csv", "-p", "fast=ten"), 2, "'ten' is not a number"),
        (("crossing.py", "EURUSD_M1.csv", "--risk", "0.5"), 0, ""),
        (("crossing.py", "EURUSD_M1.csv", "--risk", "5"), 2, "did you mean 5%?"),
        (("crossing.py", "EURUSD_M1.csv", "--risk", "1%", "--lots", "1"), 2, "both size entries"),
        (("crossing.py", "EURUSD_M1.csv", "--lots", "0"), 2, "--lots 0"),
        (("crossing.py", "EURUSD_M1.csv", "--from", "2031-01-01"), 2, "has no data in that range"),
        (("crossing.py", "EURUSD_M1.csv", "--from", "2024-01-10", "--to", "2024-01-09"), 2, "is not before"),
        (("crossing.py", "EURUSD_M1.csv", "--set", "volume_step=0"), 2, "volume_step"),
        (("crossing.py", "EURUSD_M1.csv", "--set", "leverege=10"), 2, "leverage"),
        (("crossing.py", "EURUSD_M1.csv", "--spec", "vantage"), 2, "vantage-raw"),
        (("crossing.py", "EURUSD_M1.csv", "--set", "account_currency=CHF"), 2, "--set rate_USD="),
        (("crossing.py", "EURUSD_M1.csv", "--tz", "Mars/Base"), 2, "there is no time zone"),
        (("crossing.py", "EURUSD_M1.csv", "--manifest", "crossing.py"), 1, "is not the manifest of a backtest"),
    ],
)
def test_what_cannot_be_run_is_said_with_the_way_out(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...],
    code: int, message: str, tmp_path: Path,
) -> None:  # fmt: skip
    found = tickledger(place, monkeypatch, "backtest", *arguments, "--out", str(tmp_path / "out"))
    err = capsys.readouterr().err
    assert message in err
    assert found == code
    assert (tmp_path / "out").exists() == (code == 0)
    assert "Traceback" not in err


def test_a_folder_that_is_there_is_refused_before_the_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "something").write_text("kept")
    assert tickledger(place, monkeypatch, "backtest", "crossing.py", "none.csv", "--out", str(tmp_path)) == 2
    assert "is there already and is kept" in capsys.readouterr().err


def test_a_strategy_that_peeks_is_caught(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "hatch.py").write_text(PEEKING)
    assert tickledger(place, monkeypatch, "backtest", "crossing.py", "EURUSD_M1.csv", "--check-lookahead") == 0
    assert "no look-ahead" in capsys.readouterr().out
    assert tickledger(place, monkeypatch, "backtest", "hatch.py", "EURUSD_M1.csv", "--check-lookahead") == 1
    assert "it looks ahead" in capsys.readouterr().out


def test_a_strategy_that_fails_on_the_way_is_told_of(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "fails.py").write_text(FAILING)
    assert tickledger(place, monkeypatch, "backtest", "fails.py", "EURUSD_M1.csv", "--out", "fails", "--json") == 1
    told = next(told for told in json.loads(capsys.readouterr().out)["warnings"] if "ZeroDivisionError" in told)
    assert "Fails failed on import/EURUSD at tick" in told


def test_a_run_that_is_stopped_is_marked_and_goes_on(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    whole = ("backtest", "crossing.py", "EURUSD_M1.csv", "--json", "--out")
    # Whoever starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    assert tickledger(place, monkeypatch, *whole, "whole") == 0
    expected = json.loads(capsys.readouterr().out)["digests"]
    with monkeypatch.context() as patched:
        patched.setattr("api.lab.data.BLOCK_TICKS", 1_000)
        load, loads = driver.Backtest._load, []

        def interrupted(self: driver.Backtest) -> bool:
            loads.append(self.ticks)
            if len(loads) == 7:
                signal.raise_signal(signal.SIGINT)
            return load(self)

        patched.setattr(driver.Backtest, "_load", interrupted)
        assert tickledger(place, monkeypatch, *whole, "stopped") == 130
        answer = json.loads(capsys.readouterr().out)
        assert answer["complete"] is False
        assert answer["trades"] > 0
        assert json.loads((place / "stopped" / "manifest.json").read_text())["complete"] is False
    assert tickledger(place, monkeypatch, "backtest", "--resume", "stopped", "--json") == 0
    assert json.loads(capsys.readouterr().out)["digests"] == expected
    assert json.loads((place / "stopped" / "manifest.json").read_text())["complete"] is True
    assert not (place / "stopped" / "checkpoint.bin").exists()
    assert tickledger(place, monkeypatch, "verify", "--run", "stopped") == 0
    assert tickledger(place, monkeypatch, "compare", "whole", "stopped") == 0
    assert tickledger(place, monkeypatch, "backtest", "--resume", "stopped") == 1
    assert "there is nothing to go on from" in capsys.readouterr().err


def test_a_daily_loss_that_is_reached_ends_the_day_and_is_in_the_events(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import polars as pl

    (place / "limits.toml").write_text(
        'max_daily_loss = 0.0005\ndaily_loss_basis = "balance"\ndaily_loss_action = "flatten"\n'
    )
    asked = ("backtest", "crossing.py", "EURUSD_M1.csv", "--lots", "1", "--limits", "limits.toml", "--out", "limited")
    assert tickledger(place, monkeypatch, *asked) == 0
    risk = pl.read_parquet(place / "limited" / "events" / "risk.parquet")
    assert {"RiskDecision", "LimitBreached", "TradingStateChanged"} <= set(risk["record"])
    assert tickledger(place, monkeypatch, "verify", "--run", "limited") == 0


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ("max_lots = 5.0\nmax_symbol_lots = 1.0\n", "max_lots = 5 is above max_symbol_lots = 1"),
        ('max_daily_loss = "10%"\nmax_drawdown = "5%"\n', "max_daily_loss = 0.1 is above max_drawdown = 0.05"),
        ("max_lots = 0.001\n", "max_lots = 0.001 is below the smallest order, 0.01 lots of import/EURUSD"),
    ],
)
@pytest.mark.parametrize("command", [("backtest", "crossing.py"), ("sweep", "ema_cross")])
def test_limits_that_an_account_could_not_have_are_refused(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    limits: str,
    says: str,
) -> None:
    (place / "limits.toml").write_text(limits)
    sets = ("-p", "fast=10:20:10", "--jobs", "1") if command[0] == "sweep" else ()
    asked = (*command, "EURUSD_M1.csv", *sets, "--limits", "limits.toml", "--out", f"refused-{command[0]}")
    assert tickledger(place, monkeypatch, *asked) == 1
    assert f"error: limits.toml: {says}" in capsys.readouterr().err
    assert not (place / f"refused-{command[0]}").exists()


def test_a_range_is_traded_with_what_lies_before_it_for_warm_up(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every = ("backtest", "crossing.py", "EURUSD_M1.csv", "--json", "--out")
    assert tickledger(place, monkeypatch, *every, "late", "--from", "2024-01-09", "--to", "2024-01-09T12:00") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["trades"] > 0
    lines = (place / "late" / "trades.csv").read_text().splitlines()[1:]
    assert all("2024-01-09T00" <= line[:13] < "2024-01-09T12" for line in lines)


def test_strategies_are_listed_with_their_parameters(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickledger(place, monkeypatch, "strategies", "crossing.py", "--json") == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert {"sniper", "ema_cross", "rsi_reversion", "pairs", "buy_and_hold", "berserker", "crossing"} <= set(listed)
    assert listed["ema_cross"]["parameters"]["fast"] == {"default": 20, "low": 5, "high": 100}
    assert tickledger(place, monkeypatch, "strategies") == 0
    assert "-p fast=20, from 5 to 100" in capsys.readouterr().out


def test_new_writes_a_strategy_that_runs_and_never_writes_over_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickledger(place, monkeypatch, "new", "my_own") == 0
    assert (place / "test_my_own.py").exists()
    assert tickledger(place, monkeypatch, "backtest", "my_own.py", "EURUSD_M1.csv", "--out", "own") == 0
    assert tickledger(place, monkeypatch, "new", "my_own") == 1
    assert tickledger(place, monkeypatch, "new", "My-Own") == 2
    assert "no name for a strategy" in capsys.readouterr().err


def test_a_chart_has_the_strategys_own_lines(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tickledger(place, monkeypatch, "chart", "ema_cross", "EURUSD_M1.csv", "--out", "c.html", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert {"f", "s", "trail_long", "trail_short"} <= set(answer["lines"])
    assert (place / "c.html").stat().st_size > 10_000


PEEKING = """
from tickledger import BarStrategy, Enter, Exit

SEEN = []

class Peeks(BarStrategy):
    version = 1
    bars = "M1"

    def on_bar(self, bar):
        SEEN.append(bar.close)
        if len(SEEN) % 7 == 0:
            yield Enter.long(plan=Exit(stop=0.001))
"""

FAILING = """
from tickledger import BarStrategy, Enter, Exit

class Fails(BarStrategy):
    version = 1
    bars = "M1"

    def start(self):
        self.count = 0

    def on_bar(self, bar):
        self.count += 1
        1 / (100 - self.count)
"""
