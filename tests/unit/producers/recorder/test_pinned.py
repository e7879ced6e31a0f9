"""A feed is one source's for ever, and recorded or imported, never both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.errors import Refused
from producers.recorder.pinned import (
    Source,
    SourceRefused,
    check_source,
    detail_of,
    feed_name,
    pinned,
    refuse_recorded,
    source_of,
)
from producers.source_events import availability, feed_event
from schemas.events import SourceEvent, SourceKind
from schemas.identity import Listing, check_feed

DEMO = Source("Vantage-Demo", "Vantage Ltd", 7, "demo")


def connected(source: Source) -> SourceEvent:
    return feed_event("f", SourceKind.CONNECTED, time_us=1, server_offset_s=0, detail=detail_of(source))


IMPORTED = availability(
    Listing("f", "EURUSD"), from_n=0, to_n=9, from_ms=0, to_ms=9, server_offset_s=0, time_us=1, detail="a file"
)


def test_the_first_connection_pins_the_source() -> None:
    other = DEMO._replace(login=8)
    assert pinned([]) is None
    assert pinned([connected(DEMO), connected(other)]) == DEMO
    check_source("f", DEMO, [connected(DEMO)])
    check_source("f", DEMO, [])


@pytest.mark.parametrize(
    "change", [{"server": "Vantage-Live"}, {"company": "V2"}, {"login": 8}, {"trade_mode": "real"}]
)
def test_another_source_is_refused_and_told_what_to_do(change: dict[str, Any]) -> None:
    with pytest.raises(SourceRefused, match=r"is recorded from 7 at Vantage-Demo .* feed of its own \(recorder.feed\)"):
        check_source("f", DEMO._replace(**change), [connected(DEMO)])


def test_a_feed_is_recorded_or_imported() -> None:
    with pytest.raises(Refused, match="feed 'f' was imported"):
        check_source("f", DEMO, [IMPORTED])
    with pytest.raises(Refused, match="feed 'f' belongs to a recorder"):
        refuse_recorded("f", [connected(DEMO)])
    refuse_recorded("f", [IMPORTED])


@pytest.mark.parametrize(
    ("server", "feed"),
    [
        ("Vantage-Demo", "vantage-demo"),
        ("ICMarkets SC-Demo 02", "icmarkets-sc-demo-02"),
        ("Ⅷ", "terminal"),
        ("x" * 60, "x" * 48),
    ],
)
def test_a_feed_is_named_after_its_server(server: str, feed: str) -> None:
    assert feed_name(server) == check_feed(feed)


def test_whose_quotes_they_are() -> None:
    account = SimpleNamespace(server="S", company="C", login=9, trade_mode=2)
    assert source_of(account) == Source("S", "C", 9, "real")
