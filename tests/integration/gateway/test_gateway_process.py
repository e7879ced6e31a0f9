"""The gateway as a process, killed, stopped and cut off: each order is at the terminal once, and the log has it all.

One account and its terminal serve all tests; each starts gateways of its own and leaves log and terminal agreeing.
"""

from __future__ import annotations

import dataclasses
import random
import signal
import time
from collections.abc import Iterator

import pytest

from infra.settings import load_settings
from infra.stack.services import FENCED
from producers.gateway.direct import flatten
from producers.gateway.gateway import TOGETHER
from schemas.events import Side
from schemas.executions import Accepted, Canceled, Expired, Filled, OrderRequest, Rejected, Sending
from schemas.registry import seal
from tests.conftest import TestStack
from tests.integration.gateway.trading import Trading, trading, until

pytestmark = [pytest.mark.stack, pytest.mark.kill, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def market(stack: TestStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    with trading(stack, tmp_path_factory.mktemp("gateway")) as own:
        yield own


@pytest.fixture
def account(market: Trading) -> Iterator[Trading]:
    """The account, with no gateway at work before and after."""
    yield market
    market.end_gateways()
    market.control.clear_faults()


def test_orders_go_to_the_terminal_and_what_came_of_them_to_the_log(account: Trading) -> None:
    gateway = account.ready(account.start())
    bid = account.mt5.symbol_info_tick("EURUSD").bid
    first = account.ask(account.entry(sl=round(bid - 0.01, 5)))
    position = account.filled(first.order_no).position
    account.ask(account.modify(first.order_no, position, round(bid - 0.008, 5)))
    resting = account.ask(account.limit(round(bid - 0.02, 5)))
    account.ask(account.cancel(resting.order_no))
    late = account.ask(account.entry(valid_until_us=account.clock.now_us() - 1))
    refused = account.ask(account.entry(volume=0.015))
    left = account.ask(account.leave(position))
    account.filled(left.order_no)
    until(lambda: account.executions(Canceled), show=account.said)
    assert [(a.order_no, a.request) for a in account.executions(Accepted)] == [
        (first.order_no, OrderRequest.PLACE),
        (first.order_no, OrderRequest.MODIFY),
        (resting.order_no, OrderRequest.PLACE),
        (left.order_no, OrderRequest.PLACE),
    ]
    assert [e.order_no for e in account.executions(Expired)] == [late.order_no]
    assert [(r.order_no, r.retcode) for r in account.executions(Rejected)] == [(refused.order_no, 10014)]
    account.agree()
    gateway.terminate()
    assert gateway.wait(60) == 0
    # A machine that stands for two seconds lets the gateway wait for the log.
    assert not account.alerts().keys() - {"log_silent", "log_back"}


def test_forged_and_early_orders_are_not_sent(account: Trading) -> None:
    account.ready(account.start())
    before = len(account.executions())
    forged = dataclasses.replace(account.entry(), account=account.name, key_id=account.keys.current)
    account.put(seal(forged, "signals", account.keys))
    first, second = account.entry(), account.entry()
    due = account.next_out_seq
    account.ask(second, out_seq=due + 1)
    until(lambda: {"forged_record", "output_missing"} <= set(account.alerts()))
    assert len(account.executions()) == before
    account.ask(first)
    account.ask(second)
    account.filled(second.order_no)
    placed = [s.order_no for s in account.executions()[before:] if isinstance(s, Sending)]
    assert placed == [first.order_no, second.order_no]
    account.agree()


def test_killed_at_any_moment_nothing_is_doubled_or_lost(account: Trading) -> None:
    moments = random.Random(11)
    gateway = account.ready(account.start())
    bid = account.mt5.symbol_info_tick("EURUSD").bid
    asked: list[int] = []
    for turn in range(3):
        kill_at = time.monotonic() + moments.uniform(0.05, 0.4)
        # No more than a busy machine sends to its terminal in a few seconds.
        for _ in range(TOGETHER * 5):
            if time.monotonic() >= kill_at:
                break
            side = moments.choice((Side.LONG, Side.SHORT))
            stop = round(bid + (-0.02 if side is Side.LONG else 0.02), 5)
            asked.append(account.ask(account.entry(side, 0.01, sl=stop)).order_no)
        # What is left until the moment that was drawn: at work on them, or done.
        time.sleep(max(0.0, kill_at - time.monotonic()))
        gateway.kill()
        gateway.wait()
        if turn % 2:
            account.control.fault("lost", call="order_send", times=1)
        for position in account.mt5.positions_get()[-2:]:
            side = Side.SHORT if position.type == 0 else Side.LONG
            asked.append(account.ask(account.leave(position.ticket, side, position.volume)).order_no)
        gateway = account.ready(account.start())
    account.done(asked)
    account.agree()


def test_a_stopped_gateway_that_is_replaced_wakes_to_nothing(account: Trading) -> None:
    first = account.ready(account.start())
    account.filled(account.ask(account.entry()).order_no)
    assert account.start().wait(60) == FENCED, "the one at work is left alone"
    assert first.poll() is None
    first.send_signal(signal.SIGSTOP)
    waiting = account.ask(account.entry())
    second = account.ready(account.start())
    account.filled(waiting.order_no)
    first.send_signal(signal.SIGCONT)
    assert first.wait(10) == -signal.SIGKILL
    account.filled(account.ask(account.entry()).order_no)
    account.agree()
    assert second.poll() is None


def test_a_terminal_that_hangs_or_answers_late_is_waited_for(account: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(account.environment, "TICKLEDGER_TERMINAL__TIMEOUT_MS", "3000")
    account.ready(account.start())
    before = len(account.executions())
    account.control.fault("lost", call="order_send", times=1)
    account.control.fault("late", call="positions_get", seconds=0.5, times=2)
    first = account.ask(account.entry())
    account.filled(first.order_no)
    account.control.fault("hang", call="order_send", seconds=4.0, times=1)
    hung, after = account.ask(account.entry()), account.ask(account.entry())
    account.done([hung.order_no, after.order_no])
    sent = [s.order_no for s in account.executions()[before:] if isinstance(s, Sending)]
    assert sent == [first.order_no, hung.order_no, after.order_no]
    account.agree()


def test_flattening_without_the_log_is_found_by_the_gateway(account: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = account.ready(account.start())
    account.filled(account.ask(account.entry(Side.SHORT)).order_no)
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    said: list[str] = []
    left = flatten(load_settings(), account.name, who="ada", why="no broker", say=said.append)
    assert left.exit_code == 0
    assert gateway.wait(10) == -signal.SIGKILL
    assert account.mt5.positions_get() == ()
    account.ready(account.start())
    until(lambda: len({f.deal for f in account.executions(Filled)}) == len(account.deals()), show=account.said)
    account.agree()
    flattened = [f for f in account.executions(Filled) if f.order_no == 0]
    assert len(flattened) == len(said) - 2
    assert account.alerts().keys() & {"unknown_deal", "flattened_directly"} == {"flattened_directly"}
