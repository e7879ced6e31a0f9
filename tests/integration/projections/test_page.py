"""The page in a real browser, over the API of a database that a day has filled."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import uvicorn

from api.server.app import make_app
from api.server.market import Market
from infra.stack import ports
from tests.browser import opened
from tests.conftest import TestStack
from tests.integration.projections.account_day import Day
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import Feed, Log, bar, value_of

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture(scope="module")
def address(own_stack: TestStack, log: Log) -> Iterator[str]:
    """Where the page of an account's day is served."""
    day = Day(own_stack, log, "aaa")  # the page shows the first account by name, and the log has others
    feed = Feed(log, f"{day.name}/EURUSD")
    feed.open()
    feed.write(1_200)
    log.send("bars", feed.listing, value_of(bar(feed.listing, 0)))
    with new_database(own_stack) as dsn:
        projecting(own_stack, dsn)()
        held = ports.hold("api.port", 0)
        port = held.getsockname()[1]
        app = make_app(own_stack.settings, dsn, Market(own_stack.settings))
        config = uvicorn.Config(
            app, host=ports.ADDRESS, port=port, log_config=None, timeout_graceful_shutdown=1, lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([held],), daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.05)
        yield f"http://{ports.ADDRESS}:{port}/?listing={day.name}/EURUSD"
        server.should_exit = True
        thread.join(10)


def test_it_fills_and_a_fill_opens_its_audit_walk(address: str) -> None:
    with opened() as (page, wrong):
        page.goto(address)
        page.locator("#fills tr.link").first.wait_for()
        # Each section comes by itself, and this one last.
        page.locator("#services", has_text="kafka").wait_for()

        assert page.locator("#connection").inner_text() == "live"
        assert "kafka" in page.locator("#services").inner_text()
        assert "executions" in page.locator("#topics").inner_text()
        assert "/EURUSD" in page.locator("#feeds").inner_text()
        assert "FILLED" in page.locator("#orders").inner_text()
        assert "halted" in page.locator("#decisions").inner_text()
        assert "HALTED" in page.locator("#trading").inner_text()
        rows = [row.split("\t") for row in page.locator("#pnl").inner_text().splitlines()[1:]]
        assert [row[0] for row in rows] == ["one", "all"]
        assert rows[0][2:] == rows[1][2:]
        assert rows[1][-1] == "-0.70"
        assert page.locator("#controls").is_hidden()

        page.locator("#fills tr.link").last.click()
        page.locator("#walk[open]").wait_for()
        walk = page.locator("#walk").inner_text().lower()

        parts = ("fill", "deal", "order", "decision", "checks", "verdict")
        assert [part for part in parts if part not in walk] == []
        assert wrong == []


def test_it_is_walked_by_keyboard_and_tables_that_say_the_same_stay_as_they_are(address: str) -> None:
    with opened() as (page, wrong):
        page.goto(address)
        page.locator("#fills tr.link").first.wait_for()
        assert "none" in page.locator("#positions").inner_text()

        page.locator("#fills tr.link").first.focus()
        page.wait_for_timeout(1_000)
        page.keyboard.press("Enter")
        page.locator("#walk[open]").wait_for()
        page.keyboard.press("Escape")
        page.locator("#walk:not([open])").wait_for(state="attached")

        assert page.evaluate("document.activeElement.dataset.id") == page.locator("#fills tr.link").first.get_attribute(
            "data-id"
        )
        assert wrong == []


def test_it_can_be_read_on_a_phone(address: str) -> None:
    with opened(width=390, height=800) as (page, wrong):
        page.goto(address)
        page.locator("#fills tr.link").first.wait_for()

        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert wrong == []
