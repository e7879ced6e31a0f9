"""What reaches an account, on a real broker: all of it is in its journal, once, in the one order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from infra.account_log import AccountWriter
from infra.chain_follower import ChainStopped, Fenced
from infra.clock import FixedClock
from infra.errors import TickledgerError, Unreachable
from infra.kafka import end_of, read_range
from schemas.accept import Head, Verdict
from schemas.configuration import AccountConfig
from schemas.events import Signal
from schemas.executions import Command, CommandKind
from schemas.integrity import KeyRing
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.registry import decode, encode, seal
from streams.operators.desk import Desk
from streams.sequencer.place import find_place
from streams.sequencer.taken_clock import TakenClock
from tests.integration.sequencer.account import SECOND, T0, Account, adopted, write_ticks

pytestmark = pytest.mark.stack

R = TypeVar("R")


def inputs(count: int) -> Callable[[list[JournalEntry]], bool]:
    return lambda entries: sum(e.kind is EntryKind.INPUT for e in entries) >= count


def taken(entry: JournalEntry, kind: type[R]) -> R:
    """The record that the entry took."""
    record = decode(entry.input)
    assert isinstance(record, kind)
    return record


def clocks(entries: list[JournalEntry]) -> list[JournalEntry]:
    return [e for e in entries if e.kind is EntryKind.CLOCK]


def test_all_that_concerns_the_account_is_taken_byte_for_byte_and_nothing_else(account: Account) -> None:
    account.configure()
    stranger = Account(account.kafka, account.partition)
    stranger.configure()
    with account.sequenced():
        made = account.signal()
        account.signal("untraded")
        stranger.signal()
        account.write(account.command(why="of ours"))
        stranger.write(stranger.command(why="of others on the same partition"))
        account.signal()
        found = account.wait_for(inputs(3))
    kinds = [e.kind for e in found if e.kind is not EntryKind.CLOCK]
    assert kinds == [EntryKind.REFERENCE] * 3 + [EntryKind.INPUT] * 3
    told = [e for e in found if e.kind is EntryKind.INPUT]
    assert sorted((e.stream, e.stream_seq) for e in told) == [
        ("commands", 1), (account.stream, 0), (account.stream, 1)
    ]  # fmt: skip
    first = taken(next(e for e in told if e.stream == account.stream), Signal)
    assert dataclasses.replace(first, mac=made.mac) == made
    assert all(encode(decode(e.input)) == e.input for e in found if e.input)
    times = [e.taken_us for e in found]
    assert times == sorted(set(times))
    assert {(e.source, e.account) for e in found} == {(JournalSource.PAPER, account.name)}
    assert set(account.verdicts()) == {Verdict.TAKE}


def test_signals_from_before_the_first_open_are_not_taken_and_all_of_its_own_chains_is(account: Account) -> None:
    account.configure()
    for _ in range(3):
        account.signal()
    account.write(account.command(CommandKind.HALT))
    account.write(adopted(account, 7))
    with account.sequenced():
        account.signal()
        found = account.wait_for(inputs(3))
    told = [(e.stream, e.stream_seq) for e in found if e.kind is EntryKind.INPUT]
    assert told == [("commands", 1), ("executions", 1), (account.stream, 3)]
    opening = account.opens()[0]
    assert dict(zip(opening.mark_streams, opening.mark_seqs, strict=True))[account.stream] == 2


def test_a_second_that_passes_is_taken_with_the_quotes_that_are_new_and_also_without_one(account: Account) -> None:
    account.configure()
    with account.tick_writer() as recorder:
        recorder.open()
        write_ticks(recorder, T0 + 400_000, [1.1, 1.2])
        write_ticks(recorder, T0 + 900_000, [1.3])
        write_ticks(recorder, T0 + 950_000, [9.9], broken=True)
        recorder.drain()
    # It has read them all when it begins: one of them that it reads later is one second's, or the next one's.
    with account.sequenced():
        account.clock.advance(SECOND)
        first = account.wait_for(lambda entries: any(e.clock_n for e in entries))
        account.clock.advance(SECOND)
        count = len(clocks(first))
        then = account.wait_for(lambda entries: len(clocks(entries)) > count)
    quoted = next(e for e in clocks(first) if e.clock_n)
    assert (quoted.clock_names, quoted.clock_n, quoted.clock_bid) == ((account.listing,), (2,), (1.3,))
    assert quoted.clock_ask == (1.3 + 2e-5,)
    assert quoted.clock_us == (quoted.taken_us,)
    last = clocks(then)[-1]
    assert (last.taken_us, last.clock_us) == (T0 + 2 * SECOND, ())
    assert all(e.taken_us % SECOND == 0 for e in clocks(then))


def test_a_forged_signal_is_alerted_and_not_taken(account: Account) -> None:
    account.configure()
    stranger = KeyRing({account.keys.current: bytes(range(1, 33))}, account.keys.current)
    with account.sequenced():
        made = account.signal()
        bad = dataclasses.replace(made, out_seq=1)
        offset = account.put_signal(seal(bad, "signals", stranger))
        account.write(account.command())
        found = account.wait_for(inputs(2))
    assert sorted(e.stream for e in found if e.kind is EntryKind.INPUT) == ["commands", account.stream]
    assert [(a.code, a.offset) for a in account.alerts()] == [("forged_record", offset)]


def test_a_signal_that_outruns_the_configuration_that_has_it_traded_waits_for_it(account: Account) -> None:
    account.configure()
    with account.sequenced():
        last = account.configure(account.strategy("late"), account.activation("late"))
        account.signal("late", ref_no=last)
        found = account.wait_for(inputs(1))
    kinds = [(e.kind.name, type(decode(e.input)).__name__) for e in found if e.kind is not EntryKind.CLOCK]
    assert kinds[-2:] == [("REFERENCE", "StrategyConfig"), ("INPUT", "Signal")]


def test_a_config_that_would_move_the_account_is_left_out_and_said(account: Account) -> None:
    account.configure()
    with account.sequenced():
        account.configure(account.config(feed="elsewhere"))
        account.configure(account.config(leverage=10.0))
        found = account.wait_for(
            lambda entries: any(getattr(decode(e.input), "leverage", 0) == 10.0 for e in entries if e.input)
        )
    configs = [one for e in found if e.input and isinstance(one := decode(e.input), AccountConfig)]
    assert [(c.feed, c.leverage) for c in configs] == [(account.feed, 100.0), (account.feed, 10.0)]
    assert [a.code for a in account.alerts()] == ["account_moved"]


def test_it_goes_on_where_its_journal_says_and_begins_to_read_near_the_end(account: Account) -> None:
    account.configure()
    with account.sequenced():
        for _ in range(3):
            account.signal()
        account.write(account.command())
        account.wait_for(inputs(4))
        account.clock.advance(60 * SECOND)
        account.wait_for(lambda entries: any(e.kind is EntryKind.CLOCK and e.mark_streams for e in entries))
    account.signal()
    account.write(account.command(CommandKind.FLATTEN), account.command())
    place, start = find_place(account.kafka, account.keys, account.name, account.partition)
    assert place.marks[account.stream] == 2
    end = end_of(account.kafka, "journal", account.partition)
    assert start.scanned_to == end
    with account.sequenced():
        account.signal()
        account.wait_for(inputs(8))
    expected = [(account.stream, n) for n in range(5)], [("commands", n) for n in (1, 2, 3)]
    told = account.inputs()
    assert tuple([one for one in told if one[0] == stream] for stream in (account.stream, "commands")) == expected
    assert set(account.verdicts()) == {Verdict.TAKE}
    references = [e.stream_seq for e in account.journal() if e.kind is EntryKind.REFERENCE]
    assert references == sorted(set(references)), "configuration is taken once"


def test_a_second_sequencer_takes_over_and_the_first_ends(account: Account) -> None:
    account.configure()
    first = account.sequencer()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(first.run, lambda: None)
        account.wait_for(lambda entries: len(entries) >= 3)
        account.signal()
        account.wait_for(inputs(1))
        with account.sequenced():
            account.signal()
            account.wait_for(inputs(2))
            with pytest.raises(Fenced, match=r"another writer opened journal/.* \(epoch 2\): this one has ended"):
                run.result(30)
    assert account.inputs() == [(account.stream, 0), (account.stream, 1)]
    assert set(account.verdicts()) <= {Verdict.TAKE, Verdict.VOID}


def test_a_clock_that_is_behind_the_journal_takes_nothing_until_it_gets_there(account: Account) -> None:
    account.configure()
    with account.sequenced():
        account.signal()
        account.wait_for(inputs(1))
    late = FixedClock(account.clock.now_us() - 10 * SECOND)
    before = end_of(account.kafka, "journal", account.partition)
    sequencer = account.sequencer(late)
    account.signal()
    with account.stopped_at_end(sequencer):
        account.wait_for_alert("clock_behind")
        assert end_of(account.kafka, "journal", account.partition) == before
        late.advance(10 * SECOND)
        account.wait_for(inputs(2))


class SetWall(FixedClock):
    """A wall clock that is set by hand, beside a monotonic clock that goes on."""

    def __init__(self, now_us: int) -> None:
        super().__init__(now_us)
        self.monotonic_us = 0

    def monotonic_ns(self) -> int:
        return self.monotonic_us * 1000


@pytest.mark.parametrize("by_s", [3600, -3600])
def test_a_wall_clock_that_was_set_halts_the_account_in_a_new_epoch(account: Account, by_s: int) -> None:
    account.configure()
    wall = SetWall(T0)
    with account.sequenced(TakenClock(wall, wall.monotonic_ns)):
        account.signal()
        account.wait_for(inputs(1))
        wall.advance(by_s * SECOND)
        account.signal()
        found = account.wait_for(inputs(3))
    halt = taken(next(e for e in found if e.stream == "commands"), Command)
    assert (halt.kind, halt.who) == (CommandKind.HALT, "sequencer")
    assert halt.why == f"the machine's clock was set by {by_s:+.1f} s"
    assert [e.epoch for e in account.opens()] == [1, 2]
    times = [e.taken_us for e in found]
    assert times == sorted(set(times))
    assert (times[-1] >= T0 + 3600 * SECOND) == (by_s > 0), "time that was taken at doesn't come again"
    assert [a.code for a in account.alerts()] == ["clock_set"]


def failing_writer(error: TickledgerError, times: int) -> type[AccountWriter]:
    """A writer that fails so often when it opens, as one does whose broker is away."""
    left = [error] * times

    class Failing(AccountWriter):
        def open(self) -> Head:
            if left:
                raise left.pop()
            return super().open()

    return Failing


def test_a_halt_that_the_log_cannot_take_is_kept_and_nothing_is_taken_before_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.configure()
    wall = SetWall(T0)
    with account.sequenced(TakenClock(wall, wall.monotonic_ns)):
        account.signal()
        account.wait_for(inputs(1))
        writer = failing_writer(Unreachable("no broker"), 3)
        monkeypatch.setattr("streams.sequencer.sequencer.AccountWriter", writer)
        wall.advance(3600 * SECOND)
        account.wait_for_alert("clock_set")
        account.signal()
        found = account.wait_for(inputs(3))
    assert [e.stream for e in found if e.kind is EntryKind.INPUT] == [account.stream, "commands", account.stream]


def test_a_halt_that_a_sequencer_owed_when_it_ended_is_written_first_by_the_next(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.configure()
    wall = SetWall(T0)
    sequencer = account.sequencer(TakenClock(wall, wall.monotonic_ns))
    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        writer = failing_writer(ChainStopped("it stands still"), 1)
        patched.setattr("streams.sequencer.sequencer.AccountWriter", writer)
        run = pool.submit(sequencer.run, lambda: wall.advance(3600 * SECOND))
        with pytest.raises(ChainStopped):
            run.result(60)
    account.signal()
    with account.sequenced(wall):
        found = account.wait_for(inputs(2))
    assert [e.stream for e in found if e.kind is EntryKind.INPUT] == ["commands", account.stream]
    assert taken(next(e for e in found if e.stream == "commands"), Command).kind is CommandKind.HALT
    assert not account.sequencer().owed.why


def test_a_clock_that_was_set_just_before_a_sequencer_ends_is_not_forgotten(account: Account) -> None:
    account.configure()
    wall = SetWall(T0)
    with account.sequenced(TakenClock(wall, wall.monotonic_ns)) as sequencer:
        sequencer.stop.set()
        wall.advance(3600 * SECOND)
    assert account.sequencer().owed.why == "the machine's clock was set by +3600.0 s"


def test_the_desk_folds_what_the_sequencer_writes_and_idle_clocks_change_nothing(account: Account) -> None:
    account.configure()
    with account.tick_writer() as recorder, account.sequenced():
        recorder.open()
        for _ in range(4):
            write_ticks(recorder, account.clock.now_us(), [1.10000])
            recorder.drain()
            account.clock.advance(SECOND)
            account.signal()
        for _ in range(3):
            count = len(account.wait_for(inputs(4)))
            account.clock.advance(SECOND)
            found = account.wait_for(lambda entries, least=count: len(entries) > least)  # type: ignore[misc]
    desk = Desk()
    said = [desk.fold(state, e) for state in [desk.initial(account.name)] for e in found]
    assert any(type(one).__name__ == "Submitted" for out in said for one in out)
    needed = [e for e in found if e.kind is not EntryKind.CLOCK or e.clock_n]
    # Of the last three one may bring quotes: they come up to 20 ms late.
    assert len(needed) <= len(found) - 2
    again = [desk.fold(state, e) for state in [desk.initial(account.name)] for e in needed]
    assert [one for out in again for one in out] == [one for out in said for one in out]


def test_a_journal_anchor_witnesses_an_entry_with_marks(account: Account) -> None:
    account.configure()
    with account.sequenced():
        account.signal()
        account.wait_for(inputs(1))
    anchor = account.anchor("journal")
    for batch in read_range(account.kafka, "journal", account.partition, anchor.offset, anchor.offset + 1):
        entry = decode(batch[0].value() or b"")
        assert isinstance(entry, JournalEntry)
        assert entry.mark_streams
        assert (entry.seq, entry.mac) == (anchor.seq, anchor.head_mac)


def test_a_repair_that_comes_has_all_read_again_in_a_new_epoch(account: Account) -> None:
    account.configure()
    with account.sequenced(), account.writer("executions") as gateway:
        head = gateway.open()
        gateway.write(adopted(account, 1))
        gateway.drain()
        account.wait_for(inputs(1))
        facts: dict[str, Any] = {"epoch": head.epoch, "nonce": head.nonce, "key_id": account.keys.current}
        hole = seal(dataclasses.replace(adopted(account, 3), seq=3, **facts), "executions", account.keys)
        offset = account.put_execution(hole)
        account.wait_for_alert("chain_stopped")
        following = dataclasses.replace(adopted(account, 4), seq=4, prev=hole[-16:], **facts)
        account.put_execution(seal(following, "executions", account.keys))
        account.configure(account.repair("executions", offset, hole, head._replace(seq=3, n=3, mac=hole[-16:])))
        found = account.wait_for(inputs(2))
    assert [e.stream_seq for e in found if e.stream == "executions"] == [1, 4]
    assert [e.epoch for e in account.opens()] == [1, 2]
