"""The answers as typed models, made from the columns that `query` documents."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from projections.columns import COLUMNS

TYPES: Final[dict[str, Any]] = {
    "text": str,
    "int": int,
    "float": float,
    "bool": bool,
    "time": str,
    "json": Any,
    "money": str,
}

_IN_TIME: Final = "ascending by time; behind what there was when a cursor's first page was asked for, what came since"
_ORDERS: Final = {"ticks": "ascending by n", "reference": "ascending by ref_no"}
_AGAIN: Final = {
    "alerts": "one that turns out to have been raised before is given again",
    "decisions": "a denied one may come before its code and reason are there, and again with its checks",
    "orders": "with the state that it has by then: ask anew for states",
    "positions": "and again whenever it has changed",
}
"""Of rows that change: what a cursor gives of them."""


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


def _row(what: str) -> type[BaseModel]:
    fields: dict[str, Any] = {
        column.name: (TYPES[column.kind] | None, Field(default=None, description=column.doc))
        for column in COLUMNS[what]
    }
    return create_model(f"{what.capitalize()}Row", __base__=Answer, **fields)


def _page(what: str, row: type[BaseModel]) -> type[BaseModel]:
    return create_model(
        f"{what.capitalize()}Page",
        __base__=Answer,
        items=(list[row], Field(description=f"rows, {_ORDERS.get(what, _IN_TIME)}")),  # type: ignore[valid-type]
        next=(
            str,
            Field(
                description="give it as cursor, with the same question, for what follows, also later: each row once, "
                f"{_AGAIN.get(what, 'whatever its time is')}; no items: there is nothing more yet"
            ),
        ),
    )


PAGES: Final[dict[str, type[BaseModel]]] = {what: _page(what, _row(what)) for what in COLUMNS}
"""The model of a page of each answer."""


class Live(Answer):
    """The process answers."""

    status: str = Field(description="live")


class ServiceState(Answer):
    """A service of the home."""

    state: str = Field(description="ready, starting, stopping, stopped, failed, refused or external")
    pid: int | None = Field(default=None, description="its process")
    address: str | None = Field(default=None, description="where it listens")
    reason: str | None = Field(default=None, description="why it failed, can't run, or what is wrong with it")


class Ready(Answer):
    """Whether everything that the home's settings ask for can be used."""

    ready: bool = Field(description="all services are, and the database answers")
    services: dict[str, ServiceState] = Field(description="by name")
    database: str = Field(description="empty, or why it doesn't answer")


class MarketState(Answer):
    """The market: a simulated one, or a real one, also of an account on paper."""

    simulated: bool = Field(description="false: a real market, which nobody plays")
    now: str | None = Field(default=None, description="market time, ISO 8601 UTC")
    played_from: str | None = Field(default=None, description="start of what is played")
    played_to: str | None = Field(default=None, description="its end")
    speed: float | None = Field(default=None, description="times real time; 0 = as fast as it can")
    standing: bool | None = Field(default=None, description="paused")
    ended: bool | None = Field(default=None, description="all is played")


class Problem(Answer):
    """Why a request was not answered (RFC 9457, application/problem+json)."""

    type: str = Field(description="about:blank: the status says what kind it is")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what is wrong and the way out, in words")
