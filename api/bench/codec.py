"""`bench codec`: TickBlocks decoded into columns, against fastavro's decoder, with and without the check of the MAC."""

from __future__ import annotations

import hashlib
import hmac
import platform
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, Final

import fastavro
import numpy as np

from api.bench.result import Report, Result, seconds
from api.bench.sample_day import sample_blocks
from producers.sample import SAMPLE_DAY
from schemas.catalogue import MAX_BLOCK_TICKS
from schemas.integrity import MAC_BYTES, KeyRing
from schemas.registry import PREFIX_BYTES, schemas
from schemas.ticks import TOPIC, BlockKind, Columns, TickBlock, TickSource, decode_into, seal_block

SIZES: Final = (2, 10, 100, 4_096)
GOALS: Final = {100: 10.0, 4_096: 30.0}
HMAC_GOALS: Final = {100: 5.0, 4_096: 15.0}
COLUMNS: Final = ("time_ms", "bid", "ask", "last", "volume", "flags", "quality")

_KEY: Final = b"the key of the benchmark"
_KEYS: Final = KeyRing({"bench": _KEY}, "bench")

Decode = Callable[[bytes], Any]


def run(least_s: float = 0.5, most: int = 2_000) -> Report:
    """Measures each size, on up to `most` blocks, for at least `least_s` a decoder; first, both must give the same."""
    columns = Columns(MAX_BLOCK_TICKS)
    parsed = schemas()["TickBlock"].parsed
    ours: Decode = partial(decode_into, columns=columns, first=0)
    theirs: Decode = partial(_with_fastavro, parsed)
    results: list[Result] = []
    notes = [
        f"the sample day's ticks (bid and ask, no deals), one core, Python {platform.python_version()}, fastavro "
        f"{fastavro.__version__}; the shortest of many runs",
    ]
    equal = True
    for size in SIZES:
        values = cut_day(size, most)
        ticks = sum(ours(value).size for value in values)
        equal &= all(_same(ours(value), theirs(value)) for value in values)
        equal &= all(_holds(value) and _KEYS.holds(TOPIC, "bench", value) for value in values)
        spent = {
            "": (seconds(partial(_all, ours, values), least_s), seconds(partial(_all, theirs, values), least_s)),
            "hmac_": (
                seconds(partial(_all_checked, ours, values), least_s),
                seconds(partial(_all_checked, theirs, values), least_s),
            ),
        }
        for kind, goals in (("", GOALS), ("hmac_", HMAC_GOALS)):
            one, other = spent[kind]
            results.append(Result(f"codec.block{size}.{kind}ratio", other / one, "×", goals.get(size)))
        rates = ", ".join(
            f"{_rate(ticks, one)} against {_rate(ticks, other)}{' with the MAC' if kind else ''}"
            for kind, (one, other) in spent.items()
        )
        notes.append(f"blocks of {size:,} ({len(values):,}): {rates}")
    return Report("codec", equal, results if equal else [], notes)


def cut_day(size: int, most: int) -> list[bytes]:
    """The sample day in sealed blocks of `size` ticks, `most` at most."""
    values: list[bytes] = []
    for file in SAMPLE_DAY:
        for block in sample_blocks(file, ref_no=1):
            for at in range(0, block.size, size):
                piece = {name: getattr(block, name)[at : at + size] for name in COLUMNS}
                values.append(seal_block(_headed(block, len(values) + 1)._replace(**piece), _KEYS))
                if len(values) == most:
                    return values
    return values


def _headed(block: TickBlock, seq: int) -> TickBlock:
    return block._replace(kind=BlockKind.DATA, source=TickSource.IMPORT, seq=seq, key_id="bench", nonce=b"a nonce.")


def _with_fastavro(parsed: Any, value: bytes) -> Any:
    source = BytesIO(value)
    source.seek(PREFIX_BYTES)
    return fastavro.schemaless_reader(source, parsed, None)


def _holds(value: bytes) -> bool:
    """The check as Python's standard library alone does it."""
    mac = hmac.digest(_KEY, TOPIC.encode() + b"\0" + value[:-MAC_BYTES], hashlib.sha256)
    return hmac.compare_digest(mac[:MAC_BYTES], value[-MAC_BYTES:])


def _all(decode: Decode, values: list[bytes]) -> None:
    for value in values:
        decode(value)


def _all_checked(decode: Decode, values: list[bytes]) -> None:
    holds = _KEYS.holds
    for value in values:
        decode(value)
        holds(TOPIC, "bench", value)


def _same(block: TickBlock, row: dict[str, Any]) -> bool:
    """Whether both decoders gave the same, prices to the last bit."""
    for name, ours in block._asdict().items():
        theirs = row[name]
        if isinstance(ours, np.ndarray):
            if ours.tobytes() != np.array(theirs, ours.dtype).tobytes():
                return False
        elif ours != theirs and not (name in _ENUMS and _ENUMS[name](ours).name == theirs):
            return False
    return True


_ENUMS: Final[dict[str, Any]] = {"kind": BlockKind, "source": TickSource}


def _rate(ticks: int, spent: float) -> str:
    return f"{ticks / spent / 1e6:.2f} M ticks/s"
