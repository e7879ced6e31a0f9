"""Pages of the API while the log goes on: each row is given once, whatever its time is."""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from agents.risk import no_limits
from api.server.answers import Asked, BadQuestion, page
from infra.clock import FixedClock
from infra.errors import NotReady
from infra.reference_log import append_reference
from projections.database import Connection
from schemas.events import Alert, Severity
from schemas.quality import Quality
from schemas.registry import encode
from schemas.timeframes import Timeframe
from schemas.times import iso_ms
from schemas.trading import PositionChanged
from tests.conftest import TestStack
from tests.integration.projections.account_day import Day
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import KEYS, START_MS, Feed, Log, bar, signal, value_of

pytestmark = pytest.mark.stack

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def dsn(own_stack: TestStack) -> Iterator[str]:
    with new_database(own_stack) as found:
        yield found


@pytest.fixture(scope="module")
def project(own_stack: TestStack, dsn: str) -> Callable[[], None]:
    run = projecting(own_stack, dsn)
    run()
    return run


class Client:
    """Asks the same question page by page."""

    def __init__(self, connection: Connection, what: str, **asked: Any) -> None:
        self._connection = connection
        self._asked = Asked(what, **asked)
        self.cursor: str | None = None

    def take(self, **changes: Any) -> list[dict[str, Any]]:
        """The next page."""
        found = page(self._connection, self._asked._replace(cursor=self.cursor, **changes))
        self.cursor = found["next"]
        items: list[dict[str, Any]] = found["items"]
        return items

    def rest(self) -> list[dict[str, Any]]:
        """All pages up to the first empty one."""
        rows = []
        while items := self.take():
            rows += items
        return rows


def send_bar(log: Log, listing: str, number: int, timeframe: Timeframe, minute: int) -> None:
    record = bar(listing, number, timeframe=timeframe, time_ms=START_MS + minute * MINUTE_MS)
    log.send("bars", listing, value_of(record))


