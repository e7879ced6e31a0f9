"""What a strategy is written in: `b.close` is an expression over bars, and what is done with it makes a bigger one.

Nothing is computed here. Every operation gives a node that names its inputs, so the whole is a graph of nodes whose
values at a bar follow from that bar and those before. Numbers and conditions are told apart: `>` gives a condition,
`&`, `|` and `~` combine conditions, `where` chooses by one.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, NamedTuple, NoReturn

from agents.kernels import elementwise, windows
from agents.kernels.kinds import NodeKind
from schemas.identity import InvalidName, check_symbol, parse_listing
from schemas.timeframes import TIMEFRAMES

COLUMNS: Final = {
    "open": "first bid",
    "high": "highest bid",
    "low": "lowest bid",
    "close": "last bid",
    "ask_close": "last ask",
    "volume": "ticks, which is MT5's tick volume",
    "real_volume": "lots, where the feed has them",
    "spread": "least spread in points, as MT5's bars have it",
    "spread_mean": "mean spread in points",
    "spread_max": "greatest spread in points",
    "time": "opening time on the server's clock, in milliseconds since 1970",
}
"""What a bar has, in the order in which a graph is fed."""

COLUMN_KINDS: Final = {name: NodeKind(name=name, kernel=None) for name in COLUMNS}
CONSTANT: Final = NodeKind(name="constant", kernel=None)


class Source(NamedTuple):
    """Whose bars: `listing` "" is the strategy's own, else a symbol of its feed, or feed/SYMBOL; `bars` a timeframe's
    name, "" the strategy's own."""

    listing: str
    bars: str


OWN: Final = Source("", "")


class StrategyError(ValueError):
    """A strategy asks for what can't be; the message says what to write instead."""


class Node:
    """A place in the graph: a kind with its parameters (a constant: its value) and inputs. Compared by identity.

    `source`: of a column, whose bars it is of.
    """

    __slots__ = ("inputs", "kind", "numbers", "source")

    def __init__(
        self, kind: NodeKind, numbers: tuple[float, ...] = (), inputs: tuple[Node, ...] = (), source: Source = OWN
    ) -> None:
        self.kind = kind
        self.numbers = numbers
        self.inputs = inputs
        self.source = source


class Expression:
    """Number or Condition."""

    __slots__ = ("node",)
    __array_ufunc__ = None  # so that NumPy leaves operators to this class
    __hash__ = object.__hash__
    _noun = "expression"

    def __init__(self, node: Node) -> None:
        self.node = node

    def __bool__(self) -> NoReturn:
        raise StrategyError(
            "an expression has a value at every bar, so Python's if, and, or, not and a < b < c can't decide on it: "
            "use &, | and ~ with brackets around comparisons, and where(condition, a, b)"
        )

    def __iter__(self) -> NoReturn:
        raise StrategyError("an expression can't be gone through: it is computed bar by bar; x.lag(n) looks back")

    def __getitem__(self, key: object) -> NoReturn:
        raise StrategyError(f"[{key!r}] is not how an expression looks back: write x.lag(n), n bars ago")

    def __float__(self) -> NoReturn:
        raise StrategyError("an expression is not a plain number: it has a value at every bar")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"a {self._noun} over bars has no {name!r}: x.lag(n) looks back, tickledger.ta has the rest"
        )


