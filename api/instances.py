"""Strategies of a home: which instance runs which program, on what, since when, and how accounts trade it.

Adding and removing is writing to `reference`: the worker follows at each listing's next block that was written with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import streams
from agents.strategy_program import StrategyProgram
from api.accounts import (
    BadAccount,
    Share,
    check_finite,
    check_reach,
    check_share,
    newest,
    specs_of,
    strategy_config,
)
from api.lab.choice import Chosen
from infra.clock import Clock
from infra.errors import Refused
from infra.kafka import read_range
from infra.reference_log import append_reference
from schemas.catalogue import partition_of
from schemas.configuration import AccountConfig, RiskLimits, StrategyConfig
from schemas.events import Alert, ListingSpec, OperatorActivation, ProgramKind, ReferenceRecord
from schemas.identity import InvalidName, operator_id
from schemas.integrity import UNWRITTEN, KeyRing
from schemas.registry import UnreadableRecord, decode, encode
from schemas.times import iso_ms
from streams.activations import activation
from streams.alarms import LISTING_PARKED, SOURCE, STANDSTILLS, STRATEGY_FAILED
from streams.class_programs import class_activation, with_code
from streams.graph_programs import graph_activation, program_in
from streams.merged_fold import listings_of
from streams.operators.desk.consensus import ALONE
from streams.programs import NotRunnable, SeveralListings

RESERVED: Final = ("bars", "desk")


class BadInstance(Refused):
    """A strategy that can't be added or removed so; the message says why."""


class Wanted(NamedTuple):
    """An instance as it is to run, and how `account` trades it, if one does."""

    activation: OperatorActivation
    account: str = ""
    share: Share | None = None
    role: str = ALONE


