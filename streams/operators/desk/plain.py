"""A desk's state as bytes: JSON in the order in which the state has things, since sums of floats depend on it; records
in their own encoding, decimals as text."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Union, cast

from schemas.registry import decode, encode, schemas
from streams.operators.base import BadState
from streams.operators.desk.state import DeskState

_FORM = "desk"


def dump_state(state: DeskState, version: int) -> bytes:
    """The state, version first; the same history gives the same bytes, and the state that they give goes on alike."""
    body = json.dumps(_plain(state), separators=(",", ":"), ensure_ascii=False)
    return f"{_FORM}\x00{version}\x00{body}".encode()


def load_state(data: bytes, version: int) -> DeskState:
    """The state in `data`. Raises BadState."""
    head = f"{_FORM}\x00{version}\x00".encode()
    if not data.startswith(head):
        raise BadState(f"{len(data)} bytes starting {data[:16]!r} are not a state of {_FORM} version {version}")
    try:
        state = _reader(DeskState)(json.loads(data[len(head) :]))
    except (ValueError, TypeError, KeyError) as error:
        raise BadState(f"the state of {_FORM} version {version} can't be read: {error}") from error
    assert isinstance(state, DeskState)
    return state


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        # 10.50 and 10.5 are the same money.
        return str(value.normalize())
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value).__name__ in schemas():
        return encode(value).hex()
    return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.compare}


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of this type of its plain form."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        some = [kind for kind in inner if kind is not type(None)]
        one = _reader(some[0])
        return lambda value: None if value is None else one(value)
    if origin is list:
        item = _reader(inner[0])
        return lambda value: [item(entry) for entry in value]
    if origin is dict:
        key, item = inner[0], _reader(inner[1])
        return lambda value: {key(k): item(v) for k, v in value.items()}
    if hint is Decimal or hint in (str, int, float, bool):
        return cast(Callable[[Any], Any], hint)
    if issubclass(hint, Enum):
        return cast(Callable[[Any], Any], hint)
    if hint.__name__ in schemas():
        return lambda value: decode(bytes.fromhex(value))
    names = typing.get_type_hints(hint)
    if issubclass(hint, tuple):
        fields = [_reader(kind) for kind in names.values()]
        return lambda value: hint(*(one(entry) for one, entry in zip(fields, value, strict=True)))
    readers = {f.name: _reader(names[f.name]) for f in dataclasses.fields(hint) if f.compare}
    # A field that an earlier release didn't keep has its default.
    return lambda value: hint(**{name: one(value[name]) for name, one in readers.items() if name in value})
