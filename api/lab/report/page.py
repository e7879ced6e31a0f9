"""The report's page: what can be read without scripts, with the data that the pictures are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Final

from api.lab.days import Days, trading_days
from api.lab.metrics import HEADLINES, METRICS, Value, shown
from api.lab.report.packed import packed_chart, packed_json
from api.lab.report.series import distribution, equity_curve, hours, month_table, rolling_sharpe, trade_columns
from api.lab.report.verdict import modelling, refusals, verdict
from api.lab.report.walk import audit_walks
from api.lab.run import Run

Metrics = Mapping[str, Value]
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STOPPED: Final = "Stopped before its end: everything here is of what had been reached."
NBSP: Final = "\u00a0"
_NOTE: Final = '<p class="note">'


def report_page(run: Run, metrics: Metrics) -> str:
    """One HTML file that needs nothing else: no network, no second file."""
    days = trading_days(run)
    money = run.account["currency"]
    title = f"{run.name}{'' if run.complete else ' (incomplete)'}"
    data = {
        "currency": money,
        "digits": int(run.account.get("digits", 2)),
        "trades": trade_columns(run),
        "equity": equity_curve(run),
        "rolling": rolling_sharpe(days),
        "hours": hours(run),
        "distribution": distribution(run),
        "charts": [chart.listing for chart in run.charts],
        "costs": _waterfall(metrics),
        "price_digits": {str(found["listing"]): int(found["digits"]) for found in run.data if "digits" in found},
    }
    packs = {f"chart-{i}": json.dumps(packed_chart(chart)) for i, chart in enumerate(run.charts)}
    packs["walks"] = json.dumps(packed_json(audit_walks(run)))
    sections = [
        _verdict(run),
        section("chart", "Price and trades", _chart_frame(run)),
        section("equity", "Equity and drawdown", '<div id="equity-plot" class="plot"></div>'),
        section("months", "Months", month_table_html(days)),
        _pair(
            "hours",
            "Hours and weekdays",
            "Results by the server's clock at entry, all trades.",
            ("hours-plot", "By hour"),
            ("weekdays-plot", "By weekday"),
        ),
        section("costs", "Costs", _costs(run, metrics)),
        _pair(
            "excursion",
            "Excursion and distribution",
            "",
            ("mae-plot", "MAE against result"),
            ("mfe-plot", "MFE against result"),
            ("distribution-plot", "Results of trades"),
        ),
        section(
            "rolling",
            "Rolling Sharpe ratio and exposure",
            '<div id="rolling-plot" class="plot"></div><h3>Margin used</h3><div id="exposure-plot" class="plot"></div>',
        ),
        section("metrics", f"All {len(METRICS)} metrics", metrics_html(run, metrics)),
        section("trades", "Trades", _trades_frame(run)),
        section("run", "This run", _run_facts(run)),
    ]
    nav = [
        ("chart", "Chart"),
        ("equity", "Equity"),
        ("months", "Months"),
        ("hours", "Hours"),
        ("costs", "Costs"),
        ("excursion", "Excursion"),
        ("metrics", "Metrics"),
        ("trades", "Trades"),
        ("run", "Run"),
    ]
    body = _header(run, title, nav) + '<main id="main">' + _tiles(run, metrics) + "".join(sections) + "</main>"
    return page(f"{title}: backtest", body, data, packs, ("chart.js", "plots.js", "report.js"))


def page(title: str, body: str, data: Mapping[str, Any], packs: Mapping[str, str], scripts: Sequence[str]) -> str:
    """A whole page with its style, data and scripts inside."""
    data_tags = "".join(
        f'<script type="application/json" id="{name}">{text.replace("<", chr(92) + "u003c")}</script>\n'
        for name, text in {"data": json.dumps(data, ensure_ascii=False, separators=(",", ":")), **packs}.items()
    )
    code = "\n".join(part(name) for name in scripts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<style>\n{part('report.css')}</style>\n<script>\n{part('theme.js')}</script>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">To the content</a>\n{body}\n{data_tags}'
        f"<script>\n{code}</script>\n</body>\n</html>\n"
    )


@cache
def part(name: str) -> str:
    """A file of this package."""
    return (resources.files("api.lab.report") / name).read_text(encoding="utf-8")


def day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def _header(run: Run, title: str, nav: Iterable[tuple[str, str]]) -> str:
    listings = ", ".join(str(found["listing"]) for found in run.data)
    facts = [listings, str(run.strategy.get("timeframe", "")), f"{day(run.from_ms)} to {day(run.to_ms)}"]
    parameters = " · ".join(f"{key} {value}" for key, value in dict(run.strategy.get("parameters", {})).items())
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in nav)
    return (
        f'<header><div class="top"><div><h1>{escape(title)}</h1><p class="facts">'
        f"{' · '.join(escape(fact) for fact in facts if fact)}</p>"
        + (f'<p class="facts">{escape(parameters)}</p>' if parameters else "")
        + '</div><button id="theme" type="button" aria-label="Switch between light and dark">◐</button></div>'
        f'<nav aria-label="Sections">{links}</nav>'
        + ("" if run.complete else f'<p class="banner" role="alert">{_STOPPED}</p>')
        + "</header>"
    )


def _tiles(run: Run, metrics: Metrics) -> str:
    tiles = []
    for key in HEADLINES:
        metric, value = METRICS[key], metrics[key]
        unit = (
            f" <small>{escape(run.account['currency'])}</small>" if metric.unit == "money" and value is not None else ""
        )
        colour = sign(value) if key in ("net_profit", "net_profit_percent", "expected_payoff") else ""
        tiles.append(
            f'<div class="tile" title="{escape(metric.definition)}"><dt>{escape(metric.name)}</dt>'
            f'<dd class="{colour}">{shown_of(run, key, value)}{unit}</dd></div>'
        )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _verdict(run: Run) -> str:
    level, sentences = verdict(run)
    warned = "".join(f"<li>{escape(text)}</li>" for text in run.warnings)
    assumed = "".join(f"<li>{escape(text)}</li>" for text in run.assumptions)
    refused = "".join(f"<li>{escape(why)}: {count:,}</li>" for why, count in refusals(run))
    total = sum(run.refused.values())
    return (
        f'<section id="verdict" class="card {level}"><h2>How far to trust it</h2>'
        f"<p>{' '.join(escape(text) for text in sentences).replace(' %', NBSP + '%')}</p>"
        + (f'<h3>Warnings</h3><ul class="warnings">{warned}</ul>' if warned else "")
        + (f"<h3>Entries that were not traded: {total:,}</h3><ul>{refused}</ul>" if refused else "")
        + (
            f"<details><summary>What was assumed ({len(run.assumptions)})</summary><ul>{assumed}</ul></details>"
            * bool(assumed)
        )
        + "</section>"
    )


def section(key: str, name: str, inside: str) -> str:
    """A card of the page, that its navigation leads to."""
    return f'<section id="{key}" class="card"><h2>{escape(name)}</h2>{inside}</section>'


def _pair(key: str, name: str, said: str, *plots: tuple[str, str]) -> str:
    inside = "".join(
        f'<figure><figcaption>{title}</figcaption><div id="{plot}" class="plot"></div></figure>'
        for plot, title in plots
    )
    return section(key, name, (f'<p class="note">{said}</p>' if said else "") + f'<div class="pair">{inside}</div>')


def _chart_frame(run: Run) -> str:
    if not run.charts:
        return '<p class="note">No chart was kept of this run.</p>'
    return chart_frame([f"{chart.listing} {chart.timeframe}" for chart in run.charts])


def chart_frame(names: Sequence[str]) -> str:
    """Where chart.js draws: a choice among several charts, the buttons, the canvas."""
    options = "".join(f'<option value="{i}">{escape(name)}</option>' for i, name in enumerate(names))
    select = f'<label>Chart <select id="chart-choice">{options}</select></label>' if len(names) > 1 else ""
    return (
        f'<div class="tools">{select}<span id="legend"></span><span class="spring"></span>'
        '<button type="button" data-zoom="in" aria-label="Zoom in">+</button>'
        '<button type="button" data-zoom="out" aria-label="Zoom out">−</button>'
        '<button type="button" data-zoom="all">All</button></div>'
        '<div id="price" class="price" tabindex="0" role="application" aria-label="Price chart: arrow keys '
        'move, plus and minus zoom, home shows all"></div>'
        f"{_NOTE}Drag to move, wheel or pinch to zoom, double click for all.</p>"
    )


def month_table_html(days: Days) -> str:
    rows = month_table(days)
    if not rows:
        return '<p class="note">No returns: the range has no trading day, or the equity was used up.</p>'
    widest = max((abs(v) for _, months, _ in rows for v in months if v is not None), default=0.0) or 1.0

    def cell(value: float | None) -> str:
        if value is None:
            return "<td></td>"
        share = min(abs(value) / widest, 1.0) * 60
        name = "gain" if value >= 0 else "loss"
        tint = f"--share:{share:.0f}%;--of:var(--{name})"
        return f'<td class="heat" style="{tint}">{value * 100:+.1f}</td>'.replace(">-", ">−")

    head = "".join(f'<th scope="col">{name}</th>' for name in (*_MONTHS, "Year"))
    body = "".join(
        f'<tr><th scope="row">{year}</th>{"".join(cell(v) for v in months)}{cell(total)}</tr>'
        for year, months, total in rows
    )
    return (
        '<div class="scroll"><table class="months"><caption>Return of the equity, %</caption>'
        f'<thead><tr><th scope="col">Year</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _waterfall(metrics: Metrics) -> list[tuple[str, float, str]]:
    """Name, money, and the name where there is little room."""
    costs = (("spread_cost", "Spread", "Spr."), ("slippage_cost", "Slippage", "Slip."),
             ("commission", "Commission", "Com."), ("swap", "Swap", "Swap"))  # fmt: skip
    steps = [(name, -(metrics[key] or 0.0), brief) for key, name, brief in costs]
    first, last = metrics["before_costs"] or 0.0, metrics["net_profit"] or 0.0
    return [("Before costs", first, "Before"), *steps, ("Net profit", last, "Net")]


def _costs(run: Run, metrics: Metrics) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(METRICS[key].name)}</th><td>{shown_of(run, key, metrics[key])}</td></tr>'
        for key in (
            "before_costs",
            "spread_cost",
            "slippage_cost",
            "commission",
            "swap",
            "costs",
            "net_profit",
            "costs_per_lot",
            "costs_share",
        )
    )
    money = escape(run.account["currency"])
    table = f'<table class="plain"><caption>{money}</caption>{rows}</table>'
    return f'<div class="pair"><div id="costs-plot" class="plot"></div>{table}</div>'


def metrics_html(run: Run, metrics: Metrics) -> str:
    groups: dict[str, list[str]] = {}
    for key, metric in METRICS.items():
        groups.setdefault(metric.group, []).append(
            f'<tr><th scope="row">{escape(metric.name)}<small>{escape(metric.definition)}</small></th>'
            f"<td>{shown_of(run, key, metrics[key])}</td></tr>"
        )
    tables = "".join(
        f'<table class="plain"><caption>{escape(group)}</caption><tbody>{"".join(rows)}</tbody></table>'
        for group, rows in groups.items()
    )
    return (
        '<label class="switch"><input type="checkbox" id="definitions"> Show definitions</label>'
        f'<p class="note">Money in {escape(run.account["currency"])}; – where a metric says nothing.</p>'
        f'<div class="groups">{tables}</div>'
    )


def _trades_frame(run: Run) -> str:
    if not len(run.trades):
        return '<p class="note">No trade was made.</p>'
    return (
        f"{_NOTE}{len(run.trades):,} trades, in order of their exits; times are UTC. A click brings one to the "
        "chart and shows what led to it: fill, order, risk checks, signal, ticks.</p>"
        '<div class="scroll tall"><table id="trade-table"><thead></thead><tbody></tbody></table></div>'
        '<button type="button" id="more" hidden>More</button>'
        '<div id="walk" class="walk" aria-live="polite" hidden></div>'
    )


def _run_facts(run: Run) -> str:
    def rows(facts: Mapping[str, Any]) -> str:
        return "".join(
            f'<tr><th scope="row">{escape(key.replace("_", " "))}</th><td>{escape(_said(key, value))}</td></tr>'
            for key, value in facts.items()
            if value not in ("", None, {}, [])
        )

    strategy = {key: value for key, value in run.strategy.items() if key != "source"}
    tables = [("Strategy", strategy), ("Account", run.account)]
    tables += [(f"Data: {found.get('listing', '')}", found) for found in run.data]
    times = {stage: f"{seconds:.2f} s" for stage, seconds in run.seconds.items()}
    if run.python_us_per_tick:
        times["strategy's own code"] = f"{run.python_us_per_tick:.2f} µs a tick"
    tables += [("Signals", run.signals), ("Time taken", times), ("Digests of the decisions", run.digests)]
    source = str(run.strategy.get("source") or "")
    return (
        f'<p class="note">Made {escape(run.started)}; {escape(modelling(run))}</p><div class="groups wide">'
        + "".join(
            f'<table class="plain facts"><caption>{escape(name)}</caption><tbody>{inside}</tbody></table>'
            for name, facts in tables
            if (inside := rows(facts))
        )
        + "</div>"
        + (f"<details><summary>The strategy's file</summary><pre>{escape(source)}</pre></details>" if source else "")
    )


def _said(key: str, value: Any) -> str:
    if key.endswith("_ms") and isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if key == "real_share":
        return f"{float(value) * 100:.2f} %"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def shown_of(run: Run, key: str, value: Value) -> str:
    return escape(shown(value, METRICS[key].unit, int(run.account.get("digits", 2))))


def sign(value: Value) -> str:
    return "" if not value else "up" if value > 0 else "down"
