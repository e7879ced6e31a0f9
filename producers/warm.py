"""Compiles the kernels of judge, importer and recorder into numba's cache: `python -m producers.warm`, at set-up."""

from __future__ import annotations

import numpy as np

from producers.formats import rows
from producers.judge import Judge
from producers.log_scan import LogScan, rows_of
from producers.suspicion import warm_suspicion
from schemas.integrity import ZERO_MAC
from schemas.ticks import BlockKind, TickSource, decode_block, encode_block, open_block


def warm() -> None:
    """Calls each kernel once, with a block as it comes from the topic."""
    empty = open_block("warm/UP", 1, bytes(8), TickSource.IMPORT, 0, "")._replace(kind=BlockKind.DATA, mac=ZERO_MAC)
    block = decode_block(encode_block(empty))
    LogScan([1], lambda _: rows_of(block)).feed(block)
    Judge().recheck(block)
    warm_suspicion()
    text, times, values = np.frombuffer(b"\n", np.uint8), np.zeros(2, np.int64), np.zeros((2, 2))
    at, slow, roles = np.zeros(rows.AT_LEN, np.int64), np.zeros((rows.SLOW_ROOM, 4), np.int64), np.zeros(2, np.int64)
    rows.parse_rows(text, 44, 46, roles, roles, 2, 0, 1.0, text.copy(), np.zeros(2), at, slow, times, values)


if __name__ == "__main__":
    warm()
