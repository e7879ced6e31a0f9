"""An account's day on the log: entered, stopped out, halted, denied."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import uuid4

from infra.account_log import AccountWriter
from infra.clock import FixedClock
from infra.reference_log import append_reference
from schemas.executions import CommandKind, DealReason, Execution
from schemas.journal import EntryKind, JournalSource
from schemas.journal_codec import Head as EntryHead
from schemas.journal_codec import encode_taken
from schemas.registry import encode, seal
from schemas.trading import Decided, Submitted
from tests.conftest import TestStack
from tests.integration.projections.scripted import KEYS, START_MS, Log
from tests.unit.streams.desk import account as desk

TOPIC_OF = {
    "Denied": "orders", "Submitted": "orders", "ModifyRequested": "orders", "OrderChanged": "orders", "Fill": "fills",
    "RiskDecision": "risk", "TradingStateChanged": "risk", "PositionChanged": "portfolio",
    "EquityMarked": "portfolio", "PnlAttributed": "portfolio",
}  # fmt: skip


class Day:
    """An account that has entered, been stopped out, been denied and halted; all of it is on the log."""

    def __init__(self, stack: TestStack, log: Log, prefix: str = "acc") -> None:
        self.name = f"{prefix}{uuid4().hex[:8]}"
        self.partition = int(uuid4().hex[:2], 16) % 64
        self.clock = FixedClock(START_MS * 1000)
        self._stack, self._log = stack, log
        config = dataclasses.replace(desk.CONFIG, account=self.name, partition=self.partition)
        append_reference(stack.kafka, KEYS, self.clock, lambda known: [config] if config.account not in
                         {getattr(r, "account", "") for r in known} else [])  # fmt: skip
        self.account = desk.Account()
        self.log = log
        self._executions = self._writer("executions")
        self._run()

    def _writer(self, topic: str, **options: Any) -> AccountWriter:
        writer = AccountWriter(self._stack.kafka, KEYS, self.clock, topic, self.name, self.partition, **options)
        writer.open()
        return writer

    def _run(self) -> None:
        account = self.account
        order = desk.one(account.enter(desk.LONG, stop_distance=0.001, target_distance=0.002), Submitted)
        self.order = order
        self._say(account.said)
        self._report(account.deal_of(order, 1.10002))
        self._report(account.deal_of(order, 1.0990, side=desk.SHORT, entry=desk.DealEntry.OUT, reason=DealReason.SL))
        with self._executions as writer:
            writer.drain()
        self._say_since(account.command(CommandKind.HALT))
        self._say_since(account.enter(desk.LONG, stop_distance=0.001))
        with self._writer("commands") as commands:
            commands.write(desk.Command(**desk.FACT, kind=CommandKind.HALT, who="ann", why="news", argument="",
                                        valid_until_us=0))  # fmt: skip
            commands.drain()
        self._journal()

    def _report(self, execution: Execution) -> None:
        self._executions.write(execution)
        self._say_since(self.account.take(execution))

    def _say_since(self, said: list[Decided]) -> None:
        self._say(said)

    def _say(self, said: list[Decided]) -> None:
        for record in said:
            moved = dataclasses.replace(record, account=self.name)
            if hasattr(moved, "key_id"):
                value = seal(dataclasses.replace(moved, key_id="k-test"), TOPIC_OF[type(moved).__name__], KEYS)
            else:
                value = encode(moved)
            self._log.send(TOPIC_OF[type(moved).__name__], self.name, value, self.partition)

    def _journal(self) -> None:
        def opening(epoch: int, nonce: bytes) -> bytes:
            head = EntryHead(JournalSource.PAPER, self.name, epoch, nonce, 0, "k-test", bytes(16))
            return encode_taken(EntryKind.OPEN, head, START_MS * 1000, "", -1, b"")

        with self._writer("journal", opening=opening) as writer:
            head = writer.head
            entry = EntryHead(JournalSource.PAPER, self.name, head.epoch, head.nonce, 1, "k-test", head.mac)
            writer.write(encode_taken(EntryKind.INPUT, entry, START_MS * 1000 + 1, "executions", 1, b"bytes"))
            writer.drain()
