"""What a spec file says: a preset or a user's own, checked, and what of it concerns an instrument."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from infra.errors import BadFile
from producers.specs.keys import KEYS, RATE, BadValue, key_of, value_of
from producers.specs.symbols import Instrument, instrument_of

KINDS: Final = ("forex", "forex_jpy", "gold", "silver", "index", "crypto", "other")
_TEXTS: Final = ("base", "title", "note")
_TABLES: Final = ("kinds", "symbols", "interest")
Values = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A spec file, checked."""

    place: str
    """Its path, or the preset's name."""
    base: str
    """Name of the preset that it builds on; "" = none."""
    title: str
    note: str
    sources: tuple[str, ...]
    flat: Values
    kinds: Mapping[str, Values]
    symbols: Mapping[str, Values]
    interest: Mapping[str, float]
    """Yearly interest by currency, percent."""

    def values_for(self, instrument: Instrument, symbol: str) -> Values:
        """What holds for an instrument: what is told of it beats what is told of its kind, and that, of all.

        A table of the broker's own spelling beats another of the same instrument.
        """
        values = self.flat | self.kinds.get(instrument.kind, {})
        for name, told in self.symbols.items():
            if name != symbol and instrument_of(name).name == instrument.name:
                values |= told
        return values | self.symbols.get(symbol, {})


def read_layer(place: str, text: str) -> Layer:
    """A file's text as a layer. Raises BadFile with the place, the key, its value and what it can be."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"{place}: is not TOML: {error}") from error
    texts = {name: _told_text(place, told, name) for name in _TEXTS}
    sources = told.pop("sources", [])
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise BadFile(f"{place}: sources: it must be a list of texts")
    tables = {name: _told_table(place, told, name) for name in _TABLES}
    for kind in tables["kinds"]:
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KINDS)}"
            raise BadFile(f"{place}: unknown kind of instrument [kinds.{kind}]: {hint}")
    return Layer(
        place=place,
        base=texts["base"],
        title=texts["title"],
        note=texts["note"],
        sources=tuple(sources),
        flat=_checked(place, "", told),
        kinds={kind: _inner(place, f"kinds.{kind}", values) for kind, values in tables["kinds"].items()},
        symbols={name: _inner(place, f"symbols.{name}", values) for name, values in tables["symbols"].items()},
        interest=_interest(place, tables["interest"]),
    )


def _told_text(place: str, told: Values, name: str) -> str:
    value = told.pop(name, "")
    if not isinstance(value, str):
        raise BadFile(f"{place}: {name} = {value!r}: it must be a text")
    return value.strip()


def _told_table(place: str, told: Values, name: str) -> Values:
    value = told.pop(name, {})
    if not isinstance(value, dict):
        raise BadFile(f"{place}: {name} = {value!r}: it must be a table")
    return value


def _inner(place: str, table: str, values: object) -> Values:
    if not isinstance(values, dict):
        raise BadFile(f"{place}: {table} = {values!r}: it must be a table")
    for name in values:
        if name in KEYS and KEYS[name].group not in ("listing", "spread"):
            raise BadFile(f"{place}: {name} in [{table}]: it holds for the whole account: put it above all tables")
    return _checked(place, table, values)


def _checked(place: str, table: str, told: Values) -> Values:
    inside = f" in [{table}]" if table else ""
    values: Values = {}
    for name, value in told.items():
        try:
            if isinstance(value, dict) and name != "commission_by_currency":
                names = ", ".join(f"[{one}]" for one in _TABLES)
                raise BadValue(f"unknown table {name!r}: there are {names}; all other keys stand above the tables")
            key = key_of(name)
            if table and RATE.fullmatch(key):
                raise BadValue(f"{name}: it holds for the whole account: put it above all tables")
            values[key] = value_of(key, value)
        except BadValue as error:
            raise BadFile(f"{place}: {error}{inside}") from error
    return values


def _interest(place: str, told: Values) -> dict[str, float]:
    for currency, rate in told.items():
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not -100 <= rate <= 1000:
            raise BadFile(f"{place}: {currency} = {rate!r} in [interest]: it must be percent a year")
    return {currency: float(rate) for currency, rate in told.items()}
