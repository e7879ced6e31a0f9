"""The parameters of each answer: those that apply to it, and no others."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, create_model

from api.server.answers import DEFAULT_ROWS, MOST_ROWS
from projections.account_answers import has_listing
from projections.columns import ACCOUNT_ANSWERS, COLUMNS


class Paged(BaseModel):
    """What every answer takes. Anything else is refused."""

    model_config = ConfigDict(extra="forbid")

    from_time: str | None = Field(None, alias="from", description="from this time on, ISO 8601")
    to_time: str | None = Field(None, alias="to", description="up to this time, without it")
    limit: int = Field(DEFAULT_ROWS, ge=1, le=MOST_ROWS, description="rows of a page")
    cursor: str | None = Field(None, description="next of the answer before, to the same question")
    newest: bool = Field(False, description="the last rows instead of the first")


_DESCRIBED: Final = {
    "symbol": "feed/SYMBOL, or SYMBOL while one feed has it",
    "account": "name of an account",
    "timeframe": "of bars: M1, M5, M15, M30, H1, H4 or D1",
}


def _filters(what: str) -> list[str]:
    """By which of `_DESCRIBED` an answer's rows can be chosen."""
    of_account = what in ACCOUNT_ANSWERS
    return [
        *(["symbol"] if has_listing(what) or not of_account else []),
        *(["account"] if of_account else []),
        *(["timeframe"] if what == "bars" else []),
    ]


def _parameters(what: str) -> type[Paged]:
    fields: dict[str, Any] = {name: (str | None, Field(None, description=_DESCRIBED[name])) for name in _filters(what)}
    return create_model(f"{what.capitalize()}Parameters", __base__=Paged, **fields)


PARAMETERS: Final[dict[str, type[Paged]]] = {what: _parameters(what) for what in COLUMNS}
"""The model of what each answer takes."""


def names(what: str) -> list[str]:
    """The parameters of an answer, as a client writes them; filters first."""
    fields = PARAMETERS[what].model_fields
    return [*_filters(what), *(field.alias or name for name, field in fields.items() if name not in _filters(what))]
