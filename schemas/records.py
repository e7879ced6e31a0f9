"""How records are made that a desk makes by the hundred: frozen dataclasses, filled in half the time."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_made(kind: type[T]) -> type[T]:
    """`kind`, a frozen dataclass with slots and keywords only, with an `__init__` that does the same faster.

    A frozen dataclass sets each of its fields by a call that goes round its own ban; of 30 fields that takes longer
    than all else. Here a new record is one of a twin that isn't frozen until its fields are set.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass, as told
    space: dict[str, Any] = {
        "__become": object.__dict__["__class__"].__set__,
        "__twin": type(kind.__name__, (), {"__slots__": names}),
        "__kind": kind,
    }
    lines = ["__become(self, __twin)", *(f"self.{name} = {name}" for name in names), "self.__class__ = __kind"]
    exec(f"def __init__(self, *, {', '.join(names)}):\n    " + "\n    ".join(lines), space)
    made, told = space["__init__"], kind.__init__
    made.__kwdefaults__, made.__annotations__ = told.__kwdefaults__, told.__annotations__
    made.__qualname__ = told.__qualname__
    kind.__init__ = made  # type: ignore[method-assign]  # of the same signature
    return kind
