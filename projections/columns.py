"""The columns of the answers, each with what it says and its unit: for the answers, --help and the docs."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["text", "int", "float", "bool", "time", "json"]


class Column(NamedTuple):
    """One column. A time is ISO 8601 UTC with milliseconds in text, and a timestamp in parquet."""

    name: str
    kind: Kind
    doc: str


def _columns(*columns: tuple[str, Kind, str]) -> tuple[Column, ...]:
    return tuple(Column(*column) for column in columns)


COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "ticks": _columns(
        ("listing", "text", "feed/SYMBOL"),
        ("n", "int", "number of the tick in its listing's log, from 0, refused ones included"),
        ("time", "time", "time of the tick, UTC; years beyond 9999 in ISO's expanded form, such as +12024-01-01"),
        ("bid", "float", "bid price"),
        ("ask", "float", "ask price"),
        ("last", "float", "price of the last deal; empty where the symbol has none"),
        ("volume", "float", "volume of the last deal, lots; empty where the symbol has none"),
        ("flags", "int", "MT5's TICK_FLAG bits, as given"),
        ("quality", "text", "why it is refused or suspect: names of the reasons joined by |; empty when good"),
    ),
    "bars": _columns(
        ("listing", "text", "feed/SYMBOL"),
        ("timeframe", "text", "M1, M5, M15, M30, H1, H4 or D1"),
        ("time", "time", "opening time, UTC"),
        ("open", "float", "first bid"),
        ("high", "float", "highest bid"),
        ("low", "float", "lowest bid"),
        ("close", "float", "last bid"),
        ("ask_close", "float", "last ask"),
        ("ticks", "int", "ticks in it that aren't broken"),
        ("spread_min", "int", "smallest spread, points"),
        ("spread_mean", "float", "mean spread over its ticks, points"),
        ("spread_max", "int", "largest spread, points"),
        ("volume", "float", "sum of the ticks' volumes, lots; 0 where the symbol has none"),
        ("complete", "bool", "false if the log starts, or has a gap, inside it"),
    ),
    "signals": _columns(
        ("id", "text", "operator/feed/SYMBOL/number: what query audit takes"),
        ("time", "time", "time of the tick, or a bar's end, UTC"),
        ("listing", "text", "feed/SYMBOL"),
        ("kind", "text", "ENTER, EXIT, LEVELS or FAILED"),
        ("side", "text", "LONG or SHORT; NONE for LEVELS and FAILED"),
        ("n", "int", "the tick that proved it"),
        ("from_n", "int", "the first tick that it rests on"),
        ("bid", "float", "bid at tick n"),
        ("ask", "float", "ask at tick n"),
        ("entry_type", "text", "MARKET, LIMIT or STOP; NONE for all but ENTER"),
        ("price", "float", "price of a LIMIT or STOP entry; empty = none"),
        ("expires_ms", "int", "a LIMIT or STOP entry is withdrawn so long after time, milliseconds; 0 = never"),
        ("stop_distance", "float", "stop, as a distance from the fill in price units; empty = none"),
        ("target_distance", "float", "target, as a distance from the fill in price units; empty = none"),
        ("trail_long", "float", "trailing level of a long, a price; empty = none"),
        ("trail_short", "float", "trailing level of a short, a price; empty = none"),
        ("breakeven_at", "float", "stop to the entry once so many stop distances are gained; empty = never"),
        ("partial_at", "float", "part of it is closed once so many stop distances are gained; empty = never"),
        ("partial_share", "float", "share of the volume that is closed there; empty = none"),
        ("valid_for_ms", "int", "an entry expires so long after time, milliseconds; 0 = never"),
        ("max_hold_ms", "int", "close after so long, milliseconds; 0 = never"),
        ("on_opposite", "text", "what an entry to the other side does: REVERSE, CLOSE or IGNORE"),
        ("cooldown_ms", "int", "no new entry so long after an exit, milliseconds"),
        ("strength", "float", "the strategy's own measure, documented with it"),
        ("model", "text", "version of the model that decided; empty = none"),
        ("message", "text", "for FAILED: what was raised"),
        ("ref_no", "int", "the reference number that held at what proved it"),
    ),
    "alerts": _columns(
        ("time", "time", "when it was raised, UTC; raised twice, it is one alert with the first time"),
        ("severity", "text", "INFO, WARNING or CRITICAL"),
        ("code", "text", "what kind of thing it is"),
        ("subject", "text", "listing, chain or service that it is about"),
        ("source", "text", "the service that raised it"),
        ("topic", "text", "topic of the record concerned; empty = none"),
        ("partition", "int", "its partition"),
        ("offset", "int", "its offset"),
        ("message", "text", "what, and the way out"),
        ("id", "text", "made from what it is about"),
    ),
    "sources": _columns(
        ("time", "time", "when it was written, UTC"),
        ("feed", "text", "name of the feed"),
        ("kind", "text", "CONNECTED, LOST, SWITCHED, GAP, OFFSET_CHANGED or AVAILABILITY"),
        ("listing", "text", "the listing; empty for the whole feed"),
        ("from_n", "int", "first tick concerned; empty = none"),
        ("to_n", "int", "one past the last tick concerned; empty = none"),
        ("from_time", "time", "start of the range, UTC; empty = none"),
        ("to_time", "time", "end of the range, UTC, not in it; empty = none"),
        ("server_offset_s", "int", "the server's clock against UTC, seconds"),
        ("detail", "text", "for people: file, server, reason"),
        ("id", "text", "made from what happened"),
    ),
    "reference": _columns(
        ("ref_no", "int", "number of the record, dense from 1: blocks name the last one that held"),
        ("kind", "text", "ListingSpec, OperatorActivation or Repair"),
        ("subject", "text", "the listing, instance or chain that it is about"),
        ("effective_from", "time", "from when it holds, UTC; empty = always"),
        ("written", "time", "when it was written, UTC"),
        ("record", "json", "all its fields, by the names of its schema (units: docs, records)"),
    ),
}


def describe(name: str) -> str:
    """The columns of an answer, a line each."""
    width = max(len(column.name) for column in COLUMNS[name])
    return "\n".join(f"{column.name:<{width}}  {column.doc}" for column in COLUMNS[name])
