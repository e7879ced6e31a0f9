"""The spool: what was done at the terminal before the log could have it, kept on the disk.

Only what reduces exposure goes this way: an exit that was asked for while the broker then fell silent, and a direct
flattening. Each entry is the Sending that the log lacks, on the disk before the request goes out; the gateway appends
it to the log when that is back, and the rule for unanswered requests finds what became of it.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

from infra.errors import home_unusable
from schemas.executions import OrderRequest


class Intention(NamedTuple):
    """A request that went to the terminal, the `nth` of its kind about the order; `order_no` 0: a flattening."""

    order_no: int
    request: OrderRequest
    nth: int
    at_us: int


class Spool:
    """A file of intentions, a line each with its checksum; every line is on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, intention: Intention) -> None:
        """Adds one. Raises HomeUnusable."""
        text = json.dumps([intention.order_no, intention.request.value, intention.nth, intention.at_us])
        # It begins a line of its own, also behind one that was torn.
        line = f"\n{zlib.crc32(text.encode()):08x} {text}\n".encode()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = not self.path.exists()
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(fd, line)
                os.fsync(fd)
            finally:
                os.close(fd)
            if fresh:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise home_unusable(self.path, error) from None

    def intentions(self) -> list[Intention]:
        """All that are kept, in order; a line that was torn by a crash never went out and is left out."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise home_unusable(self.path, error) from None
        found = []
        for line in lines:
            checksum, _, text = line.partition(b" ")
            if text and checksum == f"{zlib.crc32(text):08x}".encode():
                order_no, request, nth, at_us = json.loads(text)
                found.append(Intention(order_no, OrderRequest(request), nth, at_us))
        return found

    def clear(self) -> None:
        """Forgets them: the log has them."""
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.exists():
                _sync_folder(self.path.parent)
        except OSError as error:
            raise home_unusable(self.path, error) from None


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