class Number(Expression):
    """A number at every bar, or NaN where there is none."""

    __slots__ = ()
    _noun = "number"

    def lag(self, n: int) -> Number:
        """Its value `n` bars ago, n ≥ 0."""
        if type(n) is not int:
            raise StrategyError(f"lag takes a whole number of bars, not {n!r}")
        if n < 0:
            raise StrategyError(f"lag({n}) would look {-n} bars into the future: n is how many bars ago, 0 or more")
        return self if n == 0 else number(windows.LAG, (n,), self)

    def __add__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.ADD, "+", self, other)

    def __radd__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.ADD, "+", other, self)

    def __sub__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.SUBTRACT, "-", self, other)

    def __rsub__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.SUBTRACT, "-", other, self)

    def __mul__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.MULTIPLY, "*", self, other)

    def __rmul__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.MULTIPLY, "*", other, self)

    def __truediv__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.DIVIDE, "/", self, other)

    def __rtruediv__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.DIVIDE, "/", other, self)

    def __mod__(self, other: Operand) -> Number:
        return _arithmetic(elementwise.REST, "%", self, other)

    def __neg__(self) -> Number:
        return number(elementwise.NEGATE, (), self)

    def __abs__(self) -> Number:
        return number(elementwise.ABSOLUTE, (), self)

    def __lt__(self, other: Operand) -> Condition:
        return _comparison(elementwise.BELOW, "<", self, other)

    def __gt__(self, other: Operand) -> Condition:
        return _comparison(elementwise.BELOW, ">", other, self)

    def __le__(self, other: Operand) -> Condition:
        return _comparison(elementwise.AT_MOST, "<=", self, other)

    def __ge__(self, other: Operand) -> Condition:
        return _comparison(elementwise.AT_MOST, ">=", other, self)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return _comparison(elementwise.EQUAL, "==", self, other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return _comparison(elementwise.UNEQUAL, "!=", self, other)

    def __and__(self, other: object) -> NoReturn:
        raise StrategyError("& combines conditions, and this is a number: put brackets around each comparison")

    __rand__ = __or__ = __ror__ = __and__
    __hash__ = object.__hash__


class Condition(Expression):
    """True or false at every bar; false where a comparison meets NaN."""

    __slots__ = ()
    _noun = "condition"

    def lag(self, n: int) -> Condition:
        """Whether it held `n` bars ago, n ≥ 0; false before there were so many bars."""
        return self if type(n) is int and n == 0 else as_number(self).lag(n) == 1.0

    def __and__(self, other: Condition) -> Condition:
        return condition(elementwise.AND, (), self, as_condition(other, "&"))

    def __or__(self, other: Condition) -> Condition:
        return condition(elementwise.OR, (), self, as_condition(other, "|"))

    def __invert__(self) -> Condition:
        return condition(elementwise.NOT, (), self)

    def __add__(self, other: object) -> NoReturn:
        raise StrategyError("a condition is no number: where(condition, 1, 0) makes one of it")

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __mod__ = __neg__ = __add__
    __lt__ = __gt__ = __le__ = __ge__ = __add__


Operand = Number | float
"""A number at every bar, or one for all bars."""


class Bars:
    """Closed bars: `b` in a strategy's function is those of its own timeframe and listing. Prices are bids."""

    __slots__ = ("_source",)

    def __init__(self, source: Source = OWN) -> None:
        self._source = source

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"bars have no {name!r}: they have {', '.join(COLUMNS)}")

    def other(self, name: str, bars: str = "") -> Bars:
        """Bars of another timeframe, `other("M15")`, or of another listing, `other("GBPUSD")` of the same feed or
        `other("oanda/GBPUSD")`, in these bars' timeframe or `other("GBPUSD", "M15")`.

        What is computed of them goes by their own bars; where it meets what is computed of the strategy's, it has the
        value of their newest bar that was closed at that moment, one that closes at the same instant included. Raises
        StrategyError.
        """
        source = _source(name, bars)
        return Bars(Source(source.listing or self._source.listing, source.bars or self._source.bars))

    @property
    def open(self) -> Number:
        """First bid."""
        return self._column("open")

    @property
    def high(self) -> Number:
        """Highest bid."""
        return self._column("high")

    @property
    def low(self) -> Number:
        """Lowest bid."""
        return self._column("low")

    @property
    def close(self) -> Number:
        """Last bid."""
        return self._column("close")

    @property
    def ask_close(self) -> Number:
        """Last ask."""
        return self._column("ask_close")

    @property
    def volume(self) -> Number:
        """Ticks, which is MT5's tick volume."""
        return self._column("volume")

    @property
    def real_volume(self) -> Number:
        """Lots, where the feed has them."""
        return self._column("real_volume")

    @property
    def spread(self) -> Number:
        """Least spread in points, as MT5's bars have it."""
        return self._column("spread")

    @property
    def spread_mean(self) -> Number:
        """Mean spread in points."""
        return self._column("spread_mean")

    @property
    def spread_max(self) -> Number:
        """Greatest spread in points."""
        return self._column("spread_max")

    @property
    def time(self) -> Number:
        """Opening time on the server's clock, in milliseconds since 1970."""
        return self._column("time")

    def _column(self, name: str) -> Number:
        return Number(Node(COLUMN_KINDS[name], source=self._source))


def number(kind: NodeKind, numbers: tuple[float, ...], *inputs: Expression | float) -> Number:
    """A node that gives a number. Raises StrategyError for a parameter out of its bounds."""
    return Number(_node(kind, numbers, inputs))