def test_a_bar_that_closes_after_later_opened_ones_were_given_is_given(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    client = Client(session, "bars", symbol=listing, limit=2)
    for minute in range(3):
        send_bar(log, listing, minute, Timeframe.M1, 57 + minute)
    project()
    before = client.rest()

    send_bar(log, listing, 3, Timeframe.H1, 0)
    send_bar(log, listing, 4, Timeframe.M1, 60)
    project()

    minutes = [(row["timeframe"], row["time"][11:16]) for row in before + client.rest()]
    assert minutes == [("M1", "00:57"), ("M1", "00:58"), ("M1", "00:59"), ("H1", "00:00"), ("M1", "01:00")]
    assert client.take() == []


def test_bars_of_a_listing_that_lags_are_given_after_those_of_others(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    other = listing + "X"
    client = Client(session, "bars")
    client.rest()
    send_bar(log, other, 0, Timeframe.M1, 9)
    project()
    assert [row["listing"] for row in client.rest()] == [other]

    send_bar(log, listing, 0, Timeframe.M1, 3)
    send_bar(log, other, 1, Timeframe.M1, 10)
    project()

    assert [row["listing"] for row in client.rest()] == [listing, other]


def test_what_comes_between_two_pages_follows_after_what_was_there(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    for minute in range(5):
        send_bar(log, listing, minute, Timeframe.M1, minute)
    project()
    client = Client(session, "bars", symbol=listing, limit=2)
    first = client.take()
    send_bar(log, listing, 5, Timeframe.M5, 0)
    project()

    frames = [(row["timeframe"], row["time"][14:16]) for row in first + client.rest()]
    assert frames == [*(("M1", f"0{minute}") for minute in range(5)), ("M5", "00")]


def alert(source: str, number: int, time_ms: int) -> Alert:
    return Alert(
        alert_id=f"{source}-{number}", code="test", severity=Severity.INFO, source=source, subject=source,
        time_us=time_ms * 1000, topic="", partition=-1, offset=-1, message="look",
    )  # fmt: skip


def test_an_alert_of_a_service_whose_clock_is_behind_is_given(
    session: Connection, log: Log, project: Callable[[], None]
) -> None:
    name = uuid4().hex[:8]
    sources = [f"{name}{number}" for number in range(8)]
    client = Client(session, "alerts", limit=3)
    client.rest()
    for number, source in enumerate(sources):
        log.send("alerts", source, encode(alert(source, 0, START_MS + number)))
    project()
    given = [row["id"] for row in client.rest()]

    for source in sources:
        log.send("alerts", source, encode(alert(source, 1, START_MS - 1_000)))
    project()

    assert given == [f"{source}-0" for source in sources]
    assert sorted(row["id"] for row in client.rest()) == [f"{source}-1" for source in sources]


def test_an_alert_that_was_raised_before_what_was_given_of_it_comes_again_and_pushes_none_out(
    session: Connection, log: Log, project: Callable[[], None]
) -> None:
    source = uuid4().hex[:8]
    client = Client(session, "alerts", limit=2)
    client.rest()
    for number in range(4):
        log.send("alerts", source, encode(alert(source, number, START_MS)))
    project()
    assert [row["id"][-1] for row in client.take()] == ["0", "1"]

    log.send("alerts", source, encode(alert(source, 0, START_MS - 1)))
    project()

    assert [row["id"][-1] for row in client.rest()] == ["2", "3", "0"]


def write_limits(stack: TestStack, account: str, time_ms: int) -> None:
    """An account's limits, as a writer whose clock stands there writes them."""
    append_reference(
        stack.kafka, KEYS, FixedClock(time_ms * 1000),
        lambda known: [no_limits(account)] if account not in {getattr(r, "account", "") for r in known} else [],
    )  # fmt: skip


def test_reference_goes_on_by_number_where_the_time_of_writing_goes_back(
    session: Connection, own_stack: TestStack, project: Callable[[], None]
) -> None:
    client = Client(session, "reference", limit=1)
    client.rest()
    names = [f"ref{uuid4().hex[:8]}" for _ in range(4)]
    for name, time_ms in zip(names, (9_000, 9_000, 2_000, 1_000), strict=True):
        write_limits(own_stack, name, START_MS + time_ms)
    project()

    assert [row["subject"] for row in client.rest()] == names
    assert client.take() == []
    write_limits(own_stack, late := names[0] + "x", START_MS)
    project()
    assert [row["subject"] for row in client.rest()] == [late]


def test_a_position_that_changes_is_given_again_and_pushes_none_out(
    session: Connection, own_stack: TestStack, log: Log, project: Callable[[], None]
) -> None:
    day = Day(own_stack, log)
    moved = [r for r in day.account.said if isinstance(r, PositionChanged)][-1]
    number = 1 + max(r.out_seq for r in day.account.said if type(r).__name__ in
                     ("PositionChanged", "EquityMarked", "PnlAttributed"))  # fmt: skip
    us = day.account.us + 1_000

    def change(position: int, volume: float, at_us: int) -> None:
        nonlocal number
        told: Any = {"account": day.name, "out_seq": number, "taken_us": at_us}
        record = dataclasses.replace(moved, **told, position=position, volume=volume)
        log.send("portfolio", day.name, encode(record), day.partition)
        number += 1

    project()
    client = Client(session, "positions", account=day.name, limit=2)
    client.rest()
    for position in (101, 102, 103):
        change(position, 0.1, us)
    project()
    first = client.take()
    change(101, 0.2, us + 5_000)
    project()
    then = client.rest()
    change(102, 0.3, us + 6_000)
    project()

    assert [row["position"] for row in first] == [101, 102]
    assert [(row["position"], row["volume"]) for row in then] == [(103, 0.1), (101, 0.2)]
    assert [(row["position"], row["volume"]) for row in client.rest()] == [(102, 0.3)]


def test_records_of_an_account_whose_times_are_passed_are_given(
    session: Connection, own_stack: TestStack, log: Log, project: Callable[[], None]
) -> None:
    answers = ("executions", "commands", "journal", "orders", "fills", "decisions", "pnl")
    first = Day(own_stack, log)
    project()
    clients = {what: Client(session, what, limit=2) for what in answers}
    before = {what: client.rest() for what, client in clients.items()}

    late = Day(own_stack, log)
    project()

    for what, client in clients.items():
        rows = client.rest()
        assert first.name in {row["account"] for row in before[what]}
        assert {row["account"] for row in rows} == {late.name}
        assert rows == Client(session, what, account=late.name).rest()


def test_the_newest_rows_are_a_place_to_go_on_from(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(100)
    for number in range(4):
        log.send("signals", listing, value_of(signal(listing, number)))
    project()
    client = Client(session, "signals", symbol=listing, limit=2)
    newest = client.take(newest=True)
    log.send("signals", listing, value_of(signal(listing, 4, time_ms=START_MS)))
    project()

    assert [row["id"][-2:] for row in newest] == ["/2", "/3"]
    assert [row["id"][-2:] for row in client.rest()] == ["/4"]


def test_an_answer_without_rows_gives_a_place_to_go_on_from(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(1)
    project()
    clients = [Client(session, what, symbol=listing) for what in ("signals", "bars", "sources", "ticks")]
    for client in clients[:3]:
        assert client.take() == []
    log.send("signals", listing, value_of(signal(listing, 0)))
    send_bar(log, listing, 0, Timeframe.M1, 0)
    project()

    assert [len(client.rest()) for client in clients] == [1, 1, 0, 1]


@pytest.mark.parametrize("limit", [3, 500])
def test_ticks_of_a_time_go_on_where_broken_ones_lie_before_and_behind(
    session: Connection, log: Log, listing: str, project: Callable[[], None], limit: int
) -> None:
    feed = Feed(log, listing)
    feed.open()
    quality = np.zeros(10, np.int32)
    quality[[2, 7]] = Quality.BACKWARDS
    feed.write(10, quality=quality)
    project()

    for times in ({"from_time": iso_ms(START_MS + 100)}, {"to_time": iso_ms(START_MS + 1_000)}):
        rows = Client(session, "ticks", symbol=listing, limit=limit, **times).rest()
        assert [row["n"] for row in rows] == list(range("from_time" in times, 10))


def test_a_database_that_names_no_log_yet_is_asked_again(session: Connection, project: Callable[[], None]) -> None:
    cursor = page(session, Asked("alerts"))["next"]

    with session.transaction(force_rollback=True):
        session.execute("delete from tickledger.log")
        with pytest.raises(NotReady, match="names no log yet"):
            page(session, Asked("alerts", cursor=cursor))


def test_a_database_that_is_made_again_takes_no_cursor_until_it_has_what_was_given(
    session: Connection, log: Log, project: Callable[[], None]
) -> None:
    source = uuid4().hex[:8]
    for number in range(3):
        log.send("alerts", source, encode(alert(source, number, START_MS)))
    project()
    client = Client(session, "alerts", limit=2)
    client.take()

    with session.transaction(force_rollback=True):
        session.execute("delete from tickledger.marks where topic = 'alerts'")
        session.execute("delete from tickledger.alerts")
        with pytest.raises(NotReady, match="made again from the log"):
            client.take()

    assert len(client.rest()) == len(Client(session, "alerts").rest()) - 2


def packed(value: Any) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(value).encode())).decode().rstrip("=")


def unpacked(cursor: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))))
    return found


