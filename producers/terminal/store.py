"""What a simulated terminal keeps in its home: how far it has played, its account, its market watch, its faults.

One file, replaced as a whole. It names the data that was played: a home goes on with the same only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.errors import BadFile, Refused, home_unusable
from infra.stack.home import write_private

VERSION: Final = 1
_DIGEST_BYTES: Final = 32


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

    def save(self, terminal: Mapping[str, Any], server: bytes) -> None:
        """Replaces the state; it is on the disk when this returns. Raises HomeUnusable."""
        head = json.dumps({"version": VERSION, "played": self._played, "terminal": terminal}).encode()
        body = head + b"\n" + server
        write_private(self.path, hashlib.sha256(body).digest() + body)

    def load(self) -> Kept | None:
        """The state that was kept last; None if there is none. Raises BadFile, Refused, HomeUnusable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise home_unusable(self.path, error) from None
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise BadFile(f"{self.path} is damaged: put a saved copy back, or start a fresh home (demo --fresh)")
        head, _, server = body.partition(b"\n")
        kept = json.loads(head)
        if kept["version"] != VERSION:
            raise BadFile(f"{self.path} is of another version ({kept['version']}): start a fresh home (demo --fresh)")
        if kept["played"] != self._played:
            raise Refused(
                f"this home has played {_told(kept['played'])}, and is asked to play {_told(self._played)}: "
                "start a fresh home (demo --fresh), or another one (--home)"
            )
        return Kept(kept["terminal"], server)


def _told(played: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in played.items())
