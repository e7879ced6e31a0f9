"""Symbols of a real terminal as the paper broker has them: what it says of them, with the costs that a spec knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final, cast

from producers.mt5 import SymbolInfo
from producers.recorder.specs import spec_of_symbol
from producers.specs import LabSpec, listing_spec
from producers.terminal.symbols import ORDER_MODE, SymbolDefinition, symbol_of

_DAY_S: Final = 86_400
_WEEKEND: Final = (0, 6)
_FIELDS: Final = tuple(SymbolInfo.__annotations__)


def live_symbol(info: SymbolInfo, spec: LabSpec, server_clock: str) -> SymbolDefinition:
    """The symbol by its `symbol_info`; commission and margin rate, which that doesn't tell, by the spec.

    Raises `producers.recorder.specs.Unusable` for one that nobody can reckon with.
    """
    usual = symbol_of(spec, info.digits, around_the_clock=_of_a_weekend(info))
    return replace(
        usual,
        spec=spec_of_symbol(info.name, info, listing_spec(spec, info.name, info.digits), server_clock),
        path=info.path or usual.path,
        description=info.description or usual.description,
        trade_mode=int(info.trade_mode),
        trade_exemode=int(info.trade_exemode),
        filling_mode=int(info.filling_mode),
        order_mode=int(info.order_mode) & ORDER_MODE,
        expiration_mode=int(info.expiration_mode),
        volume_limit=float(info.volume_limit),
    )


def kept_symbols(symbols: Mapping[str, SymbolInfo]) -> dict[str, Any]:
    """Symbols as JSON, for a start at which the real terminal hasn't all of them: what is open in one stays open."""
    return {name: {field: getattr(info, field) for field in _FIELDS} for name, info in symbols.items()}


SYMBOLS_FILE: Final = "symbols.json"
"""In a paper terminal's folder of the home: its symbols as they were last."""


def known_symbols(kept: Mapping[str, Any] | None) -> dict[str, SymbolInfo]:
    """What `kept_symbols` gave; what isn't of its form is left out."""
    return {
        name: cast(SymbolInfo, SimpleNamespace(**fields))
        for name, fields in (kept or {}).items()
        if isinstance(fields, dict) and fields.keys() == set(_FIELDS)
    }


def _of_a_weekend(info: SymbolInfo) -> bool:
    """Whether its newest quote is of a Saturday or Sunday of the server's clock."""
    return (info.time // _DAY_S + 4) % 7 in _WEEKEND if info.time else False
