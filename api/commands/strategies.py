"""`tickledger strategies`: the strategies that ship, those in a file, and those of a running home."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from api.lab.choice import BUILT_IN, Chosen, choose, parsed_values
from api.lab.options import LabOptions
from api.start import ConfigOption, HomeOption, JsonOption, running_stack, settings_of, time_option
from infra.errors import SettingsError
from schemas.identity import InvalidName, parse_listing
from streams.strategy_file import names_in, shipped

if TYPE_CHECKING:
    from api.instances import Running

strategies = App(name="strategies", help="List the strategies that ship, and add, remove or list those of a home.")


@strategies.default
def listing(*files: Annotated[Path, Parameter(help="Files of one's own.")], as_json: JsonOption = False) -> int:
    """List the strategies that ship, and those in files of one's own, with their parameters.

    Each can be named in `tickledger backtest`; the file of one that ships is there to be copied. What runs in a home
    is listed by `tickledger strategies list`.
    """
    listed = [_said(choose(name, {}), str(path)) for name, path in shipped().items()]
    listed += [_said(choose(name, {}), "built in") for name in BUILT_IN]
    for path in files:
        listed += [_said(choose(f"{path}:{name}", {}), f"{path}:{name}") for name in names_in(path)]
    print(json.dumps(listed) if as_json else "\n\n".join(map(_text, listed)))
    return 0


@strategies.command
def add(
    strategy: Annotated[str, Parameter(help="A file of one's own, FILE:NAME of several, or one that ships.")],
    *,
    p: Annotated[
        list[str] | None, Parameter(name=["-p", "--parameter"], help="A parameter of the strategy, name=value.")
    ] = None,
    instance: Annotated[str, Parameter(help="Its name on the log; default the strategy's.")] = "",
    symbol: Annotated[list[str] | None, Parameter(help="feed/SYMBOL to run on; default all that it can.")] = None,
    account: Annotated[str, Parameter(help="Account that trades it; default none: it only signals.")] = "",
    role: Annotated[
        str, Parameter(help="Its part among the account's strategies: alone, trade, agree, veto, allow, weigh.")
    ] = "alone",
    lots: Annotated[float | None, Parameter(help="Size of an entry, lots.")] = None,
    risk: Annotated[str | None, Parameter(help="Size by the loss at the stop: a share of equity, 0.5%.")] = None,
    volatility: Annotated[str | None, Parameter(help="Size by the yearly volatility aimed at, 10%.")] = None,
    kelly: Annotated[str | None, Parameter(help="Size by a share of Kelly, 25%; capped.")] = None,
    max_lots: Annotated[float, Parameter(help="Largest entry, lots; 0: no limit but the account's.")] = 0.0,
    weight: Annotated[
        float | None,
        Parameter(help="By how much it cuts others with the role weigh, 0 to 1: default 0.5 halves them, 1 is a veto."),
    ] = None,
    warm_from: Annotated[
        str | None, Parameter(help="Fold earlier ticks from this time on only, ISO 8601; default all.")
    ] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Have a strategy run in the home, from each listing's next ticks on; and an account trade it.

    Its program goes onto the log, a class as the source of its file: the worker then runs that code. An instance that
    runs already gets these parameters. With --json: the instance as `strategies list` shows it.
    """
    from api.accounts import Share
    from api.instances import Wanted, activation_of
    from api.instances import add as add_instance
    from infra.clock import SystemClock
    from infra.keys import load_or_create
    from infra.stack.services import KAFKA

    sized = LabOptions(lots=lots, risk=risk, volatility=volatility, kelly=kelly).sized()
    if not account and (max_lots or any(told is not None for told in (lots, risk, volatility, kelly, weight))):
        raise SettingsError("a size or weight is told and no account: give --account as well")
    chosen = choose(strategy, parsed_values(p or []))
    warm_us = 0 if warm_from is None else time_option(warm_from, "--warm-from") * 1_000
    one = activation_of(chosen, instance, _listings(symbol or ()), warm_us)
    share = Share(one.instance, sized.sizing, sized.size, max_lots, weight) if account else None
    settings = settings_of(home, config, "strategies")
    with running_stack(settings, frozenset({KAFKA})) as running:
        found = add_instance(
            running.kafka, load_or_create(settings), SystemClock(), Wanted(one, account, share, role)
        )  # fmt: skip
    print(json.dumps(found.as_json()) if as_json else _running_text(found))
    return 0


