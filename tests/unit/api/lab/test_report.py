"""The report's page: it stands alone, says what the run was, and its data is what the run had."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.signals import ENTER, EXIT, LONG, NONE, SIGNAL_DTYPE
from api.lab.chart import write_chart
from api.lab.days import trading_days
from api.lab.metrics import METRICS, measure
from api.lab.report.packed import MISSING, packed, points
from api.lab.report.page import report_page
from api.lab.report.series import distribution, equity_curve, hours, month_table
from api.lab.report.verdict import refusals, verdict
from api.lab.report.walk import audit_walks
from api.lab.run import Run
from api.lab.screen import COLUMNS, ROWS, screen
from schemas.trading import Submitted
from tests.browser import opened
from tests.lab_runs import LISTING, make_run


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def page(run: Run) -> str:
    return report_page(run, measure(run))


class Tags(HTMLParser):
    """Collects tags with their attributes, and checks that what opens closes."""

    EMPTY = ("meta", "link", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def unpack(text: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """As chart.js does."""
    planes = np.frombuffer(zlib.decompress(b64decode(text)), np.uint8).reshape(4, -1)
    return np.cumsum(np.ascontiguousarray(planes.T).view("<i4").ravel(), dtype=np.int32)


def data_of(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_is_well_formed_and_needs_no_network(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for tag, attributes in tags.seen:
        assert not attributes.get("src"), tag
        href = attributes.get("href") or "#"
        assert href.startswith("#") or href == "data:,"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "@import" not in page
    assert "url(" not in page


def test_it_is_read_without_scripts(run: Run, page: str) -> None:
    still = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert all(metric.name.replace("&", "&amp;") in still for metric in METRICS.values())
    assert f"{measure(run)['net_profit']:,.2f}" in still
    assert str(run.warnings[0]) in still
    assert str(run.assumptions[1]).replace("'", "&#x27;") in still
    assert "spread above its limit: 3" in still


def test_every_picture_has_its_place(page: str) -> None:
    drawn = set(re.findall(r'"([a-z]+-plot)"', "".join(re.findall(r"<script>.*?</script>", page, re.DOTALL))))
    assert drawn
    assert all(f'id="{name}"' in page for name in drawn)


def test_text_from_outside_cannot_become_markup(run: Run) -> None:
    strategy = {**run.strategy, "source": "</script><script>alert(1)</script>", "parameters": {"<b>": "<i>"}}
    evil = replace(run, strategy=strategy, warnings=["<img src=x>"], name="</title><b>")
    page = report_page(evil, measure(evil))
    assert "<img" not in page
    assert "alert(1)</script>" not in page
    assert "<b>&lt;" not in page
    assert "<i>" not in page.split("<script>")[1].split("</script>")[1]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50))
def test_packed_numbers_come_back(values: list[int]) -> None:
    assert unpack(packed(np.array(values, np.int64))).tolist() == values


def test_prices_too_large_or_missing_are_marked() -> None:
    found = points(np.array([1.23456, np.nan, 1e12]), 5)
    assert found.tolist() == [123456, MISSING, MISSING]


def test_the_chart_has_all_bars_and_lines(run: Run, page: str) -> None:
    chart, found = run.charts[0], data_of(page, "chart-0")
    assert found["count"] == len(chart.bars)
    assert np.array_equal(unpack(found["time"]), chart.bars["time_ms"] // 1000)
    assert np.allclose(unpack(found["low"]) / 10**5, chart.bars["low"])
    line, values = found["lines"][0], next(iter(chart.lines.values()))
    drawn = unpack(line["values"]).astype(float)
    assert np.array_equal(drawn == MISSING, np.isnan(values))
    assert np.allclose(drawn[60:] / 10**6, values[60:], atol=1e-6)


def test_a_walk_leads_from_the_fill_to_the_ticks(run: Run) -> None:
    walks = audit_walks(run)
    assert len(walks) == len(run.trades)
    walk, trade = walks[3], run.trades[3]
    assert [fill["entry"] for fill in walk["fills"]] == ["IN", "OUT"]
    assert walk["fills"][0]["n"] == trade["entry_n"]
    order = next(one for one in run.decided if isinstance(one, Submitted) and one.order_no == trade["order_no"])
    assert walk["order"]["n"] == order.decision_n
    assert walk["risk"]["checks"][2] == ["spread", 20.0, 8.0, "points", "PASS"]
    assert walk["risk"]["checks"][3][1] is None
    assert (walk["signal"]["seq"], walk["signal"]["n"]) == (trade["signal_seq"], order.decision_n)
    assert walk["stops"][0][1] == order.sl


def test_a_run_that_kept_no_records_has_no_walks(run: Run) -> None:
    assert audit_walks(replace(run, decided=(), journal=())) == []


def test_the_curve_keeps_its_extremes() -> None:
    long = make_run(bars=20_000, minutes=5, records=False)
    curve = equity_curve(long)
    assert len(curve["s"]) < 4_100 < len(long.equity_ms)
    assert max(curve["equity"]) == pytest.approx(long.equity.max())
    assert min(curve["equity"]) == pytest.approx(long.equity.min())
    assert -min(curve["drawdown"]) == pytest.approx(measure(long)["equity_drawdown_relative"], abs=1e-3)
    assert curve["s"] == sorted(curve["s"])


def test_months_compound_to_the_year(run: Run) -> None:
    (year, months, total), *more = month_table(trading_days(run))
    assert (year, more) == (2024, [])
    assert np.prod([1 + m for m in months if m is not None]) == pytest.approx(1 + total)
    assert total == pytest.approx(run.equity[-1] / 10_000 - 1)


def test_hours_and_weekdays_share_out_all_results(run: Run) -> None:
    found = hours(run)
    total = pytest.approx(run.trades["pnl"].sum())
    assert sum(found["hour_pnl"]) == total
    assert sum(found["weekday_pnl"]) == total
    assert sum(found["hour_count"]) == len(run.trades)


def test_the_distribution_splits_at_zero_and_counts_all(run: Run) -> None:
    found = distribution(run)
    assert sum(found["count"]) == len(run.trades)
    assert 0.0 in found["edges"]


def test_the_verdict_says_what_the_figures_cannot_carry(run: Run) -> None:
    level, said = verdict(run)
    assert level == "fair"
    assert said[0].startswith("Modelling quality 0 %")
    few = replace(run, trades=run.trades[:5], to_ms=run.from_ms + 86_400_000 * 20)
    level, said = verdict(few)
    assert level == "poor"
    assert any("5 trades are too few" in sentence for sentence in said)
    assert any("20 days" in sentence for sentence in said)
    real = [{**run.data[0], "real_share": 1.0}]
    assert verdict(replace(run, data=real, warnings=[], open_positions=0))[0] == "good"


def test_costs_that_ate_the_profit_are_named(run: Run) -> None:
    trades = run.trades.copy()
    trades["pnl"] = -1.0
    assert "Before costs it earned something; costs took more than that." in verdict(replace(run, trades=trades))[1]


def test_refusals_that_differ_in_their_prices_only_are_one(run: Run) -> None:
    refused = {"rejected with 10016: 1.1": 1, "rejected with 10016: 1.2": 2, "stops_level": 9, "why: once": 1}
    expected = [("stops level", 9), ("rejected with 10016", 3), ("why: once", 1)]
    assert refusals(replace(run, refused=refused)) == expected


@pytest.mark.parametrize("many", [0, 3, 40])
def test_the_screen_fits_80_by_24(run: Run, many: int) -> None:
    said = [
        f"Warning number {i} that goes on for rather longer than a line of a terminal has columns." for i in range(many)
    ]
    shown = replace(run, warnings=said, refused={f"reason {i} with a long name": i + 1 for i in range(many)})
    lines = screen(shown, Path("runs/20261124-201503-ema_cross")).splitlines()
    assert len(lines) <= ROWS
    assert max(map(len, lines)) <= COLUMNS
    text = "\n".join(lines)
    assert "Total net profit" in text
    assert "modelling quality 0 %" in text
    assert "report.html" in lines[-1]
    assert not many or f"{many - text.count('Warning number')} more" in text or many == text.count("Warning number")


def test_the_screen_says_that_a_run_is_incomplete(run: Run) -> None:
    assert "INCOMPLETE" in screen(replace(run, complete=False), Path("x")).splitlines()[0]


def test_a_chart_of_its_own_has_signals_and_no_trades(run: Run, tmp_path: Path) -> None:
    rows = np.zeros(2, SIGNAL_DTYPE)
    rows["kind"], rows["side"], rows["price"] = [ENTER, EXIT], [LONG, NONE], np.nan
    rows["time_ms"], rows["bid"], rows["ask"] = run.charts[0].bars["time_ms"][[100, 200]], 1.1, 1.2
    write_chart(run.charts, {LISTING: [rows]}, tmp_path / "charts" / "one.html")
    assert [path.name for path in (tmp_path / "charts").iterdir()] == ["one.html"]
    text = (tmp_path / "charts" / "one.html").read_text(encoding="utf-8")
    first, second = data_of(text, "data")["signals"][LISTING]
    assert first[1:] == [1.2, 1, 0]
    assert second[1:] == [1.1, 0, 1]
    assert "1 ENTER, 1 EXIT" in text
    assert "trade-table" not in text.split("<script>")[1].split("</script>")[1]


@pytest.mark.browser
def test_equity_balance_and_drawdown_stay_where_they_are_until_the_next_mark(page: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    with opened() as (tab, wrong):
        tab.goto(file.as_uri())
        lines = tab.eval_on_selector_all("#equity-plot path[fill=none]", "all => all.map(one => one.getAttribute('d'))")
    assert wrong == []
    assert len(lines) == 3
    for line in lines:
        assert set(re.sub(r"[-0-9. ]", "", line)) == {"M", "H", "V"}
