"""What may be said of a listing: no tick before this time will come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from producers.recorder.watermark import ListingWatermark, Server, session_end
from schemas.configuration import SessionTable
from schemas.integrity import UNWRITTEN

S = 1_000_000
FRIDAY_MS = int(datetime(2026, 1, 16, 21, tzinfo=UTC).timestamp()) * 1000
"""23:00 on the server."""
OFFSET_S = 7_200
WEEK = SessionTable(listing="f/S", from_minutes=(1_440,), to_minutes=(6 * 1_440,), **UNWRITTEN)
"""Monday to Friday."""
CLOSE_MS = FRIDAY_MS + 3_600_000


class Listing:
    """A listing that was connected at 0 s of the steady clock, when its clock showed FRIDAY_MS."""

    def __init__(self, own_ms: int = FRIDAY_MS - 10_000) -> None:
        self.mark, self.server, self.own_ms = ListingWatermark(), Server(own_ms, connected=True), own_ms
        self.mark.connected(FRIDAY_MS, 0)

    def tick(self, at_s: int) -> None:
        self.own_ms = FRIDAY_MS + at_s * 1000
        self.server.newest_ms = max(self.server.newest_ms, self.own_ms)
        self.mark.ticked(self.own_ms, at_s * S)

    def says(self, at_s: int, **more: Any) -> int:
        now_ms = more.pop("now_ms", FRIDAY_MS + at_s * 1000)
        found = self.mark.value(self.own_ms, self.server, now_ms, at_s * S, OFFSET_S, more.pop("sessions", None))
        return (found - FRIDAY_MS) // 1000


def test_its_own_newest_tick() -> None:
    listing = Listing()
    listing.tick(3)
    assert listing.says(3) == 3


def test_the_newest_tick_of_any_symbol_less_two_seconds() -> None:
    listing = Listing()
    listing.tick(3)
    listing.server.newest_ms = FRIDAY_MS + 30_000
    assert listing.says(30) == 28
    listing.server.newest_ms = FRIDAY_MS + 4_000
    assert listing.says(30) == 3, "it never falls behind its own"


def test_others_do_not_count_after_a_connect_until_it_has_given_a_newer_tick_or_a_minute_has_passed() -> None:
    listing = Listing()
    listing.server.newest_ms = FRIDAY_MS + 30_000
    assert listing.says(30) == -10
    listing.mark.ticked(FRIDAY_MS - 5_000, 31 * S)
    assert listing.says(31) == -10, "a tick of before the connect came late"
    assert listing.says(60) == 28
    listing.tick(61)
    listing.mark.connected(FRIDAY_MS + 100_000, 100 * S)
    listing.server.newest_ms = FRIDAY_MS + 140_000
    assert listing.says(140) == 61
    listing.tick(141)
    listing.server.newest_ms = FRIDAY_MS + 150_000
    assert listing.says(150) == 148


def test_nothing_moves_while_the_server_is_away() -> None:
    listing = Listing()
    listing.tick(3)
    listing.server.newest_ms, listing.server.connected = FRIDAY_MS + 30_000, False
    assert listing.says(30) == 3


def test_the_end_of_its_session_a_minute_later() -> None:
    listing = Listing()
    listing.tick(3_590)
    assert listing.says(3_659, sessions=WEEK) == 3_590
    assert listing.says(3_660, sessions=WEEK) == 3_600
    assert listing.says(90_000, sessions=WEEK) == 3_600
    assert listing.says(90_000) == 3_590, "nobody knows its sessions"


def test_a_clock_that_jumps_ends_no_session() -> None:
    listing = Listing()
    listing.tick(600)
    assert listing.says(700, now_ms=CLOSE_MS + 120_000, sessions=WEEK) == 600, "no tick came near the end"
    listing.tick(3_400)
    assert listing.says(3_401, now_ms=CLOSE_MS + 120_000, sessions=WEEK) == 3_400, "it isn't silent"


def test_a_listing_without_a_tick_has_none() -> None:
    listing = Listing(own_ms=0)
    listing.server.newest_ms = FRIDAY_MS
    assert listing.mark.value(0, listing.server, FRIDAY_MS, 100 * S, OFFSET_S, WEEK) == 0


def test_when_a_session_ended() -> None:
    assert session_end(CLOSE_MS - 1, OFFSET_S, WEEK) is None
    assert session_end(CLOSE_MS, OFFSET_S, WEEK) == CLOSE_MS
    assert session_end(CLOSE_MS + 30 * 3_600_000, OFFSET_S, WEEK) == CLOSE_MS
    days = SessionTable(listing="f/S", from_minutes=(1_500, 2_940), to_minutes=(2_820, 4_260), **UNWRITTEN)
    sunday = CLOSE_MS + 86_400_000
    assert session_end(sunday, OFFSET_S, days) == CLOSE_MS - 3 * 86_400_000 - 60 * 60_000
    assert (
        session_end(sunday, OFFSET_S, SessionTable(listing="f/S", from_minutes=(), to_minutes=(), **UNWRITTEN)) is None
    )