@strategies.command
def remove(
    instance: Annotated[str, Parameter(help="As `strategies list` names it.")],
    *,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """End a strategy's instance, from each listing's next ticks on. Open positions keep their stops and their plan.

    With --json: {"instance", "removed_ref_no"}.
    """
    from api.instances import remove as remove_instance
    from infra.clock import SystemClock
    from infra.keys import load_or_create
    from infra.stack.services import KAFKA

    settings = settings_of(home, config, "strategies")
    with running_stack(settings, frozenset({KAFKA})) as running:
        ended = remove_instance(running.kafka, load_or_create(settings), SystemClock(), instance)
    said = {"instance": instance, "removed_ref_no": ended.ref_no}
    print(json.dumps(said) if as_json else f"{instance} ends with record {ended.ref_no} of reference")
    return 0


@strategies.command(name="list")
def list_(*, home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """List what runs in the home: instance, program, parameters, listings, since when, who trades it, where it failed.

    With --json: a list of {"instance", "operator", "version", "kind", "parameters", "listings", "since_ref_no",
    "program_sha256", "accounts", "waits_for", "failed"}; no listings means all, "waits_for" are those of them that
    aren't on the log, "failed" has {"listing", "time", "message", "by_former_worker"} of each on which it says nothing:
    it has raised, couldn't be folded on, or doesn't run there. What only a former worker said the present one says
    again once the listing moves, if it still is so.
    """
    from api.instances import running as running_instances
    from api.instances import with_failures
    from infra.keys import load_or_create
    from infra.reference_log import read_reference
    from infra.stack.home import Home
    from infra.stack.services import KAFKA, WORKER, running_since_ms

    settings = settings_of(home, config, "strategies")
    with running_stack(settings, frozenset({KAFKA})) as running:
        known = running_instances(read_reference(running.kafka, load_or_create(settings))[0])
        found = with_failures(running.kafka, known, running_since_ms(Home(settings.home), WORKER.name) or 0)
    if as_json:
        print(json.dumps([one.as_json() for one in found]))
    else:
        print("\n\n".join(map(_running_text, found)) or "nothing runs: tickledger strategies add STRATEGY")
    return 0


def _listings(symbols: Sequence[str]) -> list[str]:
    try:
        return [str(parse_listing(symbol)) for symbol in symbols]
    except InvalidName as error:
        raise SettingsError(f"--symbol: {error}") from error


def _said(chosen: Chosen, place: str) -> dict[str, Any]:
    bounds = {} if chosen.strategy is None else chosen.strategy.parameters
    return {
        "name": chosen.name,
        "version": chosen.version,
        "bars": chosen.timeframe.name if chosen.built_in is None else "ticks",
        "reads": list(chosen.listings),
        "doc": chosen.doc,
        "file": place,
        "parameters": {
            name: {"default": value} | ({"low": bounds[name].low, "high": bounds[name].high} if name in bounds else {})
            for name, value in chosen.parameters.items()
        },
    }


def _text(one: dict[str, Any]) -> str:
    lines = [f"{one['name']} {one['version']} ({one['bars']})", *(f"  {line}" for line in one["doc"].splitlines())]
    for name, about in one["parameters"].items():
        bounds = f", from {about['low']:g} to {about['high']:g}" if "low" in about else ""
        lines.append(f"  -p {name}={about['default']}{bounds}")
    if one["reads"]:
        lines.append(f"  reads {', '.join(one['reads'])} too")
    return "\n".join([*lines, f"  {one['file']}"])


_FORMER: Final = " (a former worker said so; the present one does once the listing moves, if it still is so)"


def _running_text(found: Running) -> str:
    one = found.as_json()
    kind = {"BUILTIN": "built in", "GRAPH": "expressions", "CLASS": "a class"}.get(one["kind"], one["kind"])
    program = f"{one['operator']} {one['version']} ({kind})"
    lines = [
        f"{one['instance']}: {program}, since record {one['since_ref_no']} of reference",
        f"  on {', '.join(one['listings']) or 'all listings'}",
        *(f"  {name}={value}" for name, value in one["parameters"].items()),
    ]
    for share in one["accounts"]:
        most = f", at most {share['max_lots']:g} lots" if share["max_lots"] else ""
        weighs = f", weight {share['weight']:g}" if share["role"] == "weigh" else ""
        sized = f"{share['sizing']} {share['size']:g}{most}"
        lines.append(f"  traded by {share['account']}: {sized}, role {share['role']}{weighs}")
    lines += [f"  waits for {listing}: nothing of it is on the log yet" for listing in one["waits_for"]]
    lines += [
        f"  FAILED at {failed['time']}: {failed['message']}{_FORMER if failed['by_former_worker'] else ''}"
        for failed in one["failed"]
    ]
    return "\n".join(lines)
