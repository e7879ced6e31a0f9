"""How a benchmark's results are printed and handed over."""

from __future__ import annotations

import io

from rich.console import Console

from api.bench import bars
from api.bench.result import Report, Result, seconds

REPORT = Report(
    "bars",
    True,
    [
        Result("bars.rate", 21_500_000.0, "ticks/s", 20e6),
        Result("bars.bytes", 12.0, "bytes", 11.0, "lower"),
        Result("bars.other", 512.0, "records/s"),
    ],
    ["one core"],
)


def printed(report: Report) -> str:
    console = Console(file=io.StringIO(), width=120)
    report.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_json_form_has_names_values_units_and_goals() -> None:
    assert REPORT.to_json() == {
        "name": "bars",
        "equal": True,
        "results": [
            {"id": "bars.rate", "value": 21_500_000.0, "unit": "ticks/s", "goal": 20e6},
            {"id": "bars.bytes", "value": 12.0, "unit": "bytes", "goal": 11.0},
            {"id": "bars.other", "value": 512.0, "unit": "records/s", "goal": None},
        ],
    }


def test_the_table_says_which_goals_are_met() -> None:
    text = printed(REPORT)
    assert "21.5 M" in text
    assert "≥ 20 M" in text
    assert "≤ 11" in text
    assert ("met" in text, "missed" in text, "one core" in text) == (True, True, True)


def test_unequal_results_have_no_rates() -> None:
    assert "so there are no rates" in printed(Report("bars", False))


def test_the_shortest_run_counts() -> None:
    assert 0 <= seconds(lambda: None, least_s=0.0, rounds=3) < 1


def test_bench_bars_measures_each_block_size_after_comparing() -> None:
    report = bars.run(least_s=0.0)
    assert report.equal
    assert [r.id for r in report.results] == [
        *(f"bars.block{size}.ticks_per_s" for size in (2, 10, 100, 4096)),
        "bars.encode.records_per_s",
    ]
    assert all(r.value > 0 for r in report.results)
