"""Orders, fills, decisions, positions, equity and the rest of an account: what their views are asked for."""

from __future__ import annotations

from typing import Final

from projections.columns import ACCOUNT_ANSWERS, COLUMNS, Column

_AS: Final = {"money": "trim_scale({})::text", "json": "{}::text"}


def _select(what: str) -> str:
    columns = ", ".join(f"{_AS.get(c.kind, '{}').format(c.name)} as {c.name}" for c in COLUMNS[what])
    return f"select {columns} from tickledger.{what}"


def has_listing(what: str) -> bool:
    """Whether its rows are of listings."""
    return any(column.name == "listing" for column in COLUMNS[what])


def _of_listing(what: str) -> str:
    return "listing = any({names})" if has_listing(what) else "true"


def _order(columns: tuple[Column, ...]) -> tuple[str, ...]:
    return ("time", "account", *(("topic",) if any(c.name == "code" for c in columns) else ()), "seq")


ACCOUNT_SELECTS: Final = {
    what: (_select(what), "time", _order(COLUMNS[what]), _of_listing(what)) for what in ACCOUNT_ANSWERS
}
"""Of each answer: the query, its time, its order, and how rows of a listing are chosen."""