class Running(NamedTuple):
    """An instance that runs."""

    activation: OperatorActivation
    traded: tuple[StrategyConfig, ...]
    failed: tuple[Alert, ...] = ()
    """About listings on which it says nothing: it has raised, can't be folded on, or doesn't run there."""
    by_former: frozenset[str] = frozenset()
    """The `alert_id` of those that only a former worker said: the present one does once the listing moves, if it still
    is so."""
    awaited: tuple[str, ...] = ()
    """Those of its listings that the log doesn't have."""

    def as_json(self) -> dict[str, Any]:
        """What `strategies list --json` says of it."""
        one = self.activation
        return {
            "instance": one.instance,
            "operator": one.operator,
            "version": one.version,
            "kind": str(one.program_kind),
            "parameters": json.loads(one.parameters or "{}"),
            "listings": list(one.listings),
            "since_ref_no": one.ref_no,
            "program_sha256": one.program_sha256,
            "accounts": [
                {
                    "account": c.account,
                    "sizing": str(c.sizing),
                    "size": c.size,
                    "max_lots": c.max_lots,
                    "role": c.role,
                    "weight": c.weight,
                }
                for c in self.traded
            ],
            "waits_for": list(self.awaited),
            "failed": [
                {
                    "listing": _listing_of(alert),
                    "time": iso_ms(alert.time_us // 1000),
                    "message": alert.message,
                    "by_former_worker": alert.alert_id in self.by_former,
                }
                for alert in self.failed
            ],
        }


def activation_of(
    chosen: Chosen, instance: str = "", listings: Sequence[str] = (), warm_from_us: int = 0
) -> OperatorActivation:
    """An activation of a chosen strategy with blank chain fields: its graph, its class's source, or the built-in one.

    `listings` empty: all that there are. Earlier blocks are folded from `warm_from_us` on, 0 = from the first.
    """
    name = instance or chosen.instance
    if chosen.built_in is not None:
        made = activation(name, chosen.built_in, chosen.parameters_text)
    elif chosen.graph is not None:
        made = graph_activation(name, chosen.graph, parameters=chosen.parameters)
    else:
        assert chosen.class_program is not None
        made = class_activation(name, chosen.class_program, chosen.source)
    return dataclasses.replace(made, listings=tuple(listings), warm_from_us=warm_from_us)


def add(bootstrap: str, keys: KeyRing, clock: Clock, wanted: Wanted) -> Running:
    """Has the instance run, and traded; as it is on the log then. Raises BadInstance, BadAccount."""
    check_program(wanted.activation)

    def missing(found: list[ReferenceRecord]) -> list[ReferenceRecord]:
        return to_add(found, wanted._replace(activation=placed(wanted.activation, _known(found))))

    records = append_reference(bootstrap, keys, clock, missing)
    return next(r for r in running(records) if r.activation.instance == wanted.activation.instance)


def remove(bootstrap: str, keys: KeyRing, clock: Clock, instance: str) -> OperatorActivation:
    """Ends the instance; what it has open keeps its plan. The record that ended it. Raises BadInstance."""
    asked: list[bool] = []

    def wanted(records: list[ReferenceRecord]) -> list[ReferenceRecord]:
        found = to_remove(records, instance)
        if not found and not asked:
            names = ", ".join(r.activation.instance for r in running(records)) or "none"
            raise BadInstance(f"no instance {instance!r} runs: there are {names}")
        asked.append(True)
        return found

    records = append_reference(bootstrap, keys, clock, wanted)
    return [r for r in records if isinstance(r, OperatorActivation) and r.instance == instance][-1]


def running(records: Sequence[ReferenceRecord]) -> list[Running]:
    """The instances that run by all records of `reference`, without bars and desks, in the order of their numbers."""
    last = {r.instance: r for r in records if isinstance(r, OperatorActivation) and r.operator not in RESERVED}
    shares = {(r.account, r.instance): r for r in records if isinstance(r, StrategyConfig)}
    known = _known(records)
    return [
        Running(
            one,
            tuple(c for c in shares.values() if c.instance == one.instance and c.active),
            awaited=tuple(name for name in one.listings if name not in known),
        )
        for one in sorted(last.values(), key=lambda r: r.ref_no)
        if one.active
    ]


def with_failures(bootstrap: str, found: Sequence[Running], worker_since_ms: int = 0) -> list[Running]:
    """The instances with what `alerts` has of each: one that was added again has begun anew. Raises Unreachable.

    `worker_since_ms`: when the worker that runs was started.
    """
    alerts: dict[str, Alert] = {}
    former: set[str] = set()
    for batch in read_range(bootstrap, "alerts", partition_of("alerts", SOURCE)):
        for message in batch:
            try:
                record = decode(message.value() or b"")
            except UnreadableRecord:
                continue
            if not isinstance(record, Alert) or record.code not in STANDSTILLS:
                continue
            alerts[record.alert_id] = record
            former.discard(record.alert_id)
            if record.code != STRATEGY_FAILED and message.timestamp()[1] < worker_since_ms:
                former.add(record.alert_id)
    by_former = frozenset(former)
    return [
        one._replace(failed=tuple(a for a in alerts.values() if _concerns(a, one.activation)), by_former=by_former)
        for one in found
    ]


def _known(records: Sequence[ReferenceRecord]) -> list[str]:
    """The listings that are on the log: each has a specification before its first tick."""
    return sorted({r.listing for r in records if isinstance(r, ListingSpec)})


def _concerns(alert: Alert, one: OperatorActivation) -> bool:
    if alert.code == LISTING_PARKED:
        return not one.listings or alert.subject in one.listings
    return alert.subject.partition("/")[0] == operator_id(one.instance, one.ref_no)


def _listing_of(alert: Alert) -> str:
    return alert.subject if alert.code == LISTING_PARKED else alert.subject.partition("/")[2]


def check_program(wanted: OperatorActivation) -> None:
    """Raises BadInstance for a name that can't be one, or a program that the worker can't run."""
    try:
        operator_id(wanted.instance, 0)
    except InvalidName as error:
        raise BadInstance(str(error)) from error
    if wanted.instance in RESERVED:
        raise BadInstance(f"the name {wanted.instance} is taken: give another by --instance")
    reason = _alone(wanted) if wanted.program_kind is ProgramKind.CLASS else _here(wanted)
    if reason:
        raise BadInstance(
            f"{wanted.operator} can't run on the log: {reason}; tickledger backtest runs it over files or the log"
        )


def placed(wanted: OperatorActivation, known: Sequence[str]) -> OperatorActivation:
    """The activation; of a program that reads several listings on those that it names, or else on the one of `known`
    that it can run on. Raises BadInstance if that isn't one, or if a listing isn't known: it would wait for ever. While
    none of a feed is known, what reads one listing waits for those of it that it names."""
    program = program_in(wanted) if wanted.program_kind is ProgramKind.GRAPH else None
    if program is None or not program.listings:
        for listing in wanted.listings:
            feed = listing.partition("/")[0]
            own = [name for name in known if name.partition("/")[0] == feed]
            if own and listing not in own:
                raise BadInstance(
                    f"{wanted.instance} would wait for {listing} for ever: of {feed} the log has "
                    f"{', '.join(own)}: name one of them by --symbol, or record or import {listing} first"
                )
        return wanted
    for listing in wanted.listings:
        if reason := _lacking(program, listing, known):
            raise BadInstance(reason)
    if wanted.listings:
        return wanted
    found = [name for name in known if not _lacking(program, name, known)]
    if len(found) == 1:
        return dataclasses.replace(wanted, listings=tuple(found))
    reads = f"{wanted.operator} reads {', '.join(program.listings)} beside the listing that it runs on"
    if found:
        raise BadInstance(
            f"{reads}, which may be {' or '.join(found)}: say which, tickledger strategies add {wanted.operator} "
            f"--symbol {found[0]}"
        )
    raise BadInstance(f"{reads}, and there is {_shown(known)}")


def _lacking(program: StrategyProgram, listing: str, known: Sequence[str]) -> str:
    """Why the program, which reads several listings, can't run on this one; empty if it can."""
    try:
        missing = [name for name in listings_of(program, listing) if name not in known]
    except NotRunnable as error:
        return str(error)
    return f"{program.name} on {listing} reads {', '.join(missing)}, and there is {_shown(known)}" if missing else ""


def _shown(known: Sequence[str]) -> str:
    return f"{', '.join(known) or 'no listing yet'}: record or import what is missing first"


def _here(wanted: OperatorActivation) -> str:
    """Why the program can't run; empty if it can."""
    try:
        with_code(wanted)
    except SeveralListings:
        return ""
    except NotRunnable as error:
        return str(error)
    return ""


def _alone(wanted: OperatorActivation) -> str:
    """The same of a class, whose source is all that a worker has of it: not the files beside it."""
    command = [sys.executable, "-P", "-m", "streams.class_programs"]
    root = str(Path(streams.__file__).resolve().parents[1])
    ran = subprocess.run(
        command, input=encode(wanted), capture_output=True, env={**os.environ, "PYTHONPATH": root}, check=False
    )
    if ran.returncode == 0:
        return ""
    lines = (ran.stdout or ran.stderr).decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it ended without a word")


def to_add(records: Sequence[ReferenceRecord], wanted: Wanted) -> list[ReferenceRecord]:
    """What has to be written so that the instance runs and is traded. Raises BadInstance, BadAccount."""
    one = wanted.activation
    known = next((r.activation for r in running(records) if r.activation.instance == one.instance), None)
    if known is not None and known.operator != one.operator:
        raise BadInstance(
            f"the instance {one.instance} runs {known.operator}: name this one otherwise by --instance, or first "
            f"tickledger strategies remove {one.instance}"
        )
    same = known is not None and _blank(known) == _blank(one)
    found: list[ReferenceRecord] = [] if same else [one]
    if wanted.account and wanted.share is not None:
        found += _to_trade(records, wanted, wanted.share)
    check_finite(found)
    return found


def to_remove(records: Sequence[ReferenceRecord], instance: str) -> list[ReferenceRecord]:
    """What ends the instance and its trading; nothing if it doesn't run. Raises BadInstance."""
    if instance in RESERVED:
        raise BadInstance(f"{instance} is no strategy: everything else rests on it")
    for one in running(records):
        if one.activation.instance == instance:
            ended = [dataclasses.replace(config, **UNWRITTEN, active=False) for config in one.traded]
            return [*ended, dataclasses.replace(one.activation, **UNWRITTEN, active=False)]
    return []


def _to_trade(records: Sequence[ReferenceRecord], wanted: Wanted, share: Share) -> list[ReferenceRecord]:
    config = newest(records, AccountConfig, wanted.account)
    if config is None:
        names = ", ".join(sorted({r.account for r in records if isinstance(r, AccountConfig)})) or "none"
        raise BadAccount(f"there is no account {wanted.account!r} on reference: there are {names}")
    others = [name for name in wanted.activation.listings if name.partition("/")[0] != config.feed]
    if others:
        raise BadAccount(
            f"account {wanted.account} trades on the quotes of {config.feed}, and {others[0]} is another feed's"
        )  # fmt: skip
    limits = newest(records, RiskLimits, wanted.account)
    check_share(share, limits)
    check_reach(limits, specs_of(records, config.feed, wanted.activation.listings), [share])
    strategy = strategy_config(wanted.account, share, wanted.role)
    known = newest(records, StrategyConfig, wanted.account, share.instance)
    same = known is not None and dataclasses.replace(known, **UNWRITTEN) == strategy
    return [] if same else [strategy]


def _blank(one: OperatorActivation) -> OperatorActivation:
    return dataclasses.replace(one, **UNWRITTEN)