def condition(kind: NodeKind, numbers: tuple[float, ...], *inputs: Expression | float) -> Condition:
    """A node that gives a condition. Raises StrategyError for a parameter out of its bounds."""
    return Condition(_node(kind, numbers, inputs))


def as_number(value: object, place: str = "a number") -> Number:
    """`value` as an expression: a Number, a finite plain number, or a Condition as 1 and 0. Raises StrategyError."""
    if isinstance(value, Number):
        return value
    if isinstance(value, Condition):
        return number(elementwise.WHERE, (), value, as_number(1.0), as_number(0.0))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StrategyError(f"{place} must be a number or an expression such as b.close, not {said(value)}")
    if not math.isfinite(value):
        raise StrategyError(f"{place} must be finite, not {value!r}")
    return Number(Node(CONSTANT, (float(value) + 0.0,)))


def as_condition(value: object, place: str) -> Condition:
    """`value` if it is a Condition. Raises StrategyError."""
    if isinstance(value, Condition):
        return value
    hint = ": compare it with something" if isinstance(value, Number) else ""
    raise StrategyError(f"{place} takes a condition such as b.close > b.open, not {said(value)}{hint}")


def said(value: object) -> str:
    """A value in an error's words."""
    return f"a {value._noun} over bars" if isinstance(value, Expression) else repr(value)


def fault(kind: NodeKind, numbers: tuple[float, ...]) -> str | None:
    """What is wrong with a node's parameters, if anything."""
    if len(numbers) != len(kind.parameters):
        return f"{kind.name} takes {len(kind.parameters)} parameters, not {len(numbers)}"
    for parameter, value in zip(kind.parameters, numbers, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{kind.name}: {parameter.name} = {said(value)} is not a plain number"
        if not parameter.low <= value <= parameter.high:
            return f"{kind.name}: {parameter.name} = {value!r} is not between {parameter.low} and {parameter.high}"
        if parameter.whole and value != math.floor(value):
            return f"{kind.name}: {parameter.name} = {value!r} is not a whole number"
    return None


def _node(kind: NodeKind, numbers: tuple[float, ...], inputs: tuple[Expression | float, ...]) -> Node:
    wrong = fault(kind, numbers)
    if wrong:
        raise StrategyError(wrong)
    return Node(kind, tuple(float(value) for value in numbers), tuple(_node_of(one) for one in inputs))


def _node_of(value: Expression | float) -> Node:
    return value.node if isinstance(value, Expression) else as_number(value).node


def _arithmetic(kind: NodeKind, sign: str, left: object, right: object) -> Number:
    return number(kind, (), _plain(left, sign), _plain(right, sign))


def _comparison(kind: NodeKind, sign: str, left: object, right: object) -> Condition:
    return condition(kind, (), _plain(left, sign), _plain(right, sign))


def _plain(value: object, sign: str) -> Number:
    if isinstance(value, Condition):
        raise StrategyError(f"{sign} takes numbers, and one side is a condition: where(condition, 1, 0) makes a number")
    return as_number(value, f"what stands beside {sign}")


def other(name: str, bars: str = "") -> Bars:
    """`Bars.other` of the strategy's own bars."""
    return Bars().other(name, bars)


_LIKE_A_TIMEFRAME: Final = re.compile(r"(M|H|D|W|MN)[0-9]{1,2}")


def _source(name: object, bars: object) -> Source:
    there = [timeframe.name for timeframe in TIMEFRAMES]
    if not isinstance(name, str) or not isinstance(bars, str):
        raise StrategyError(f"other takes a timeframe or a listing by name, not {said(name if bars == '' else bars)}")
    if name in there and not bars:
        return Source("", name)
    wrong = bars if bars and bars not in there else name
    if (bars and bars not in there) or _LIKE_A_TIMEFRAME.fullmatch(name):
        raise StrategyError(f"other: {wrong!r} is no timeframe: there are {', '.join(there)}")
    try:
        return Source(str(parse_listing(name)) if "/" in name else check_symbol(name), bars)
    except InvalidName as error:
        raise StrategyError(f"other({name!r}): {error}") from error


def made_of(value: Any) -> list[Expression]:
    """The expressions in what an indicator returns: one, or a tuple of them."""
    return list(value) if isinstance(value, tuple) else [value]
