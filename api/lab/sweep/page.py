"""The page of a sweep: what it found in words, heat maps, the best sets, and the walk forward."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Final

import numpy as np

from api.lab.metrics import METRICS, Value, shown
from api.lab.report.page import page
from api.lab.sweep.findings import Findings
from api.lab.sweep.outcome import BY, KEPT, Row, ranked
from api.lab.sweep.walk import Walked, parameters_text
from schemas.times import iso_ms

MOST_ROWS: Final = 100
_TILES: Final = (
    "net_profit", "profit_factor", "expected_payoff", "equity_drawdown_relative", "recovery_factor", "sharpe", "trades",
    "profit_trades_percent", "costs", "return_year",
)  # fmt: skip
_COLUMNS: Final = (
    "net_profit", "trades", "profit_factor", "expected_payoff", "profit_trades_percent", "sharpe", "recovery_factor",
    "equity_drawdown_relative", "costs", "commission",
)  # fmt: skip
_LESS: Final = frozenset({"costs", "commission", "swap", "spread_cost", "slippage_cost"})
_POINTS: Final = 2_000
_STYLE: Final = (
    "<style>.sets{width:100%;white-space:nowrap}.sets th,.sets td{padding:.28rem .6rem;text-align:right}"
    ".sets th{position:sticky;top:0;background:var(--card)}"
    ".sets th button{border:0;background:none;padding:.28rem 0;color:var(--soft);width:100%;text-align:right}"
    ".sets th[aria-sort] button{color:var(--ink);font-weight:620}.sets tbody tr{border-top:1px solid var(--grid)}"
    ".plot .in{fill:var(--ink);pointer-events:none}</style>"
)


def sweep_page(found: Findings) -> str:
    """One HTML file that needs nothing else: no network, no second file."""
    title = f"{found.name}: sweep{'' if found.complete else ' (partial)'}"
    sections = [("found", "What was found", _found(found))]
    if found.best is not None:
        sections += [
            ("heat-maps", "Heat maps", _heat(found)),
            ("distribution-of-sets", "Distribution of the sets", '<div id="distribution" class="plot"></div>'),
        ]
    if found.walked is not None:
        sections.append(("walk", "Walk forward", _walk(found, found.walked)))
    sections += [
        ("sets", f"The best {MOST_ROWS} sets", _sets(found)),
        ("facts", "What was run", "".join(f'<p class="note">{escape(fact)}</p>' for fact in found.facts)),
    ]
    links = "".join(f'<a href="#{key}">{escape(name)}</a>' for key, name, _ in sections)
    cards = "".join(
        f'<section id="{key}" class="card"><h2>{escape(name)}</h2>{inside}</section>' for key, name, inside in sections
    )
    facts = f"{found.facts[0]} · {len(found.rows):,} of {found.asked:,} sets" if found.facts else ""
    body = (
        f'{_STYLE}<header><div class="top"><div><h1>{escape(title)}</h1><p class="facts">{escape(facts)}</p></div>'
        '<button id="theme" type="button" aria-label="Switch between light and dark">◐</button></div>'
        f'<nav aria-label="Sections">{links}</nav></header><main id="main">'
        f"{_banner(found)}{_tiles(found)}{cards}</main>"
        f"<script>\n{_script()}</script>"
    )
    return page(title, body, _data(found), {}, ())


def _banner(found: Findings) -> str:
    if found.complete:
        return ""
    return (
        f'<p class="banner">Partial: stopped after {len(found.rows):,} of {found.asked:,} sets. --resume goes on.</p>'
    )


def _tiles(found: Findings) -> str:
    if found.best is None:
        return ""
    best, tiles = found.best, []
    for key in _TILES:
        value = best.metric(key)
        tiles.append(
            f'<div class="tile" title="{escape(METRICS[key].definition)}"><dt>{escape(METRICS[key].name)}</dt>'
            f"<dd>{escape(found.money(key, value))}</dd></div>"
        )
    said = f"The best by {METRICS[found.by].name}: {parameters_text(best.parameters)}"
    return f'<p class="note"><b>{escape(said)}</b></p><dl class="tiles">{"".join(tiles)}</dl>'


def _found(found: Findings) -> str:
    said = ""
    if found.luck is not None:
        said += f"<p>{escape(_sentence(found.luck.words))}</p>"
        said += (
            '<p class="note">Deflated Sharpe ratio: Bailey and López de Prado (2014). Only the sets of this sweep '
            "count as trials: what was tried before it makes luck likelier still.</p>"
        )
    warned = "".join(f"<li>{escape(_sentence(text))}</li>" for text in (*found.data_warnings, *found.warnings))
    if warned:
        said += f'<ul class="warnings">{warned}</ul>'
    return said or "<p>Nothing to be warned of.</p>"


def _heat(found: Findings) -> str:
    names = [axis.name for axis in found.varied]
    pairs = [f"{x}|{y}" for x, y in itertools.combinations(names, 2)] or [names[0]]
    shown_pairs = {pair: pair.replace("|", " × ") for pair in pairs}
    keys = {key: METRICS[key].name for key in (found.by, *(key for key in KEPT if key != found.by))}
    tools = (
        _select("metric", "Metric", keys)
        + _select("pair", "Parameters", shown_pairs)
        + _select("others", "The others", {"best": "at their best", "mean": "mean over them"})
    )
    return f'<div class="tools">{tools}</div><div id="heat" class="plot"></div><p id="heat-said" class="note"></p>'


def _select(key: str, name: str, choices: Mapping[str, str]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in choices.items())
    return f'<label>{name} <select id="{key}">{options}</select></label>'


def _sets(found: Findings) -> str:
    order = (ranked(found.rows, found.by, found.least_trades) or ranked(found.rows, found.by, 1))[:MOST_ROWS]
    names = [axis.name for axis in found.axes]
    heads = "".join(_head(name, "") for name in ["set", *names])
    heads += "".join(_head(METRICS[key].name, METRICS[key].definition) for key in _COLUMNS)
    rows = "".join(
        "<tr>"
        + _cell(str(row.number), row.number)
        + "".join(_cell(f"{row.parameters[name]:g}", row.parameters[name]) for name in names)
        + "".join(
            _cell(shown(row.metric(key), METRICS[key].unit, found.money_digits), row.metric(key)) for key in _COLUMNS
        )
        + "</tr>"
        for row in order
    )
    table = f'<table class="sets"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    said = f"Ranked by {METRICS[found.by].name}, of the sets with at least {found.least_trades} trades; all are in"
    return (
        f'<p class="note">{escape(said)} results.parquet. Money in {escape(found.currency)}.</p>'
        f'<div class="tall">{table}</div>{_failed(found.failed)}'
    )


def _failed(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    said = "".join(
        f"<li>{escape(parameters_text(row.parameters))}: {escape(row.failed)}</li>" for row in rows[:MOST_ROWS]
    )
    return f"<details><summary>{len(rows):,} sets failed</summary><ul>{said}</ul></details>"


def _walk(found: Findings, walked: Walked) -> str:
    names = [axis.name for axis in found.varied]
    keys = ("net_profit", "trades", "sharpe", "equity_drawdown_relative")
    heads = "".join(_head(text, "") for text in ["from", "to", *names])
    heads += "".join(_head(f"{METRICS[key].name}, {when}", "") for key in keys for when in ("trained", "out of sample"))
    rows = ""
    for step in walked.steps:
        window, best = step.window, step.chosen
        rows += (
            "<tr>"
            + _cell(iso_ms(window.test_ms)[:10], window.test_ms)
            + _cell(iso_ms(window.end_ms)[:10], window.end_ms)
        )
        rows += "".join(
            _cell(
                "–" if best is None else f"{best.parameters[name]:g}", None if best is None else best.parameters[name]
            )
            for name in names
        )
        for key in keys:
            for value in (None if best is None else best.metric(key), step.judged.get(key)):
                rows += _cell(shown(value, METRICS[key].unit, found.money_digits), value)
        rows += "</tr>"
    tiles = "".join(
        f'<div class="tile" title="{escape(METRICS[key].definition)}"><dt>{escape(METRICS[key].name)}</dt>'
        f"<dd>{escape(found.money(key, walked.metrics[key]))}</dd></div>"
        for key in _TILES
    )
    kept = walked.kept
    said = (
        f"Each window: {found.walk_words}; by {METRICS[found.by].name}, at least {found.least_trades} trades. The "
        "account goes on from window to window."
    )
    if kept is not None and kept > 0:
        said += f" Out of sample it earned {100 * kept:.0f} % a day of what the chosen sets had earned in training."
    return (
        f'<p class="note">{escape(said)}</p><dl class="tiles">{tiles}</dl><h3>Out-of-sample equity, '
        f"{escape(found.currency)}</h3>"
        f'<div id="curve" class="plot"></div><div class="scroll"><table class="sets"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(name: str, title: str) -> str:
    return f'<th scope="col" title="{escape(title)}"><button type="button">{escape(name)}</button></th>'


def _cell(text: str, value: Value) -> str:
    return f'<td data-v="{"" if value is None else repr(value)}">{escape(text)}</td>'


def _data(found: Findings) -> dict[str, Any]:
    rows = [row for row in found.rows if not row.failed]
    data: dict[str, Any] = {
        "metrics": {key: {"name": METRICS[key].name, "sign": BY.get(key, -1 if key in _LESS else 1)} for key in KEPT},
        "rows": {
            "parameters": {axis.name: [row.parameters[axis.name] for row in rows] for axis in found.varied},
            "metrics": {key: [_rounded(row.metric(key)) for row in rows] for key in KEPT},
        },
        "by_luck": None if found.luck is None else _rounded(found.luck.by_luck),
        "walk": None,
    }
    if found.walked is not None:
        data["walk"] = _curve(found.walked)
    return data


def _curve(walked: Walked) -> dict[str, Any]:
    """At most so many points, each stretch by its lowest and highest."""
    time, equity = walked.run.equity_ms, walked.run.equity
    if len(time) > _POINTS:
        edges = np.linspace(0, len(time), _POINTS // 2 + 1).astype(np.int64)
        low = [a + int(equity[a:b].argmin()) for a, b in itertools.pairwise(edges)]
        high = [a + int(equity[a:b].argmax()) for a, b in itertools.pairwise(edges)]
        at = np.unique(np.array([0, *low, *high, len(time) - 1]))
        time, equity = time[at], equity[at]
    return {
        "time": time.tolist(),
        "equity": [_rounded(value) for value in equity.tolist()],
        "edges": [step.window.test_ms for step in walked.steps],
    }


def _rounded(value: Value) -> Value:
    return None if value is None else float(f"{value:.6g}")


def _sentence(text: str) -> str:
    first = text if "/" in text.partition(" ")[0] else f"{text[0].upper()}{text[1:]}"
    return f"{first}{'' if text.endswith('.') else '.'}"


@cache
def _script() -> str:
    return (resources.files("api.lab.sweep") / "sweep.js").read_text(encoding="utf-8")
