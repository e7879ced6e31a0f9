"""A strategy's parameters: a frozen dataclass with bounds, and its one JSON form on `reference`."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, TypeVar

P = TypeVar("P")


class BadParameters(ValueError):
    """Parameters that a strategy can't run with; the message names the key, the value and what is allowed."""


def bounded(default: Any, low: float, high: float) -> Any:
    """A field of `default` that must lie in [low, high]."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


def check(parameters: Any) -> None:
    """Raises BadParameters for a value of another type than its default's, not finite, or out of its bounds."""
    for field in dataclasses.fields(parameters):
        value: Any = getattr(parameters, field.name)
        kind: type[Any] = type(field.default)
        if type(value) is not kind:
            raise BadParameters(f"{field.name} = {value!r} is no {kind.__name__}")
        low, high = field.metadata["low"], field.metadata["high"]
        if not (math.isfinite(value) and low <= value <= high):
            raise BadParameters(f"{field.name} = {value!r} is not between {low} and {high}")


def parse(cls: type[P], text: str) -> P:
    """`cls` from a JSON object; keys left out keep their defaults, a whole number serves as float.

    Raises BadParameters.
    """
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise BadParameters(f"the parameters {text!r} are not JSON: {error}") from error
    if not isinstance(given, dict):
        raise BadParameters(f"the parameters {text!r} are not a JSON object")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(given.keys() - fields.keys())
    if unknown:
        raise BadParameters(f"unknown parameter {unknown[0]!r}: there are {', '.join(sorted(fields))}")
    for name, value in given.items():
        if type(value) is int and type(fields[name].default) is float:
            given[name] = float(value)
    return cls(**given)


def canonical(parameters: Any) -> str:
    """The JSON form: all keys, sorted, numbers in shortest round-trip form."""
    return json.dumps(dataclasses.asdict(parameters), sort_keys=True, separators=(",", ":"))
