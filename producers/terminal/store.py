"""What a simulated terminal keeps in its home: how far it has played, its account, its market watch, its faults.

One file with two places, overwritten in turn, so that the state before is whole until the newest is: in place, since a
file that is made anew for each order takes several times as long to be on the disk. It names the data that was played:
a home goes on with the same only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.errors import BadFile, Refused, home_unusable
from infra.stack.home import write_private

VERSION: Final = 2
_DIGEST_BYTES: Final = 32
_NUMBER_BYTES: Final = 8
_ROOM: Final = 65_536
"""A place has a multiple of so many bytes."""


class Kept(NamedTuple):
    """A state as it was kept."""

    terminal: dict[str, Any]
    server: bytes
    """The trade server's dump."""


class Store:
    """The state file of one terminal."""

    def __init__(self, path: Path, played: Mapping[str, Any]) -> None:
        """`played`: what the state belongs to (data, account), JSON."""
        self.path = path
        self._played = json.loads(json.dumps(played))
        self._saved = self._room = 0

    def save(self, terminal: Mapping[str, Any], server: bytes) -> None:
        """Replaces the state; it is on the disk when this returns. Raises HomeUnusable."""
        head = json.dumps({"version": VERSION, "played": self._played, "terminal": terminal}).encode()
        body = head + b"\n" + server
        numbers = b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in (self._saved + 1, len(body)))
        data = hashlib.sha256(numbers + body).digest() + numbers + body
        self._saved += 1
        if not (len(data) <= self._room and self._overwrite(data)):
            self._make(data)

    def load(self) -> Kept | None:
        """The state that was kept last; None if there is none. Raises BadFile, Refused, HomeUnusable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise home_unusable(self.path, error) from None
        room = len(data) // 2
        self._saved, body = max(_whole(data[:room]), _whole(data[room:]))
        if not self._saved or len(data) % (2 * _ROOM):
            raise BadFile(
                f"{self.path} is damaged, or of an older release: put a saved copy back, or start a fresh home "
                "(demo --fresh)"
            )
        self._room = room
        head, _, server = body.partition(b"\n")
        kept = json.loads(head)
        if kept["version"] != VERSION:
            raise BadFile(f"{self.path} is of another version ({kept['version']}): start a fresh home (demo --fresh)")
        if kept["played"] != self._played:
            way_out = "start a fresh home (demo --fresh), or another one (--home)"
            if "live" in kept["played"]:
                way_out = "log the real terminal in to the former, or trade on paper in another home (--home)"
            raise Refused(
                f"this home has played {_told(kept['played'])}, and is asked to play {_told(self._played)}: {way_out}"
            )
        return Kept(kept["terminal"], server)

    def _overwrite(self, data: bytes) -> bool:
        """Puts it where the state before the last one is; whether the file is there."""
        try:
            with self.path.open("r+b") as file:
                file.seek(self._saved % 2 * self._room)
                file.write(data)
                file.flush()
                os.fdatasync(file.fileno())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise home_unusable(self.path, error) from None
        return True

    def _make(self, data: bytes) -> None:
        """The file anew, with room for twice as much in each place."""
        self._room = -(-2 * len(data) // _ROOM) * _ROOM
        places = data.ljust(self._room, b"\0"), bytes(self._room)
        write_private(self.path, b"".join(places[:: -1 if self._saved % 2 else 1]))


def _whole(place: bytes) -> tuple[int, bytes]:
    """How many states were saved up to the one in a place, and its body; 0 if it isn't whole."""
    numbers = place[_DIGEST_BYTES : _DIGEST_BYTES + 2 * _NUMBER_BYTES]
    saved, size = (int.from_bytes(number, "big") for number in (numbers[:_NUMBER_BYTES], numbers[_NUMBER_BYTES:]))
    body = place[_DIGEST_BYTES + 2 * _NUMBER_BYTES :][:size]
    whole = hashlib.sha256(numbers + body).digest() == place[:_DIGEST_BYTES]
    return (saved, body) if whole else (0, b"")


def _told(played: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in played.items())
