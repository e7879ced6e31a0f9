"""The watermark of a live listing: no tick before it will come, by the server's evidence (protocol, TickBlock).

It moves only after the listing's page was read to its end, to the latest of: its own newest tick; the newest tick of
any symbol of the server less two seconds, while connected; the end of its session, a minute after that, while
connected. Never by this machine's clock alone: a session counts as ended only if the server's ticks had come near its
end and the listing has been silent for a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas.configuration import SessionTable

BEHIND_MS: Final = 2_000
"""How far behind the newest tick of any symbol."""
DISTRUST_US: Final = 60_000_000
"""How long after a connect other symbols don't count for a listing that hasn't given a newer tick itself."""
SESSION_MS: Final = 60_000
"""How long after its end a session has ended."""
_NEAR_END_MS: Final = 300_000
_WEEK_MINUTES: Final = 7 * 1_440
_SUNDAY_MINUTES: Final = 3 * 1_440


@dataclass(slots=True)
class Server:
    """What is known of the server."""

    newest_ms: int = 0
    """Time of its newest good tick, of any symbol; UTC."""
    connected: bool = False


class ListingWatermark:
    """What may be said of one listing."""

    def __init__(self) -> None:
        self._since_ms, self._since_steady_us = 0, 0
        self._trusted = False
        self._tick_steady_us = 0

    def connected(self, now_ms: int, steady_us: int) -> None:
        """The terminal was connected, or the symbol was selected for the first time: it may have missed something."""
        self._since_ms, self._since_steady_us = now_ms, steady_us
        self._tick_steady_us = steady_us
        self._trusted = False

    def ticked(self, newest_ms: int, steady_us: int) -> None:
        """New ticks came, the newest good one at `newest_ms`."""
        self._tick_steady_us = steady_us
        self._trusted = self._trusted or newest_ms > self._since_ms

    def value(
        self, own_ms: int, server: Server, now_ms: int, steady_us: int, offset_s: int, sessions: SessionTable | None
    ) -> int:
        """The watermark, UTC milliseconds, now that the page was read to its end.

        `own_ms`: what the listing's own ticks and headers say; 0 if it never had one, and then it has no watermark.
        """
        if not own_ms or not server.connected:
            return own_ms
        found = own_ms
        if self._trusted or steady_us - self._since_steady_us >= DISTRUST_US:
            found = max(found, server.newest_ms - BEHIND_MS)
        if sessions is not None and steady_us - self._tick_steady_us >= SESSION_MS * 1000:
            end_ms = session_end(now_ms - SESSION_MS, offset_s, sessions)
            if end_ms is not None and server.newest_ms >= end_ms - _NEAR_END_MS:
                found = max(found, end_ms)
        return found


def session_end(time_ms: int, offset_s: int, sessions: SessionTable) -> int | None:
    """When the session before a time in UTC ended, if the listing doesn't trade then; None if it does."""
    minute = (time_ms + offset_s * 1000) // 60_000
    week, at = divmod(minute - _SUNDAY_MINUTES, _WEEK_MINUTES)
    spans = list(zip(sessions.from_minutes, sessions.to_minutes, strict=True))
    if not spans or any(start <= at < end for start, end in spans):
        return None
    ends = [end if end <= at else end - _WEEK_MINUTES for _, end in spans]
    return (week * _WEEK_MINUTES + max(ends) + _SUNDAY_MINUTES) * 60_000 - offset_s * 1000
