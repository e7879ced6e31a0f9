"""What MetaTrader5's functions take: types, limits and the texts of `last_error` for what they don't.

Found in package 5.0.6231 (its argument parsing): names have at most 29 characters, dates are whole seconds in 32 bits,
prices and volumes of a request are floats and never ints, integers are Python's own and not NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

LONGEST_NAME: Final = 29
LONGEST_PATH: Final = 258
LONGEST_GROUP: Final = 1998
_INT: Final = (-(2**31), 2**31 - 1)
_UNSIGNED: Final = (0, 2**64 - 1)
_SIGNED: Final = (-(2**63), 2**63 - 1)
_ORDINALS: Final = ("1st", "2nd", "3rd")

Rule = Callable[[Any], Any]
"""The value as it goes to the terminal; raises BadArgument."""
Values = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments as they go to the terminal."""


class BadArgument(Exception):
    """An argument that the package doesn't take; the text is that of `last_error`, its code is -2."""

    def __init__(self, text: str = "Invalid arguments") -> None:
        super().__init__(text)
        self.text = text


def integer(value: Any) -> int:
    """A C int."""
    return _whole(value, _INT)


def unsigned(value: Any) -> int:
    """A ticket, a login, a magic."""
    return _whole(value, _UNSIGNED)


def signed(value: Any) -> int:
    """A time that an order expires at."""
    return _whole(value, _SIGNED)


def number(value: Any) -> float:
    """A float or an int, where no request is."""
    if not isinstance(value, float | int):
        raise BadArgument
    try:
        return float(value)
    except OverflowError:
        raise BadArgument from None


def real(value: Any) -> float:
    """A price or a volume of a request: never an int."""
    if not isinstance(value, float):
        raise BadArgument
    return float(value)


def date(value: Any) -> int:
    """Whole seconds, cut. A datetime without a zone is read in the machine's own."""
    try:
        if isinstance(value, datetime):
            value = value.timestamp()
        if isinstance(value, float):
            value = int(value)
    except (ValueError, OverflowError, OSError):
        raise BadArgument from None
    return integer(value)


def text_up_to(longest: int) -> Rule:
    """A str of at most so many characters."""

    def rule(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise BadArgument
        return value

    return rule


def flag(value: Any) -> bool:
    """True or False."""
    return bool(_whole(value, _INT))


name = text_up_to(LONGEST_NAME)
group = text_up_to(LONGEST_GROUP)
path = text_up_to(LONGEST_PATH)
secret = text_up_to(LONGEST_PATH)

REQUEST: Final[Mapping[str, tuple[Rule, Any]]] = {
    "action": (unsigned, 0),
    "magic": (unsigned, 0),
    "order": (unsigned, 0),
    "symbol": (name, ""),
    "volume": (real, 0.0),
    "price": (real, 0.0),
    "stoplimit": (real, 0.0),
    "sl": (real, 0.0),
    "tp": (real, 0.0),
    "deviation": (unsigned, 0),
    "type": (unsigned, 0),
    "type_filling": (unsigned, 0),
    "type_time": (unsigned, 0),
    "expiration": (signed, 0),
    "comment": (name, ""),
    "position": (unsigned, 0),
    "position_by": (unsigned, 0),
}
"""Fields of a request in the order of TradeRequest: their rules, and what they are when they are missing."""


def positional(*rules: Rule, optional: int = 0) -> Callable[[tuple[Any, ...], Mapping[str, Any]], Values]:
    """Exactly these arguments, without names; the last `optional` may be missing."""

    def parse(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
        if not len(rules) - optional <= len(args) <= len(rules):
            raise BadArgument
        return tuple(rule(value) for rule, value in zip(rules, args, strict=False)), {}

    return parse


def named_only(args: tuple[Any, ...], kwargs: Mapping[str, Any], rules: Mapping[str, Rule]) -> Values:
    """At most one of the names, the first that is given; others are ignored."""
    if args:
        raise BadArgument("Unnamed arguments not allowed")
    for key, rule in rules.items():
        if key in kwargs:
            return (), {key: named(key, rule, kwargs[key])}
    return (), {}


def open_things(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """positions_get, orders_get: a ticket goes before a symbol, a symbol before a group."""
    return named_only(args, kwargs, {"ticket": unsigned, "symbol": name, "group": group})


def past_things(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """history_orders_get, history_deals_get: two dates, or a ticket, or a position."""
    if not args:
        values = named_only(args, kwargs, {"ticket": unsigned, "position": unsigned})
        if not values[1]:
            raise BadArgument
        return values
    if len(args) != 2:
        raise BadArgument("Invalid number of arguments")
    masks = {"group": named("group", group, kwargs["group"])} if "group" in kwargs else {}
    return unnamed((date, date), args), masks


def one_group(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """symbols_get: a group or nothing."""
    if len(args) > 1:
        raise BadArgument("Invalid number of arguments")
    if args:
        return (), {"group": unnamed((group,), args)[0]}
    return named_only(args, kwargs, {"group": group})


def connection(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """initialize: a path, the rest by name."""
    if len(args) > 1:
        raise BadArgument("Invalid number of arguments")
    rules = {"login": unsigned, "password": secret, "server": secret, "timeout": unsigned, "portable": flag}
    return unnamed((path,), args), _given(rules, kwargs)


def credentials(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """login: login, password, server in this order or by name; the login goes to the terminal first."""
    if len(args) > 3:
        raise BadArgument("Invalid number of arguments")
    values = dict(zip(("login", "password", "server"), unnamed((unsigned, secret, secret), args), strict=False))
    values |= _given({"login": unsigned, "password": secret, "server": secret, "timeout": unsigned}, kwargs)
    if "login" not in values:
        raise BadArgument('Invalid "login" argument')
    return (values.pop("login"),), values


def request(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
    """order_check, order_send: a dict, or its items by name; the terminal gets a TradeRequest's values in order.

    What is missing is 0 or "", unknown names are ignored.
    """
    if bool(args) == bool(kwargs) or len(args) > 1:
        raise BadArgument("Invalid number of arguments")
    asked = args[0] if args else kwargs
    if not isinstance(asked, dict):
        raise BadArgument("Invalid 1st unnamed argument")
    values = (named(key, rule, asked[key]) if key in asked else missing for key, (rule, missing) in REQUEST.items())
    return (tuple(values),), {}


def named(key: str, rule: Rule, value: Any) -> Any:
    """The value by its rule; the error names it."""
    try:
        return rule(value)
    except BadArgument:
        raise BadArgument(f'Invalid "{key}" argument') from None


def unnamed(rules: Sequence[Rule], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values by their rules; the error says which one it is."""
    values = []
    for place, (rule, value) in enumerate(zip(rules, args, strict=False)):
        try:
            values.append(rule(value))
        except BadArgument:
            raise BadArgument(f"Invalid {_ORDINALS[place]} unnamed argument") from None
    return tuple(values)


def _given(rules: Mapping[str, Rule], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: named(key, rule, kwargs[key]) for key, rule in rules.items() if key in kwargs}


def _whole(value: Any, within: tuple[int, int]) -> int:
    if not isinstance(value, int) or not within[0] <= value <= within[1]:
        raise BadArgument
    return int(value)
