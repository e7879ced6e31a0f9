"""The spool: what was done at the terminal before the log could have it, kept on the disk.

Only what reduces exposure goes this way: an exit that was asked for while the broker then fell silent, and a direct
flattening. Each entry is the Sending that the log lacks, on the disk before the request goes out; the gateway appends
it to the log when that is back, and the rule for unanswered requests finds what became of it.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from infra.errors import home_unusable
from schemas.executions import OrderRequest


class Intention(NamedTuple):
    """A request that went to the terminal, the `nth` of its kind about the order; `order_no` 0: of no order of the
    desk's. Of a direct flattening also who asked for it and why."""

    order_no: int
    request: OrderRequest
    nth: int
    at_us: int
    who: str = ""
    why: str = ""


class Flattening(NamedTuple):
    """What somebody did at the terminal without the log: how many requests, and when the first of them was made."""

    who: str
    why: str
    at_us: int
    requests: int


def flattenings(intentions: Iterable[Intention]) -> list[Flattening]:
    """The direct flattenings of a spool, one for each who and why."""
    times: dict[tuple[str, str], list[int]] = {}
    for one in intentions:
        if one.who:
            times.setdefault((one.who, one.why), []).append(one.at_us)
    return [Flattening(who, why, at_us[0], len(at_us)) for (who, why), at_us in times.items()]


class Spool:
    """A file of intentions, a line each with its checksum; every line is on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, intention: Intention) -> None:
        """Adds one. Raises HomeUnusable."""
        text = json.dumps(intention)
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
                # A line of an older release ends with the time.
                order_no, request, *others = json.loads(text)
                found.append(Intention(order_no, OrderRequest(request), *others))
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
