"""The data of a backtest and what it costs to trade it: files as listings, each with its spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from infra.errors import SettingsError
from producers.specs import LabSpec, for_digits, listing_spec, load_spec
from schemas.events import ListingSpec
from schemas.quality import BROKEN
from schemas.ticks import TickBlock

BLOCK_TICKS: Final = 65_536
"""Ticks of a block from files."""
_MANY_MISSING: Final = 0.01
_UNKNOWN: Final = "EURUSD"
"""Whose class of spec stands in until a file has told its symbol."""


class Source(Protocol):
    """A listing's ticks, as often as they are asked for."""

    @property
    def name(self) -> str: ...
    @property
    def digits(self) -> int: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    def inputs(self) -> list[dict[str, Any]]:
        """What was read, with hashes: files, or a range of the log."""

    def blocks(self, ref_no: int) -> Iterator[TickBlock]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """What is told about the files."""

    symbol: str | None = None
    feed: str = "import"
    format: str | None = None
    zone: tzinfo | None = None
    server_clock: str | None = None
    columns: str | None = None
    point_factor: float | None = None
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class Traded:
    """A listing with its ticks and its costs."""

    source: Source
    spec: LabSpec
    listing: ListingSpec
    words: tuple[str, ...]
    """What was found in the files, a sentence each."""
    warnings: tuple[str, ...]
    converts: bool = False
    """It is there to convert money, and is not traded."""


class FileSource:
    """A listing's ticks from files."""

    def __init__(self, data: Any) -> None:
        self._data = data

    @property
    def name(self) -> str:
        return str(self._data.listing)

    @property
    def digits(self) -> int:
        return int(self._data.digits)

    @property
    def facts(self) -> Mapping[str, Any]:
        return {"listing": self.name, **self._data.facts.as_json()}

    def inputs(self) -> list[dict[str, Any]]:
        return [
            {
                "listing": self.name,
                "file": str(file.quotes.path),
                "sha256": file.quotes.sha256,
                "ticks": file.quotes.ticks,
            }
            for file in self._data.files
        ]

    def blocks(self, ref_no: int) -> Iterator[TickBlock]:
        return iter(self._data.blocks(ref_no, BLOCK_TICKS))


def from_files(
    paths: Sequence[Path],
    options: DataOptions,
    spec_name: str | None,
    overrides: Sequence[str],
    cache: Path | None,
    progress: Callable[[str, int], None] = lambda _path, _ticks: None,
) -> list[Traded]:
    """The listings in the files, each with its spec. Raises BadFile, Refused, SettingsError."""
    from producers.formats.data import expand, open_data
    from producers.formats.names import hint_of

    groups: dict[str, list[Path]] = {}
    for path in expand(paths):
        symbol = options.symbol or hint_of(path).symbol or ""
        groups.setdefault(symbol, []).append(path)
    if not groups:
        raise SettingsError("no file of data is there: name one, such as EURUSD_M1.csv, or a folder of them")
    found: list[Traded] = []

    def opened(files: Sequence[Path], symbol: str, spec: LabSpec, digits: int | None) -> list[Any]:
        return open_data(
            files,
            symbol=symbol or None,
            feed=options.feed,
            format_=options.format,
            zone=options.zone,
            server_clock=options.server_clock or (spec.server_clock if "server_clock" in spec.told else None),
            columns=options.columns,
            point_factor=options.point_factor,
            spread_points=spec.spread_points,
            digits=digits,
            stamp=options.stamp,
            cache=cache,
            progress=progress,
        )

    for symbol, files in groups.items():
        spec = load_spec(spec_name, symbol or _UNKNOWN, overrides)
        for data in opened(files, symbol, spec, None):
            own = spec if data.listing.symbol == symbol else load_spec(spec_name, data.listing.symbol, overrides)
            own = for_digits(own, data.digits)
            if data.facts.spread_from == "told" and (own.spread_points, own.listing["digits"]) != (
                spec.spread_points,
                data.digits,
            ):
                # The spread is in points of a digit that only the prices have told.
                files_of = [Path(name) for name in data.facts.files]
                (data,) = opened(files_of, data.listing.symbol, own, own.listing["digits"])
            found.append(
                Traded(
                    FileSource(data),
                    own,
                    listing_spec(own, str(data.listing), data.digits),
                    tuple(data.facts.lines()),
                    (*_unknown_symbol(own), *data.facts.warnings, *_holes(data)),
                )
            )
    names = [traded.source.name for traded in found]
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise SettingsError(f"{twice} comes from files of two kinds: name them by --symbol, or give each its own run")
    return found


def _unknown_symbol(spec: LabSpec) -> list[str]:
    if spec.kind != "other" or {"contract", "contract_size"} & spec.told:
        return []
    return [
        f"{spec.symbol} is no symbol that the spec knows: a lot counts as one unit of it. Name what it is by --symbol, "
        "such as --symbol EURUSD, or tell --set contract=…"
    ]


def _holes(data: Any) -> list[str]:
    facts = data.facts
    expected = facts.missing + facts.rows
    if not facts.bar_ms or facts.missing <= _MANY_MISSING * expected:
        return []
    lacks = f"{data.listing} lacks {facts.missing:,} of {expected:,} bars while the market was open"
    return [f"{lacks}; tickledger import --dry-run shows where"]


class Ranged:
    """A part of a source: ticks from `from_ms` on, and before `to_ms`; each keeps its number."""

    def __init__(self, source: Source, from_ms: int, to_ms: int) -> None:
        self._source, self._from_ms, self._to_ms = source, from_ms, to_ms

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def digits(self) -> int:
        return self._source.digits

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._source.facts

    def inputs(self) -> list[dict[str, Any]]:
        """Those of the whole."""
        return [dict(one) for one in self._source.inputs()]

    def blocks(self, ref_no: int) -> Iterator[TickBlock]:
        seq = 0
        for block in self._source.blocks(ref_no):
            # Good ticks never go back in time; broken ones at the edges go with those beside them.
            good = np.flatnonzero((block.quality & BROKEN) == 0)
            times = block.time_ms[good]
            start, end = int(np.searchsorted(times, self._from_ms)), int(np.searchsorted(times, self._to_ms))
            if start == len(times):
                continue
            first = 0 if start == 0 else int(good[start])
            last = len(block.quality) if end == len(times) else int(good[end])
            if first < last:
                seq += 1
                yield cut(block, first, last)._replace(seq=seq)
            if end < len(times):
                return


def cut(block: TickBlock, first: int, last: int) -> TickBlock:
    """Ticks [first, last) of a block."""
    if first == 0 and last == len(block.quality):
        return block
    some = slice(first, last)
    deals = some if len(block.last) else slice(0, 0)
    return block._replace(
        first_n=block.first_n + first,
        gap=block.gap and first == 0,
        watermark_ms=block.watermark_ms if last == len(block.quality) else int(block.time_ms[last - 1]),
        time_ms=block.time_ms[some],
        bid=block.bid[some],
        ask=block.ask[some],
        last=block.last[deals],
        volume=block.volume[deals],
        flags=block.flags[some],
        quality=block.quality[some],
    )
