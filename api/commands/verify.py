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
from infra.settings import Settings
from infra.stack.services import ALL
from producers.recheck import Recheck
from schemas.identity import InvalidName, parse_listing
from streams.class_programs import with_code
from streams.graph_programs import graph_or_built_in
from streams.verify import Range, Report, Verification

ACCOUNTS = ("journal", "executions", "commands", "orders", "fills", "risk", "portfolio")
SHOWN = 20
"""Differences that are shown; the rest is counted."""


def verify(
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="Check from this time on, ISO 8601; naive is UTC.")
    ] = None,
    to: Annotated[str | None, Parameter(name="--to", help="Check up to this time, without it.")] = None,
    listing: Annotated[str | None, Parameter(help="Check one listing only, feed/SYMBOL.")] = None,
    account: Annotated[str | None, Parameter(help="Check one account only.")] = None,
    run_code: Annotated[
        bool,
        Parameter(
            negative="",
            help="Run the source of strategies that are classes, as the log carries it: it can do anything.",
        ),
    ] = False,
    terminal: Annotated[
        bool, Parameter(negative="", help="Compare the terminal of trade.account as well; do it when all stands still.")
    ] = False,
    run: Annotated[Path | None, Parameter(help="Check the results of a backtest in this folder instead.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Derive quality, bars, signals and all decisions again from the log's roots and compare them byte for byte.

    Chains, epochs and anchors are checked as a whole; each journal is held against what it was taken from. --from and
    --to narrow what is counted and compared of ticks, bars (by their opening), signals and decisions (by when their
    cause was taken). Exit 0 nothing differs, 1 a difference, 2 something could not be checked.
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
        account,
    )
    if listing is not None and account is not None:
        raise SettingsError("--listing and --account narrow to different things: give one of them")
    if terminal and listing is not None:
        raise SettingsError("--terminal compares an account and --listing leaves all accounts out: give one of them")
    if terminal and not settings.trade.account:
        raise SettingsError("--terminal: the setting trade.account names no account: set it")
    if asked.from_ms >= asked.to_ms:
        raise SettingsError(f"--from {from_} is not before --to {to}: nothing lies between")
    programs = with_code if run_code else graph_or_built_in
    with running_stack(settings, frozenset(ALL)) as running:
        verification = Verification(
            running.kafka, load_or_create(settings), Recheck, asked, _progress(), programs=programs
        )  # fmt: skip
        report = verification.run()
        if terminal:
            check_terminal_of(settings, verification)
    print(json.dumps(report.as_json()) if as_json else _text(report))
    return report.exit_code


def _listing(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(parse_listing(text))
    except InvalidName as error:
        raise SettingsError(f"--listing: {error}") from error


def check_terminal_of(settings: Settings, verification: Verification) -> None:
    """Adds to the report what differs at the terminal of trade.account, or why it can't be compared."""
    from api.terminal_check import check_terminal, read_log
    from producers.mt5 import TerminalError, connect, sign_in

    account, report, asked = settings.trade.account, verification.report, verification.asked.account
    configs = verification.configs
    if asked is not None and asked not in configs:
        return  # the report has it, with the accounts that there are
    config = configs.get(account)
    if config is None:
        report.unverifiable.append(
            f"the terminal of {account}: reference has no such account: it has {', '.join(configs) or 'none'}; "
            "set trade.account"
        )
        return
    if asked not in (None, account):
        report.unverifiable.append(
            f"the terminal of {account}: it is that of trade.account, and --account {asked} leaves it out: "
            f"give --account {account}"
        )
        return
    log = read_log(verification.bootstrap, verification.keys, config, verification.states.get(account))
    try:
        mt5 = connect(settings)
        sign_in(mt5, settings.terminal)
    except TerminalError as error:
        report.unverifiable.append(f"the terminal of {account}: {error}")
        return
    try:
        check_terminal(mt5, log, report)
    finally:
        mt5.shutdown()


def _progress() -> Callable[[str, Report], None]:
    shown = [""]

    def show(where: str, report: Report) -> None:
        if where != shown[0] and sys.stderr.isatty():
            shown[0] = where
            tell(f"{where}: {report.ticks:,} ticks, {report.bars:,} bars, {report.signals:,} signals so far")

    return show


def _text(report: Report) -> str:
    counts = "   ".join(f"{name} {getattr(report, name):,}" for name in ACCOUNTS)
    lines = [
        f"blocks {report.blocks:,}   ticks {report.ticks:,} (refused {report.refused:,})   bars {report.bars:,}   "
        f"signals {report.signals:,}",
        *((counts,) if report.journal or report.executions or report.commands else ()),
        *(("terminal: " + "   ".join(f"{k} {v:,}" for k, v in report.terminal.items()),) if report.terminal else ()),
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
