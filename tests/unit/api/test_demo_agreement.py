"""What the stages of a played day say of each other, where they agree and where they don't."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from api.demo import screen
from api.demo.agreement import Finding, of_database, of_signals, of_ticks, of_verify
from api.demo.history import SameTicks
from api.demo.laboratory import Compared
from api.demo.screen import View
from api.demo.stages import Seen
from producers.terminal.control import MarketState
from schemas.chains import Position
from streams.report import Problem, Report

MARKET = MarketState(
    from_us=0, to_us=60_000_000, now_us=30_000_000, ended=False, speed=20.0, standing=False, held=True, ticks=1_200,
    ticks_in_all=2_400, symbols=("EURUSD",), calls=10, requests=3, connected=True, faults=0,
)  # fmt: skip
ENDED = replace(MARKET, ended=True, now_us=120_000_000, ticks=2_400)
SEEN = Seen(
    MARKET,
    records={"ticks": 12, "journal": 30, "fills": 2, "executions": 9},
    projected={"ticks": 12, "journal": 28, "fills": 2, "executions": 9},
    refused={"ticks": 0},
    ticks=1_150,
    kinds={"RiskDecision": 4, "Submitted": 3, "Filled": 1, "PartiallyFilled": 1},
    bars=18,
    signals=5,
)


def test_ticks_agree_when_the_market_is_at_its_end_and_every_row_is_the_same() -> None:
    terminal, recorder = of_ticks(replace(SEEN, market=ENDED), [SameTicks("demo/EURUSD", 2_400, 2_400, "")])

    assert (terminal.problems, recorder.problems) == ([], [])
    assert terminal.has == "2,400 ticks of EURUSD played"
    assert recorder.has == "2,400 ticks on the log, row by row the terminal's own history"


def test_a_market_that_has_not_ended_and_a_row_that_differs_are_said() -> None:
    terminal, recorder = of_ticks(SEEN, [SameTicks("demo/EURUSD", 2_400, 2_399, "tick 7: …")])

    assert list(terminal.problems) == ["the market has not been played to its end"]
    assert list(recorder.problems) == ["demo/EURUSD: tick 7: …"]
    assert recorder.has == "2,399 ticks on the log"


def test_signals_other_than_the_laboratorys_are_said_by_strategy() -> None:
    good, bad = Compared("berserker", "demo/EURUSD", 84, True), Compared("mine", "demo/EURUSD", 3, False)

    assert "the laboratory's, byte for byte" in of_signals(SEEN, [good]).has
    found = of_signals(SEEN, [good, bad])
    assert "byte for byte" not in found.has
    assert list(found.problems) == [
        "the laboratory makes other signals of mine over demo/EURUSD than the worker has made"
    ]


def test_records_that_the_database_lacks_or_refuses_are_said_by_topic() -> None:
    found = of_database(replace(SEEN, refused={"ticks": 1}))

    assert list(found.problems) == [
        "journal has 30 records, the database has read 28",
        "1 records of ticks are refused",
    ]
    assert of_database(replace(SEEN, projected=SEEN.records)).problems == []


def test_what_was_derived_again_is_told_with_its_first_differences() -> None:
    report = Report(ticks=2_400, orders=12, terminal={"deals": 2, "positions": 1})
    good = of_verify(report)

    assert good.problems == []
    assert "2,400 ticks" in good.has
    assert "12 of orders" in good.has
    assert good.has.endswith("at the terminal: 2 deals, 1 positions; nothing differs")

    report.add(Problem(Position("bars", 3, 17), "demo/EURUSD", "another close"))
    report.unverifiable.append("signals of mine: its code is not here")
    bad = of_verify(report)
    assert list(bad.problems) == [
        "at bars/3/17, demo/EURUSD: another close",
        "could not be checked: signals of mine: its code is not here",
    ]
    assert "nothing differs" not in bad.has


def test_a_stage_shows_what_it_has_and_what_is_not_through() -> None:
    rows = {row.name: row for row in SEEN.rows()}

    assert rows["terminal"].has == "1,200 of 2,400 ticks, 3 requests"
    assert (rows["recorder"].lag, rows["recorder"].lag_of) == (50, "ticks")
    assert rows["desk"].has == "4 decisions, 3 orders, 2 fills"
    assert rows["gateway"].has == "9 executions, 2 deals"
    assert (rows["database"].lag, SEEN.left) == (2, 2)
    assert next(row.has for row in Seen().rows()) == "0 ticks, 0 requests"


def test_a_line_tells_the_market_and_every_stage() -> None:
    line = screen.line(View("playing", 10.0, SEEN))

    assert line.startswith("   10 s  market 1970-01-01 00:00:30 UTC, 50.0% played  terminal 1,200 of 2,400 ticks")
    assert "(lag 50 ticks)" in line
    assert "the market has not begun" in screen.line(View("playing", 0.0, Seen()))


@pytest.mark.parametrize("terminal", [True, False])
def test_findings_have_a_line_a_stage_with_what_is_wrong_below(
    capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    findings = [
        Finding("desk", "4 decisions " + 30 * "and more "),
        Finding("database", "9 records", ["one is missing"]),
    ]

    console = Console(force_terminal=terminal, width=400, color_system=None)
    screen.tell_findings(console, findings)

    said = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split()[:2] for line in said[:2]] == [["agrees", "desk"], ["differs", "database"]]
    assert said[0].endswith("and more")
    assert said[2].strip() == "one is missing"
    assert len(said) == 3


def test_the_table_shows_a_lag_only_where_there_is_one() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(screen.stages(View("playing", 3.0, SEEN)))

    lines = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    assert lines["recorder"].rstrip().endswith("50 ticks")
    assert lines["terminal"].rstrip().endswith("3 requests")
