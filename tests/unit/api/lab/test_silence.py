"""Why a strategy said no ENTER is said, with counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from api.lab.run import Run
from schemas.quality import Quality
from tests.unit.api.lab.market import quotes, run, traded, walk

TICKS = walk(3_000)
START = "from tickledger import BarStrategy, Enter, Exit, other, strategy\nfrom tickledger.ta import atr\n\n"
HEAD = START + '@strategy(version=1, bars="M1"{more})\ndef quiet(b):\n'


def ran(folder: Path, body: str, more: str = "", ticks: object = TICKS) -> Run:
    path = folder / "quiet.py"
    path.write_text(HEAD.format(more=more) + body)
    return run(str(path), traded(ticks))  # type: ignore[arg-type]


def bars_of(found: Run) -> int:
    (chart,) = found.charts
    return len(chart.bars)


@pytest.mark.parametrize("warmup", [10_000, None])
def test_a_warm_up_is_blamed_where_it_takes_all_bars(tmp_path: Path, warmup: int | None) -> None:
    count = bars_of(ran(tmp_path, "    yield Enter.long(b.close < 0, Exit())\n"))
    told = count if warmup is None else warmup
    found = ran(tmp_path, "    yield Enter.long(b.close > 0, Exit())\n", f", warmup={told}")
    assert f"quiet said no ENTER: its warm-up takes {told:,} M1 bars, and there are {count}" in found.warnings


def test_conditions_that_never_held_are_said_with_the_bars_that_were_decided_on(tmp_path: Path) -> None:
    found = ran(tmp_path, "    yield Enter.long(b.close < 0, Exit(stop=atr(b, 5)))\n", ", warmup=10")
    left = bars_of(found) - 10
    assert (
        f"quiet said no ENTER: its conditions held on none of the {left} M1 bars that it decided on" in found.warnings
    )


def test_plans_that_name_no_number_above_zero_are_said(tmp_path: Path) -> None:
    found = ran(tmp_path, "    yield Enter.long(b.close > 0, Exit(stop=b.close - b.close))\n", ", warmup=0")
    count = bars_of(found)
    assert (
        f"quiet said no ENTER: its conditions held on {count} of the {count} M1 bars that it decided on, but on "
        f"{count} what its plan names (price, stop, target or trail) was no number above zero"
    ) in found.warnings


def test_sides_that_hold_at_once_are_said(tmp_path: Path) -> None:
    body = "    yield Enter.long(b.close > 0, Exit())\n    yield Enter.short(b.close > 0, Exit())\n"
    found = ran(tmp_path, body, ", warmup=0")
    assert any(f"but on {bars_of(found)} long and short held at once" in words for words in found.warnings)


def test_suspect_ticks_are_said(tmp_path: Path) -> None:
    dubious = TICKS._replace(quality=np.full(len(TICKS.quality), int(Quality.SPIKE), np.int32))
    found = ran(tmp_path, "    yield Enter.long(b.close > 0, Exit())\n", ", warmup=0", dubious)
    assert any("the bar's last tick was suspect" in words for words in found.warnings)


def test_of_several_timeframes_and_of_classes_the_bars_are_counted(tmp_path: Path) -> None:
    found = ran(tmp_path, '    yield Enter.long(other("M5").close < 0, Exit())\n')
    assert any("its conditions never held, or what a plan names" in words for words in found.warnings)
    path = tmp_path / "still.py"
    path.write_text(
        START + 'class Still(BarStrategy):\n    """Never."""\n\n    version, bars, warmup = 1, "M1", 5\n\n'
        "    def on_bar(self, bar):\n        return None\n"
    )
    still = run(str(path), traded(TICKS))
    assert f"Still said no ENTER on the {bars_of(still) - 5} M1 bars that it decided on" in still.warnings


def test_on_no_closed_bar_nothing_more_is_known(tmp_path: Path) -> None:
    few = quotes([int(TICKS.time_ms[0])], [1.1], [1.1002])
    found = ran(tmp_path, "    yield Enter.long(b.close > 0, Exit())\n", "", few)
    assert "quiet said no ENTER on this data" in found.warnings


def test_with_an_entry_nothing_is_said(tmp_path: Path) -> None:
    found = ran(tmp_path, "    yield Enter.long(b.close > 0, Exit())\n")
    assert not [words for words in found.warnings if "ENTER" in words]
