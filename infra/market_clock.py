"""Market time: the clock of a simulated market, kept in a small file that all processes of a home map.

The terminal alone writes it: at which time of the machine's monotonic clock the market stood where, how fast it goes,
and how far it may go before the terminal says more. Readers compute from that: no call, no message. There are two
places for it, written in turn: a number says which one holds, and a reader that finds it changed meanwhile looks again.
A writer that is killed leaves the place that holds whole.

The limit is a lease: without its terminal a market goes on for a while, as a broker's does behind a dead line, and then
stands, so that a home that was killed goes on where it stopped.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

from infra.clock import STANDING_WAIT_S, SystemClock
from infra.errors import NotReady, home_unusable
from infra.settings import Settings
from infra.stack.home import Home

FILE_NAME: Final = "market.clock"
LONGEST_WAIT_S: Final = 0.25
"""Most that `wait_s` names: the market's pace may change meanwhile."""

_SEQUENCE: Final = struct.Struct("<Q")
_PACE: Final = struct.Struct("<16sqqdq")
_SIZE: Final = _SEQUENCE.size + 2 * _PACE.size


class Pace(NamedTuple):
    """How market time goes since it was anchored."""

    boot: bytes
    """Of which run of the machine its monotonic clock is: 16 bytes."""
    anchor_mono_ns: int
    """CLOCK_MONOTONIC at the anchor."""
    anchor_us: int
    """Market time at the anchor, UTC."""
    rate: float
    """Market seconds a second; 0 = it stands."""
    limit_us: int
    """Market time stops here until the terminal sets more."""

    def at(self, mono_ns: int) -> int:
        """Market time, microseconds UTC, at a time of the monotonic clock."""
        gone_us = int((mono_ns - self.anchor_mono_ns) * self.rate) // 1000
        return max(self.anchor_us, min(self.limit_us, self.anchor_us + gone_us))


class MarketClock:
    """Reads market time; satisfies `infra.clock.WaitingClock`. Never runs backwards for one reader."""

    def __init__(self, path: Path) -> None:
        """Of a file that a terminal has written. Raises NotReady if there is none, or nothing in it yet."""
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), _SIZE, access=mmap.ACCESS_READ)
            started = self.pace().anchor_us > 0
        except (FileNotFoundError, ValueError):
            started = False
        except OSError as error:
            raise home_unusable(path, error) from None
        if not started:
            raise NotReady(f"there is no market time yet ({path}): the simulated terminal has to run first")
        self._newest_us = 0

    def now_us(self) -> int:
        self._newest_us = max(self._newest_us, self.pace().at(time.monotonic_ns()))
        return self._newest_us

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def wait_s(self, us: int) -> float:
        """Seconds until market time is `us`, at most `LONGEST_WAIT_S`; less while it stands or may not get there."""
        left_us = us - self.now_us()
        if left_us <= 0:
            return 0.0
        pace = self.pace()
        if pace.rate <= 0 or us > pace.limit_us:
            return STANDING_WAIT_S
        return min(LONGEST_WAIT_S, left_us / pace.rate / 1e6)

    def pace(self) -> Pace:
        """How market time goes now."""
        while True:
            (before,) = _SEQUENCE.unpack_from(self._map, 0)
            pace = Pace(*_PACE.unpack_from(self._map, _place(before)))
            (after,) = _SEQUENCE.unpack_from(self._map, 0)
            if before == after:
                return pace


class MarketClockWriter(MarketClock):
    """The terminal's end: sets how market time goes. One writer a file, which the terminal's lock guarantees."""

    def __init__(self, path: Path | None, boot: bytes = b"") -> None:
        """Of a file, made if it isn't there; None: in this process's memory only. Raises HomeUnusable."""
        self._boot = boot or boot_id()
        try:
            if path is None:
                self._map = mmap.mmap(-1, _SIZE)
            else:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.ftruncate(fd, _SIZE)
                    self._map = mmap.mmap(fd, _SIZE)
                finally:
                    os.close(fd)
        except OSError as error:
            raise home_unusable(path or Path(FILE_NAME), error) from None
        self._newest_us = 0
        (self._sequence,) = _SEQUENCE.unpack_from(self._map, 0)

    def left_at_us(self) -> int | None:
        """What the clock that a former terminal of this run of the machine left behind shows now; None if none did."""
        pace = self.pace()
        if pace.boot != self._boot or not pace.anchor_us:
            return None
        return pace.at(time.monotonic_ns())

    def set(self, now_us: int, rate: float, limit_us: int) -> None:
        """From now on: market time is `now_us`, goes at `rate` and not beyond `limit_us`."""
        self._write(Pace(self._boot, time.monotonic_ns(), now_us, rate, max(now_us, limit_us)))

    def limit(self, limit_us: int) -> None:
        """Lets market time go on to `limit_us`: from where it stands, if it stands at a limit."""
        pace, mono_ns = self.pace(), time.monotonic_ns()
        now_us = pace.at(mono_ns)
        if now_us >= pace.limit_us:
            pace = pace._replace(anchor_mono_ns=mono_ns, anchor_us=now_us)
        self._write(pace._replace(limit_us=max(now_us, limit_us)))

    def _write(self, pace: Pace) -> None:
        _PACE.pack_into(self._map, _place(self._sequence + 1), *pace)
        self._sequence += 1
        # At once: packed in place it would be zero for a moment.
        self._map[: _SEQUENCE.size] = _SEQUENCE.pack(self._sequence)

    @classmethod
    def of(cls, home: Home) -> Self:
        """That of a home."""
        return cls(home.run / FILE_NAME)


def service_clock(settings: Settings) -> MarketClock | SystemClock:
    """The clock of what the services of a trading day record and wait for: market time where the terminal is simulated.

    Raises NotReady if the simulated terminal hasn't run yet.
    """
    if settings.terminal.kind == "simulated":
        return MarketClock(Home(settings.home).run / FILE_NAME)
    return SystemClock()


def _place(sequence: int) -> int:
    return _SEQUENCE.size + (sequence & 1) * _PACE.size


def boot_id() -> bytes:
    """Which run of the machine this is, 16 bytes; zeros where the system doesn't say."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)
