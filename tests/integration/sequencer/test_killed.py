"""The sequencer as a service, killed or stopped in the middle: nothing is lost, doubled or out of order."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from infra.stack.services import FENCED, REFUSED
from schemas.accept import Verdict
from tests.integration.sequencer.account import Account, adopted
from tests.integration.streams.service import Service, wait

pytestmark = [pytest.mark.stack, pytest.mark.kill]


def service(account: Account, home: Path) -> Service:
    more = {"TICKLEDGER_TRADE__ACCOUNT": account.name}
    return Service(account.kafka, home, name="sequencer", module="streams.sequencer", **more)


def missing(account: Account, expected: Counter[str]) -> Counter[str]:
    return expected - Counter(stream for stream, _ in account.inputs())


def in_order(account: Account) -> None:
    """Each number of each stream once, none left out; times ascend; no record of the chain is anything but sound."""
    journal = account.journal()
    by_stream: dict[str, list[int]] = {}
    for entry in journal:
        if entry.stream:
            by_stream.setdefault(entry.stream, []).append(entry.stream_seq)
    reference = by_stream.pop("reference")
    assert reference == sorted(set(reference))
    for stream, numbers in by_stream.items():
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), stream
    times = [e.taken_us for e in journal]
    assert times == sorted(set(times))
    assert set(account.verdicts()) <= {Verdict.TAKE, Verdict.VOID}


def test_killed_at_any_moment_and_started_again_nothing_is_lost_or_doubled(account: Account, tmp_path: Path) -> None:
    account.configure()
    moments = random.Random(7)
    expected: Counter[str] = Counter()
    with service(account, tmp_path / "home") as sequencer:
        sequencer.start().ready()
        for _ in range(4):
            until = time.monotonic() + moments.uniform(0.2, 0.8)
            while time.monotonic() < until:
                account.signal()
                expected[account.stream] += 1
            sequencer.kill()
            account.write(account.command(), account.command())
            account.write(adopted(account, 1))
            expected += Counter({"commands": 2, "executions": 1})
            sequencer.start().ready()
        wait(lambda: not missing(account, expected))
        assert sequencer.end() == 0
    assert Counter(stream for stream, _ in account.inputs()) == expected
    in_order(account)


def test_one_that_is_stopped_and_wakes_behind_another_ends_and_changes_nothing(
    account: Account, tmp_path: Path
) -> None:
    account.configure()
    expected = Counter({account.stream: 30})
    with service(account, tmp_path / "one") as one, service(account, tmp_path / "two") as two:
        one.start().ready()
        for _ in range(10):
            account.signal()
        wait(lambda: not missing(account, Counter({account.stream: 10})))
        one.process.send_signal(signal.SIGSTOP)
        two.start().ready()
        for _ in range(10):
            account.signal()
        one.process.send_signal(signal.SIGCONT)
        for _ in range(10):
            account.signal()
        assert one.process.wait(120) == FENCED
        wait(lambda: not missing(account, expected))
        assert two.end() == 0
    said = [line for line in one.lines() if line["event"] == "another sequencer has taken over"]
    assert "another writer opened journal/" in said[0]["reason"]
    assert Counter(stream for stream, _ in account.inputs()) == expected
    in_order(account)


def test_a_service_without_an_account_ends_and_one_whose_account_is_to_come_waits(
    account: Account, tmp_path: Path
) -> None:
    without = Service(account.kafka, tmp_path / "none", name="sequencer", module="streams.sequencer")
    with without:
        assert without.start().process.wait(120) == REFUSED
    assert "no account is traded in this home" in without.lines()[-1]["reason"]
    with service(account, tmp_path / "home") as waiting:
        waiting.start()
        wait(lambda: any("there is no account" in line.get("reason", "") for line in waiting.lines()))
        account.configure()
        waiting.ready()
        assert waiting.end() == 0
