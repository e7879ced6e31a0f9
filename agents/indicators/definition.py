"""What an indicator is: a function of expressions with a formula, MT5's name for it, and where it differs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, Generic, ParamSpec, TypeVar

from agents.expressions import Bars, Condition, Number, StrategyError, as_condition, as_number, said

P = ParamSpec("P")
R = TypeVar("R")


class Indicator(Generic[P, R]):
    """A function whose arguments are checked, with what the documentation says of it.

    Arguments are told by their annotations: `Bars`, `Number` and `Operand` (an expression, or a plain number for
    all bars), `Condition`, `int` and `float` (plain, finite), `bool`, `str`. Raises StrategyError, which
    names function and argument.
    """

    def __init__(self, function: Callable[P, R], formula: str, mt5: str, differs: str, source: str) -> None:
        self.function: Final = function
        self.name: Final = function.__name__
        self.formula: Final = formula
        self.mt5: Final = mt5
        self.differs: Final = differs
        self.source: Final = source
        self.__doc__ = function.__doc__

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters with their defaults."""
        return inspect.signature(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise StrategyError(f"{self.name}{self.shown}: {error}") from None
        for name, value in bound.arguments.items():
            bound.arguments[name] = self._checked(name, value)
        return self.function(*bound.args, **bound.kwargs)

    @property
    def said(self) -> str:
        """The first line of its docstring."""
        return (self.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def shown(self) -> str:
        """Its parameters as they are written: `(x, period=14)`."""
        parts = []
        for name, parameter in self.signature.parameters.items():
            default = parameter.default
            parts.append(name if default is inspect.Parameter.empty else f"{name}={default!r}")
        return f"({', '.join(parts)})"

    def _checked(self, name: str, value: Any) -> Any:
        place, kind = f"{self.name}: {name}", str(self.signature.parameters[name].annotation)
        if kind in (Number.__name__, "Operand"):
            return as_number(value, place)
        if kind == Condition.__name__:
            return as_condition(value, place)
        if kind == Bars.__name__:
            if not isinstance(value, Bars):
                raise StrategyError(f"{place} takes the bars themselves (b), not {said(value)}")
            return value
        if kind == "int":
            right = type(value) is int
        elif kind == "float":
            right = type(value) in (int, float) and abs(value) < float("inf")
        else:
            right = type(value).__name__ == kind
        if not right:
            noun = {"int": "a whole number", "float": "a finite number", "bool": "True or False", "str": "a text"}[kind]
            raise StrategyError(f"{place} takes {noun}, not {said(value)}")
        return value


def indicator(
    formula: str, *, mt5: str = "", differs: str = "", source: str = ""
) -> Callable[[Callable[P, R]], Indicator[P, R]]:
    """Makes an Indicator of a function; `differs` says where MT5 or TA-Lib give something else."""

    def wrap(function: Callable[P, R]) -> Indicator[P, R]:
        return Indicator(function, formula, mt5, differs, source)

    return wrap
