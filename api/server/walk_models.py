"""The audit walk as typed models: parts have the columns of `query`, records of reference the fields of their class.

A field that a part has nothing in is left out of it.
"""

from __future__ import annotations

import dataclasses
from enum import Enum
from types import GenericAlias
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, Field, create_model

from api.server.models import TYPES, Answer
from projections.audit import TICK_COLUMNS
from projections.columns import COLUMNS, Column
from schemas.events import ListingSpec, OperatorActivation

_PLACE: Final = (
    Column("topic", "text", "topic of the record"),
    Column("partition", "int", "its partition"),
    Column("offset", "int", "its offset"),
)


class Check(Answer):
    """A risk check of a candidate entry."""

    check: str = Field(description="its name")
    limit: float | str | None = Field(default=None, description="what is allowed, in `unit`")
    measured: float | str | None = Field(default=None, description="what was found, in `unit`")
    unit: str | None = Field(default=None, description="of both")
    verdict: str = Field(description="what follows from it")


def _part(name: str, columns: tuple[Column, ...], **others: Any) -> type[BaseModel]:
    fields: dict[str, Any] = {
        column.name: (TYPES[column.kind] | None, Field(default=None, description=column.doc)) for column in columns
    }
    return create_model(name, __base__=Answer, **{**fields, **others})


def _of(what: str, *names: str) -> tuple[Column, ...]:
    """Some columns of an answer, and the place of the record."""
    return (*(column for column in COLUMNS[what] if column.name in names), *_PLACE)


def _record(kind: type) -> type[BaseModel]:
    """A record of reference, all of its fields as the database has them, and its place."""
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {
        field.name: (
            _told(hints[field.name]) | None,
            Field(default=None, description=f"{kind.__name__}.{field.name} (units: docs, records)"),
        )
        for field in dataclasses.fields(kind)
    }
    return _part(f"{kind.__name__}Part", _PLACE, **fields)


def _told(hint: Any) -> Any:
    """What a field is in JSON: bytes in hexadecimal, a number that is not finite as text."""
    if hint is bytes or (isinstance(hint, type) and issubclass(hint, Enum) and issubclass(hint, str)):
        return str
    if isinstance(hint, type) and issubclass(hint, Enum):
        return int
    if hint is float:
        return float | str
    return list[str] if hint == tuple[str, ...] else hint


FillPart = _part("FillPart", (*COLUMNS["fills"], *_PLACE))
DealPart = _part(
    "DealPart",
    _of(
        "executions",
        *("time", "kind", "ticket", "deal", "position", "side", "entry", "reason", "volume", "remaining", "price"),
        *("commission", "swap", "profit", "venue_time"),
    ),
)
OrderPart = _part(
    "OrderPart", (*(c for c in COLUMNS["orders"] if c.name not in ("account", "changed", "cause")), *_PLACE)
)
ChangePart = _part(
    "ChangePart",
    _of("orders", "time", "state", "filled", "cause"),
    before=(str | None, Field(default=None, description="state before")),
)
ReportPart = _part(
    "ReportPart",
    _of(
        "executions",
        *("time", "kind", "request", "ticket", "deal", "position", "volume", "remaining", "price", "retcode"),
        "reason",
    ),
)
DecisionPart = _part(
    "DecisionPart",
    _of("decisions", "time", "instance", "side", "verdict", "asked", "allowed", "equity", "margin"),
    checks=(list[Check] | None, Field(default=None, description="each check, in order")),
)
SignalPart = _part(
    "SignalPart",
    (*COLUMNS["signals"], *_PLACE),
    mac=(str | None, Field(default=None, description="its MAC, hexadecimal")),
)
ActivationPart = _record(OperatorActivation)
SpecificationPart = _record(ListingSpec)
TickPart = _part("TickPart", TICK_COLUMNS)


def _many(part: type[BaseModel]) -> Any:
    return GenericAlias(list, part)


def _walk() -> type[BaseModel]:
    parts: dict[str, tuple[Any, str]] = {
        "fill": (FillPart, "the fill"),
        "deal": (DealPart, "its deal at the venue"),
        "order": (OrderPart, "its order, as submitted"),
        "changes": (_many(ChangePart), "each change of the order's state"),
        "reports": (_many(ReportPart), "all that the venue said of the order"),
        "decision": (DecisionPart, "the risk decision; an exit has none"),
        "signal": (SignalPart, "the signal"),
        "activation": (ActivationPart, "which program decided, a record of reference"),
        "specification": (SpecificationPart, "what its listing was, a record of reference"),
    }
    fields: dict[str, Any] = {
        name: (kind | None, Field(default=None, description=f"{doc}; null = there is none"))
        for name, (kind, doc) in parts.items()
    }
    return create_model(
        "Walk",
        __base__=Answer,
        __doc__="The walk from a fill or a signal to what caused it; parts that there are none of are null.",
        **fields,
        ticks=(_many(TickPart), Field(description="the last 200 ticks, with their positions")),
        tick_count=(int, Field(description="how many ticks it rests on")),
    )


Walk: Final = _walk()
"""The model of a walk."""
