"""Dukascopy's hours of ticks (.bi5): LZMA of records of 20 bytes, prices as whole points.

A record is big-endian: int32 milliseconds since the hour, int32 ask, int32 bid, float32 ask volume, float32 bid volume.
The path tells the rest: `…/EURUSD/2014/04/06/13h_ticks.bi5`, where months count from 0, here the 6th of May, 13:00
UTC. An hour without ticks is an empty file. Points in a price unit are known for the instruments below (JPY, RUB and
metals' prices have 3 decimals, other currencies 5); others are told by `--point-factor`.
"""

from __future__ import annotations

import lzma
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from infra.errors import BadFile
from producers.formats.names import Hint
from producers.formats.source import Batch, ReadOptions, Source
from producers.formats.text import read_all

HOUR_MS: Final = 3_600_000
MAX_BYTES: Final = 64 * 2**20
"""Most bytes of an hour, unpacked: three million ticks."""

_RECORD: Final = np.dtype([("ms", ">i4"), ("ask", ">i4"), ("bid", ">i4"), ("ask_volume", ">f4"), ("bid_volume", ">f4")])
_CURRENCIES: Final = frozenset({
    "AUD", "CAD", "CHF", "CNH", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "JPY", "MXN", "NOK", "NZD", "PLN", "RON",
    "RUB", "SEK", "SGD", "THB", "TRY", "USD", "ZAR",
})  # fmt: skip
_THREE: Final = frozenset({"JPY", "RUB", "THB", "HUF"})
_FACTORS: Final = {
    "XAUUSD": 1e3, "XAGUSD": 1e3, "XAUEUR": 1e3, "XAGEUR": 1e3, "XPTCMDUSD": 1e3, "XPDCMDUSD": 1e3,
    "USA500IDXUSD": 1e3, "USATECHIDXUSD": 1e3, "USA30IDXUSD": 1e3, "DEUIDXEUR": 1e3, "FRAIDXEUR": 1e3,
    "GBRIDXGBP": 1e3, "JPNIDXJPY": 1e3, "EUSIDXEUR": 1e3, "AUSIDXAUD": 1e3, "ESPIDXEUR": 1e3, "HKGIDXHKD": 1e3,
    "CHEIDXCHF": 1e3, "LIGHTCMDUSD": 1e3, "BRENTCMDUSD": 1e3, "USSC2000IDXUSD": 1e3,
    "BTCUSD": 10.0, "ETHUSD": 10.0, "LTCUSD": 10.0,
}  # fmt: skip


def factor_of(symbol: str) -> float | None:
    """Points in a unit of the price of an instrument; None where it isn't known."""
    name = re.sub(r"[^A-Z0-9]", "", symbol.upper())
    if name in _FACTORS:
        return _FACTORS[name]
    base, quote = name[:3], name[3:]
    if base in _CURRENCIES and quote in _CURRENCIES:
        return 1e3 if quote in _THREE else 1e5
    return None


def source(path: Path, hint: Hint, options: ReadOptions) -> Source:
    """The ticks of an hour. Raises BadFile."""
    if hint.hour_ms is None:
        raise BadFile(
            f"{path}: its hour isn't known: Dukascopy's files lie in folders by symbol, year, month (from 00) and "
            "day, such as "
            "EURUSD/2014/04/06/13h_ticks.bi5 for 2014-05-06 13:00 UTC: keep the folders"
        )
    symbol = hint.symbol or ""
    factor = options.point_factor or factor_of(symbol)
    if factor is None:
        raise BadFile(
            f"{path}: how many points a price of {symbol} has isn't known: tell it by --point-factor (1000 for a "
            "price with "
            "three decimals, 100000 for five)"
        )
    ticks = _read(path)
    return Source(
        "dukascopy-bi5", _batches(path, ticks, hint.hour_ms, factor), False, "utc", hint.symbol, "", _head(ticks)
    )


def _read(path: Path) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    data = read_all(path, MAX_BYTES)[1]
    if data:
        try:
            unpack = lzma.LZMADecompressor()
            data = unpack.decompress(data, MAX_BYTES)
            if not unpack.eof and not unpack.needs_input:
                raise BadFile(f"{path}: an hour of more than {MAX_BYTES} bytes: a bomb, or no ticks")
        except lzma.LZMAError as error:
            raise BadFile(f"{path}: is no .bi5 or damaged ({error}): get the file once more") from error
    if len(data) % _RECORD.itemsize:
        raise BadFile(
            f"{path}: {len(data)} bytes are no whole number of records of {_RECORD.itemsize}: get the file once more"
        )
    return np.frombuffer(data, _RECORD)


def _batches(
    path: Path, ticks: np.ndarray[tuple[int], np.dtype[np.void]], hour_ms: int, factor: float
) -> Iterator[Batch]:
    if not len(ticks):
        return
    ms = ticks["ms"].astype(np.int64)
    if bool(np.any((ms < 0) | (ms >= HOUR_MS))):
        raise BadFile(f"{path}: a tick of {int(ms[(ms < 0) | (ms >= HOUR_MS)][0])} ms is outside its hour: damaged?")
    values = {name: ticks[name].astype(np.float64) / factor for name in ("bid", "ask")}
    yield Batch(ms + hour_ms, values, True, max(math.ceil(math.log10(factor) - 1e-9), 0), 1)


def _head(ticks: np.ndarray[tuple[int], np.dtype[np.void]]) -> list[str]:
    return [f"{row['ms']} ms, ask {row['ask']}, bid {row['bid']}" for row in ticks[:3]]
