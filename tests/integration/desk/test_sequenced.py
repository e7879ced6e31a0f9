"""From the sequencer to the desk to verify: what each writes is what the next one takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from infra.clock import FixedClock
from infra.kafka import end_of
from schemas.executions import CommandKind
from streams.desk_program import desk_activation
from streams.desk_service.partition import JournalPartition, Surroundings
from streams.outbox import Outbox
from streams.reference_follower import ReferenceFollower
from streams.report import Range, Report
from streams.verify import Verification
from tests.conftest import TestStack
from tests.integration.desk.account_day import KEYS, next_partition
from tests.integration.sequencer.account import SECOND, Account, adopted, write_ticks

pytestmark = pytest.mark.stack


@pytest.fixture
def account(broker: TestStack) -> Account:
    return Account(broker.kafka, next_partition())


def decide(account: Account) -> list[int]:
    """Has a desk fold the journal and write what it decides; the times that its mark was set to."""
    marks: list[int] = []
    outbox = Outbox(account.kafka)
    world = Surroundings(
        account.kafka, KEYS, FixedClock(1), outbox, ReferenceFollower(account.kafka, KEYS), lambda _: marks.append
    )  # fmt: skip
    JournalPartition(account.partition, world).catch_up(end_of(account.kafka, "journal", account.partition))
    assert outbox.producer.flush(30) == 0
    outbox.check()
    return marks


def verified(account: Account) -> Report:
    none: Any = None
    return Verification(account.kafka, KEYS, none, Range(account=account.name), settle_s=0.0).run()


def test_what_a_sequencer_took_is_what_lies_on_its_sources(account: Account) -> None:
    """Signals before and after a strategy is traded, reports and commands, and a sequencer that begins again."""
    account.configure(desk_activation(account.name), *account.configuration())
    account.signal()
    account.signal("not-traded")
    account.write(account.command(CommandKind.RESUME))
    with account.tick_writer() as ticks:
        ticks.open()
        with account.sequenced() as sequencer:
            write_ticks(ticks, account.clock.now_us(), [1.1, 1.10003])
            account.clock.advance(2 * SECOND)
            account.signal()
            account.signal("not-traded")
            stranger = dataclasses.replace(adopted(account, 8), listing=f"{account.feed}/XAUUSD")
            account.write(adopted(account, 7), stranger)
            account.configure(account.strategy("not-traded"))
            account.wait_for(lambda found: sum(e.stream == "executions" for e in found) == 2)
            account.wait_for(lambda found: sum(e.stream == "reference" for e in found) >= 4)
            assert not sequencer.stop.is_set()
        account.clock.advance(SECOND)
        account.write(account.command(), account.command(CommandKind.RESUME))
        with account.sequenced():
            account.signal("not-traded")
            account.signal("not-traded")
            account.signal()
            account.clock.advance(3 * SECOND)
            account.wait_for(lambda found: sum(e.stream.startswith("signals/") for e in found) >= 4)
            account.wait_for(lambda found: sum(e.stream == "commands" for e in found) >= 2)
    marks = decide(account)
    assert marks[-1] == account.journal()[-1].taken_us
    (told,) = [alert for alert in account.alerts() if alert.code == "entries_refused"]
    assert "position 8" in told.message, "of two signals that were refused for it, one alert"
    assert "XAUUSD in recorder.symbols" in told.message
    report = verified(account)
    assert report.problems == []
    assert report.exit_code == 0
    assert (report.journal, report.orders > 0, report.portfolio > 0) == (len(account.journal()), True, True)
