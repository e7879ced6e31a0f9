"""Whose quotes a feed is: pinned at its first connection, and another source is refused from then on.

A feed's bars, signals and orders stand on one source's prices; another server's, or another account's of it (which may
have other symbols under the same names), would be mixed into them unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

from infra.errors import Refused
from producers.mt5 import AccountInfo
from producers.terminal.constants import ACCOUNT_TRADE_MODE_CONTEST, ACCOUNT_TRADE_MODE_DEMO, ACCOUNT_TRADE_MODE_REAL
from schemas.events import SourceEvent, SourceKind

_MODES = {
    ACCOUNT_TRADE_MODE_DEMO: "demo",
    ACCOUNT_TRADE_MODE_CONTEST: "contest",
    ACCOUNT_TRADE_MODE_REAL: "real",
}


class Source(NamedTuple):
    """Whose quotes they are."""

    server: str
    company: str
    login: int
    trade_mode: str
    """demo, contest or real."""

    def __str__(self) -> str:
        return f"{self.login} at {self.server} ({self.company}, {self.trade_mode})"


class SourceRefused(Refused):
    """The terminal isn't the one that this feed was recorded from."""


def source_of(account: AccountInfo) -> Source:
    """Of the account that a terminal is logged in to."""
    mode = _MODES.get(account.trade_mode, f"mode {account.trade_mode}")
    return Source(account.server, account.company, int(account.login), mode)


def feed_name(server: str) -> str:
    """The name of a feed made from its server's: `Vantage-Demo 2` gives vantage-demo-2."""
    return re.sub(r"[^a-z0-9]+", "-", server.lower()).strip("-")[:48] or "terminal"


def detail_of(source: Source) -> str:
    """What a CONNECTED event says of the source."""
    return json.dumps(source._asdict(), ensure_ascii=False)


def pinned(events: Iterable[SourceEvent]) -> Source | None:
    """The source that a feed's first connection pinned, by its events in order; None if it was never recorded."""
    for event in events:
        if event.kind is SourceKind.CONNECTED:
            try:
                return Source(**json.loads(event.detail))
            except (TypeError, ValueError):
                continue
    return None


def check_source(feed: str, source: Source, events: Iterable[SourceEvent]) -> None:
    """Raises SourceRefused if the feed is another source's, Refused if it was imported."""
    events = list(events)
    first = pinned(events)
    if first is not None:
        check_same(feed, source, first)
    elif any(event.kind is SourceKind.AVAILABILITY for event in events):
        raise Refused(
            f"feed {feed!r} was imported: a feed is recorded or imported, never both; name another by recorder.feed"
        )


def check_same(feed: str, source: Source, first: Source) -> None:
    """Raises SourceRefused if the source isn't the one that the feed was pinned to."""
    if source != first:
        raise SourceRefused(
            f"feed {feed!r} is recorded from {first}, but the terminal is logged in to {source}: log it in to the "
            "former, or record the latter as a feed of its own (recorder.feed)"
        )


def refuse_recorded(feed: str, events: Iterable[SourceEvent]) -> None:
    """Raises Refused if a recorder owns the feed: nothing is imported into it."""
    source = pinned(events)
    if source is not None:
        raise Refused(
            f"feed {feed!r} belongs to a recorder ({source}): a feed is recorded or imported, never both; name another "
            "by --feed"
        )
