"""Marks: how far in market time a service has got, for the simulated market to wait for.

A mark is a file of eight bytes, `<home>/run/<name>.mark`. Its service alone sets it; a market that is faster than the
machine's clock never runs further ahead of it than its lead.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final

from infra.errors import home_unusable
from infra.stack.home import Home

_VALUE: Final = struct.Struct("<q")


class Mark:
    """One mark, to set or to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._map: mmap.mmap | None = None

    @classmethod
    def of(cls, home: Home, name: str) -> Mark:
        """A service's mark in a home: `recorder`, `desk-demo` …"""
        return cls(home.run / f"{name}.mark")

    def set(self, us: int) -> None:
        """The service has done all that it has to do up to `us`, market time in microseconds. Raises HomeUnusable."""
        if self._map is None:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.ftruncate(fd, _VALUE.size)
                    self._map = mmap.mmap(fd, _VALUE.size)
                finally:
                    os.close(fd)
            except OSError as error:
                raise home_unusable(self.path, error) from None
        # At once: packed in place it would be zero for a moment, and then half of it.
        self._map[:] = _VALUE.pack(us)

    def clear(self) -> None:
        """As if it had never been set; its service may go on setting it. Raises HomeUnusable."""
        if self.path.exists():
            self.set(0)

    def get(self) -> int | None:
        """The last value set, by whatever process; None if there is none yet. Raises HomeUnusable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise home_unusable(self.path, error) from None
        us = _VALUE.unpack(data)[0] if len(data) == _VALUE.size else 0
        return us or None
