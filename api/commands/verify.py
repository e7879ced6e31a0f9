"""`tickledger verify`: derives everything again from the roots and compares it with the log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.start import ConfigOption, HomeOption, JsonOption, running_stack, settings_of, tell, time_option
from infra.errors import SettingsError
from infra.keys import load_or_create
from infra.stack.services import ALL
from producers.judge import Judge
from schemas.identity import InvalidName, parse_listing
from streams.verify import Range, Report, Verification

SHOWN = 20
"""Differences that are shown; the rest is counted."""


def verify(
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="Check from this time on, ISO 8601; naive is UTC.")
    ] = None,
    to: Annotated[str | None, Parameter(name="--to", help="Check up to this time, without it.")] = None,
    listing: Annotated[str | None, Parameter(help="Check one listing only, feed/SYMBOL.")] = None,
    run: Annotated[Path | None, Parameter(help="Check the results of a backtest in this folder instead.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Derive quality, bars and signals again from the log's roots and compare them byte for byte.

    Chains, epochs and anchors are checked as a whole; --from and --to narrow what is counted and compared of ticks,
    bars (by their opening) and signals. Exit 0 nothing differs, 1 a difference, 2 something could not be checked.
    """
    if run is not None:
        from api.lab.verify_run import verify_run

        found = verify_run(run)
        print(json.dumps(found.as_json()) if as_json else found.text())
        return 1 if found.differences else 0
    settings = settings_of(home, config, "verify")
    asked = Range(
        Range().from_ms if from_ is None else time_option(from_, "--from"),
        Range().to_ms if to is None else time_option(to, "--to"),
        _listing(listing),
    )
    if asked.from_ms >= asked.to_ms:
        raise SettingsError(f"--from {from_} is not before --to {to}: nothing lies between")
    with running_stack(settings, frozenset(ALL)) as running:
        report = Verification(running.kafka, load_or_create(settings), Judge, asked, _progress()).run()
    print(json.dumps(report.as_json()) if as_json else _text(report))
    return report.exit_code


def _listing(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(parse_listing(text))
    except InvalidName as error:
        raise SettingsError(f"--listing: {error}") from error


def _progress() -> Callable[[str, Report], None]:
    shown = [""]

    def show(where: str, report: Report) -> None:
        if where != shown[0] and sys.stderr.isatty():
            shown[0] = where
            tell(f"{where}: {report.ticks:,} ticks, {report.bars:,} bars, {report.signals:,} signals so far")

    return show


def _text(report: Report) -> str:
    lines = [
        f"blocks {report.blocks:,}   ticks {report.ticks:,} (refused {report.refused:,})   bars {report.bars:,}   "
        f"signals {report.signals:,}",
        f"void {report.void:,}   repairs {report.repairs:,}   byte-identical copies {report.copies:,}",
    ]
    for what in report.unverifiable:
        lines.append(f"could not be checked: {what}")
    for problem in report.problems[:SHOWN]:
        topic, partition, offset = problem.position
        lines.append(f"difference at {topic}/{partition}/{offset} {problem.key}: {problem.reason}")
        if problem.expected or problem.found:
            lines.append(f"  expected {problem.expected or 'nothing'}")
            lines.append(f"  found    {problem.found or 'nothing'}")
    if report.differences > SHOWN:
        lines.append(f"and {report.differences - SHOWN:,} more")
    lines.append(_verdict(report))
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    if report.differences:
        return f"{report.differences:,} difference{'s' if report.differences > 1 else ''}"
    return "nothing differs in what could be checked" if report.unverifiable else "nothing differs"