def test_a_cursor_of_another_question_is_refused(session: Connection, project: Callable[[], None]) -> None:
    cursor = page(session, Asked("alerts"))["next"]

    for other in (Asked("sources"), Asked("alerts", from_time="2014-05-06"), Asked("alerts", to_time="2014-05-06")):
        with pytest.raises(BadQuestion, match="of another question"):
            page(session, other._replace(cursor=cursor))
    with session.transaction(force_rollback=True):
        session.execute("update tickledger.log set cluster_id = 'another'")
        with pytest.raises(BadQuestion, match="of another log"):
            page(session, Asked("alerts", cursor=cursor))


@pytest.mark.parametrize(
    "change",
    [
        {"low": {"alerts/0": -1}},
        {"low": {"alerts/0": 2**63}},
        {"low": {"alerts/0": "1"}},
        {"low": [1]},
        {"high": 3},
        {"after": [1, 2]},
        {"after": ["2014-05-06 00:00:00+00", {}]},
        {"after": ["no time", "x"]},
        {"after": ["2014-05-06 00:00:00+00"]},
        {"after": ["2014-05-06 00:00:00+00", "\x00"]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_cursor_that_no_answer_gave_is_refused(
    session: Connection, project: Callable[[], None], change: dict[str, Any]
) -> None:
    ends = unpacked(page(session, Asked("alerts"))["next"])
    whole = {"of": ends["of"], "high": ends["low"], "after": ["2014-05-06 00:00:00+00", "x"]}
    page(session, Asked("alerts", cursor=packed(whole)))

    with pytest.raises(BadQuestion, match="none that an answer gave: begin without one"):
        page(session, Asked("alerts", cursor=packed(whole | change)))


def test_a_place_that_no_bar_has_is_refused(
    session: Connection, log: Log, listing: str, project: Callable[[], None]
) -> None:
    send_bar(log, listing, 0, Timeframe.M1, 0)
    project()
    asked = Asked("bars", symbol=listing)
    ends = unpacked(page(session, asked)["next"])

    for after in (["x", listing, 1, 0], [0, "no/LISTING", 1, 0], [0], [2**70, listing, 1, 0]):
        cursor = packed({"of": ends["of"], "high": ends["low"], "after": after})
        with pytest.raises(BadQuestion, match="begin without one"):
            page(session, asked._replace(cursor=cursor))


def test_a_cursor_that_would_unpack_to_a_mountain_is_refused(session: Connection) -> None:
    with pytest.raises(BadQuestion, match="begin without one"):
        page(session, Asked("alerts", cursor=packed({"low": "x" * 30_000_000})))
