"""The desk as a program: what an activation on `reference` knows it by, and how one is written for an account."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from schemas.events import OperatorActivation, ReferenceRecord
from streams.activations import activation
from streams.operators.base import Operator
from streams.operators.desk import Desk
from streams.programs import NotRunnable, Program, sha256_of

DESK: Final = Desk.name


def _no_listing(_: str) -> Operator:
    raise NotRunnable("a desk folds the journal of an account, not the ticks of a listing")


_PARTS: Final = (
    "account_view", "accounting", "clock", "consensus", "day_clock", "desk", "entries", "exits", "journal", "kernel",
    "limits", "orders", "positions", "reference", "state", "turn", "volatility",
)  # fmt: skip
_RISK: Final = (
    "activity", "checks", "correlation", "exposure", "losses", "margins", "order_size", "quotes", "run", "views",
)  # fmt: skip
DESK_PROGRAM: Final = Program(
    DESK,
    Desk.version,
    _no_listing,
    "{}",
    (
        *(f"streams.operators.desk.{name}" for name in _PARTS),
        "streams.operators.marks",
        *(f"agents.risk.{name}" for name in _RISK),
        "agents.money",
        "agents.sizing",
        "agents.volumes",
    ),
)
"""Its sources are all that a decision goes through; a change of one needs a new activation."""


def desk_activation(account: str) -> OperatorActivation:
    """An activation of this release's desk for an account, with blank chain fields."""
    return dataclasses.replace(activation(DESK, DESK_PROGRAM, "{}"), listings=(account,))


def of_desk(record: object, account: str) -> bool:
    """Whether the record activates a desk for the account."""
    return (
        isinstance(record, OperatorActivation)
        and record.operator == DESK
        and record.active
        and account in record.listings
    )


def check_desk(activation: OperatorActivation) -> None:
    """Raises NotRunnable if this release's desk isn't the one that the activation names."""
    own = sha256_of(DESK_PROGRAM)
    if (activation.version, activation.program_sha256) != (DESK_PROGRAM.version, own):
        raise NotRunnable(
            f"desk {activation.version} of the log is {activation.program_sha256[:12]}…, this release's is "
            f"{DESK_PROGRAM.version}, {own[:12]}…; start the release that it is of once: it leaves a snapshot, from "
            "which this one goes on"
        )


def desk_missing(records: Iterable[ReferenceRecord], account: str) -> list[OperatorActivation]:
    """What must be written so that this release's desk decides for the account, given all records so far."""
    newest = [r for r in records if isinstance(r, OperatorActivation) and of_desk(r, account)][-1:]
    wanted = desk_activation(account)
    known = newest and (newest[0].version, newest[0].program_sha256) == (wanted.version, wanted.program_sha256)
    return [] if known else [wanted]
