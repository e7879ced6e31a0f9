"""The writer of an account's chains on a real broker: opens first, reads second, follows its own chain."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import ExitStack

import pytest

from infra import account_log, outbox
from infra.account_log import (
    WINDOW_RECORDS,
    AccountFollower,
    AccountWriter,
    Taken,
    UnknownAccount,
    partition_of_account,
    read_account,
)
from infra.chain_follower import ChainStopped, Fenced, Standing, standing_of
from infra.errors import Unreachable
from infra.kafka import new_producer, send_and_wait
from schemas.accept import Head, Verdict
from schemas.executions import AccountOpen, Adopted, CommandKind
from schemas.integrity import ZERO_MAC
from schemas.registry import seal
from tests.integration.sequencer.account import T0, Account, adopted

pytestmark = pytest.mark.stack


def write(account: Account, writer: account_log.AccountWriter, count: int) -> None:
    """Hands over the next executions: number k says that position k is there."""
    for _ in range(count):
        writer.write(adopted(account, writer.head.seq + 1))


def written(account: Account) -> int:
    """How many executions the chain has; each is there once, and in order."""
    records: list[Adopted] = read_account(account.kafka, account.keys, "executions", account.name, account.partition)[0]
    assert [r.position for r in records] == list(range(1, len(records) + 1))
    return len(records)


def test_what_is_drained_is_on_the_log_and_read_back(account: Account) -> None:
    seen: list[Taken] = []
    with account.writer("executions", on_written=seen.append) as writer:
        assert writer.open() == Head(epoch=1, nonce=writer.written.nonce)
        write(account, writer, 20)
        assert writer.head.seq == 20
        writer.drain()
        assert writer.written == writer.head
        assert writer.pending == 0
    assert [t.judged.record.seq for t in seen] == list(range(1, 21))
    assert written(account) == 20
    assert account.verdicts("executions") == {Verdict.TAKE: 21}


def test_a_record_gets_its_chain_its_account_and_its_time_from_the_writer(account: Account) -> None:
    account.write(account.command(CommandKind.HALT, why="why"), account.command(CommandKind.RESUME))
    (first, second), head = read_account(account.kafka, account.keys, "commands", account.name, account.partition)
    assert (first.kind, first.why, first.seq, first.epoch, first.written_us) == (CommandKind.HALT, "why", 1, 1, T0)
    assert (first.account, first.prev, second.prev) == (account.name, ZERO_MAC, first.mac)
    assert head.mac == second.mac


def test_a_writer_waits_while_too_many_records_are_on_their_way(account: Account) -> None:
    with account.writer("executions") as writer:
        writer.open()
        for _ in range(2 * WINDOW_RECORDS):
            write(account, writer, 1)
            assert writer.pending <= WINDOW_RECORDS
        writer.drain()
    assert written(account) == 2 * WINDOW_RECORDS


def test_the_next_writer_goes_on_behind_an_anchor_and_reads_only_what_follows(account: Account) -> None:
    with account.writer("executions") as first:
        first.open()
        write(account, first, 5)
        first.drain()
        first.anchor()
        write(account, first, 2)
        first.drain()
    read: list[Taken] = []
    with account.writer("executions", on_record=read.append) as second:
        assert (second.open().epoch, second.head.seq) == (2, 7)
        assert [t.judged.record.seq for t in read] == [6, 7, 0]
        write(account, second, 1)
        second.drain()
    assert written(account) == 8


def test_an_anchor_whose_record_is_not_there_keeps_writers_away(account: Account) -> None:
    with account.writer("executions") as writer:
        writer.open()
        write(account, writer, 2)
        writer.drain()
        writer.anchor()
    elsewhere = account.partition ^ 1
    with pytest.raises(ChainStopped, match=r"the record at executions/.* that an anchor witnesses: its tail was cut"):
        standing_of(account.kafka, account.keys, account.name, "executions", elsewhere)


def test_a_writer_that_was_fenced_ends_and_its_late_records_are_void(account: Account) -> None:
    first = account.writer("executions")
    first.open()
    write(account, first, 3)
    first.drain()
    with account.writer("executions") as second:
        second.open()
        with pytest.raises(
            Fenced, match=r"another writer opened executions/.* \(epoch 2\): this one has ended; \d+ of"
        ):
            write(account, first, 1_000)
        first.close()
        write(account, second, 4)
        second.drain()
    assert written(account) == 7
    verdicts = account.verdicts("executions")
    assert verdicts[Verdict.VOID] >= 1
    assert set(verdicts) == {Verdict.TAKE, Verdict.VOID}


@pytest.mark.parametrize("rivals", [2, 4])
def test_of_opens_that_race_all_but_one_end_and_the_log_is_right(account: Account, rivals: int) -> None:
    for _ in range(4):
        start = threading.Barrier(rivals)
        ended: list[Exception | None] = []

        def run(writer: AccountWriter, start: threading.Barrier = start, ended: list[Exception | None] = ended) -> None:
            start.wait()
            try:
                writer.open()
                write(account, writer, 3)
                writer.drain()
                ended.append(None)
            except Fenced as error:
                ended.append(error)

        with ExitStack() as stack:
            writers = [stack.enter_context(account.writer("executions")) for _ in range(rivals)]
            threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(ended) == rivals
        assert None in ended
        written(account)
    assert set(account.verdicts("executions")) <= {Verdict.TAKE, Verdict.VOID}


def test_a_chain_that_stands_still_is_not_written_to(account: Account) -> None:
    with account.writer("executions") as writer:
        head = writer.open()
        ahead = dataclasses.replace(
            adopted(account, 9), epoch=head.epoch, nonce=head.nonce, seq=9, key_id=account.keys.current
        )
        value = seal(ahead, "executions", account.keys)
        send_and_wait(new_producer(account.kafka), "executions", account.partition, account.name, value)
        with pytest.raises(ChainStopped, match=r"the chain of executions/.* stands still: link 9 comes after link 0"):
            write(account, writer, 1_000)
    with pytest.raises(ChainStopped, match="stands still"), account.writer("executions") as next_writer:
        next_writer.open()


def test_an_open_of_executions_is_none_of_commands(account: Account) -> None:
    opening = AccountOpen(
        epoch=1, nonce=bytes(8), seq=0, account=account.name, written_us=0, key_id=account.keys.current,
        prev=ZERO_MAC, mac=ZERO_MAC,
    )  # fmt: skip
    value = seal(opening, "executions", account.keys)
    send_and_wait(new_producer(account.kafka), "commands", account.partition, account.name, value)
    assert account.verdicts("commands") == {Verdict.FORGED: 1}


def test_a_broker_that_gives_nothing_back_is_said(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "STALLED_S", 0.2)
    with account.writer("executions") as writer:
        writer.open()
        monkeypatch.setattr(writer, "follow", lambda timeout=0: None)
        write(account, writer, 1)
        with pytest.raises(Unreachable, match="gave none of the written records back"):
            writer.drain()


def test_a_reader_goes_on_where_another_stood(account: Account) -> None:
    account.write(account.command(), account.command())
    first = AccountFollower(account.kafka, account.keys, "commands", account.name, account.partition)
    assert [t.judged.record.seq for t in first.read_to()] == [0, 1, 2]
    account.write(account.command())
    second = AccountFollower(account.kafka, account.keys, "commands", account.name, account.partition, first.standing())
    assert [t.judged.record.seq for t in second.read_to()] == [0, 3]
    assert second.highest_epoch == 2
    assert isinstance(first.standing(), Standing)


def test_an_accounts_partition_is_that_of_its_first_config(account: Account) -> None:
    account.configure()
    account.configure(account.config(partition=account.partition ^ 1))
    assert partition_of_account(account.kafka, account.keys, account.name) == account.partition
    with pytest.raises(UnknownAccount, match=rf"there is no account 'nobody' on this log: it has .*{account.name}"):
        partition_of_account(account.kafka, account.keys, "nobody")
