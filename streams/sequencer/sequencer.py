"""An account's sequencer: epoch after epoch, from finding its place to writing the last entry."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from infra import log
from infra.account_log import AccountWriter, partition_of_account
from infra.chain_follower import Fenced
from infra.clock import Clock
from infra.errors import Unreachable
from infra.kafka import new_producer
from schemas.chains import Position
from schemas.executions import Adopted, Command, CommandKind, Filled, PartiallyFilled
from schemas.integrity import ZERO_MAC, ZERO_NONCE, KeyRing
from schemas.journal import JournalSource
from streams.alarms import Alarms
from streams.sequencer.inputs import Inputs, RepairCame, signals_so_far
from streams.sequencer.journal import JournalWriter
from streams.sequencer.owed_halt import OwedHalt
from streams.sequencer.place import CLOCKS, TOPIC, find_place
from streams.sequencer.quotes import SECOND_US, Quotes
from streams.sequencer.scope import Scope
from streams.sequencer.taken_clock import TakenClock

NAME: Final = "sequencer"
BEHIND_US: Final = 1_000_000
"""The clock may be so far behind the journal's newest entry when an epoch is opened."""
WAIT_S: Final = 0.01
"""How long the sequencer waits for an input before it looks at ticks and clock again."""
MOST_BLOCKS: Final = 200
"""Blocks of ticks between two looks at inputs: some 10 ms."""
HALT_AGAIN_S: Final = 0.2
"""Between two attempts to write a halt that is owed."""

logger = log.get(__name__)


class Sequencer:
    """Writes an account's journal until `stop` is set.

    `clock` is what entries are taken at. A TakenClock is watched: once the wall was set, the account is halted and a
    new epoch opened; nothing is taken before the log has the halt, which `owed` keeps. Raises UnknownAccount.
    """

    def __init__(
        self, bootstrap: str, keys: KeyRing, clock: Clock, account: str, source: JournalSource, owed: OwedHalt
    ) -> None:
        self.account, self.owed = account, owed
        self.stop = threading.Event()
        self._bootstrap, self._keys, self._clock, self._source = bootstrap, keys, clock, source
        self._partition = partition_of_account(bootstrap, keys, account)
        self._position = Position(TOPIC, self._partition, 0)
        self._producer = new_producer(bootstrap)
        self._alarms = Alarms(self._producer, clock, NAME)

    def run(self, ready: Callable[[], None]) -> None:
        """Opens epoch after epoch; calls `ready` once each takes inputs. At the end its last entry is on the log.

        Raises Fenced, ChainStopped, Unreachable, DeliveryFailed, HomeUnusable.
        """
        try:
            while not self.stop.is_set():
                self._pay()
                if not self.stop.is_set():
                    self._epoch(ready)
        finally:
            # What ends it may have come before the next look; a new process takes the wall as it is then.
            self._was_set()
            self._producer.flush(5)

    def _epoch(self, ready: Callable[[], None]) -> None:
        place, start = find_place(self._bootstrap, self._keys, self.account, self._partition)
        self._position = self._position._replace(offset=start.scanned_to)
        if not self._wait_for_clock(place.taken_us):
            return
        journal = JournalWriter(
            self._bootstrap,
            self._keys,
            self._clock,
            self.account,
            self._partition,
            self._source,
            place,
            start,
            lambda: signals_so_far(self._bootstrap, self._keys),
        )
        epoch: _Epoch | None = None
        whole = False
        try:
            journal.open()
            inputs = Inputs(
                self._bootstrap, self._keys, Scope(self.account), place.marks, self._alarms, self._partition
            )
            quotes = Quotes(self._bootstrap, self._keys, self._alarms)
            epoch = _Epoch(journal, inputs, quotes, self._clock)
            epoch.begin()
            ready()
            while not self.stop.is_set() and not self._was_set():
                epoch.step()
                self._position = journal.position
            whole = True
        except RepairCame:
            logger.info("a Repair has come: all is read again with it", account=self.account)
            whole = True
        finally:
            if epoch is not None:
                epoch.close()
            journal.close(drain=whole)

    def _wait_for_clock(self, taken_us: int) -> bool:
        """Waits until the clock is near the journal's newest entry; False if it is stopped before that."""
        said = False
        while (left_us := taken_us - BEHIND_US - self._clock.now_us()) > 0:
            if not said:
                said = True
                self._tell(
                    "clock_behind",
                    f"the clock is {(left_us + BEHIND_US) / 1e6:.1f} s behind the newest entry of the journal: nothing "
                    "is taken until it gets there; set the machine's clock right",
                )
            if self.stop.wait(min(0.2, left_us / 1e6)):
                return False
        return True

    def _was_set(self) -> bool:
        """Whether the wall was set since the last look: then a halt is owed, and the epoch is over."""
        if not isinstance(self._clock, TakenClock) or not (by_us := self._clock.stepped_us()):
            return False
        self._clock.follow()
        why = f"the machine's clock was set by {by_us / 1e6:+.1f} s"
        self.owed.owe(why)
        self._tell("clock_set", f"{why}: the account is halted; once the time is right, `tickledger resume`")
        return True

    def _pay(self) -> None:
        """Asks for the halt that is owed as a person would: by a command, which is then taken like any other.

        Tries until the log has it, or this is stopped.
        """
        said = False
        while self.owed.why and not self.stop.is_set():
            try:
                with AccountWriter(
                    self._bootstrap, self._keys, self._clock, "commands", self.account, self._partition
                ) as writer:
                    writer.open()
                    writer.write(halt_command(self.account, self.owed.why))
                    writer.drain()
            except (Fenced, Unreachable) as error:
                # A person's command came in between, or the broker is away.
                if not said:
                    said = True
                    logger.warning("a halt waits for the log: nothing is taken until then", reason=str(error))
                self.stop.wait(HALT_AGAIN_S)
            else:
                self.owed.paid()

    def _tell(self, code: str, message: str) -> None:
        self._alarms.tell(code, self.account, message, self._position)


class _Epoch:
    """One epoch that is open: inputs and whole seconds into the journal, in the order of their arrival."""

    def __init__(self, journal: JournalWriter, inputs: Inputs, quotes: Quotes, clock: Clock) -> None:
        self._journal, self._inputs, self._quotes, self._clock = journal, inputs, quotes, clock
        self._clocked_us = journal.taken_us
        self._held = {name.removeprefix(CLOCKS) for name in inputs.marks if name.startswith(CLOCKS)}

    def begin(self) -> None:
        """Takes the account's configuration and what waits of its chains, and the newest quotes."""
        self._take_inputs(0)
        self._watch()

    def step(self) -> None:
        """Takes what has come since; waits a little while nothing does."""
        blocks = self._quotes.poll(self._clock.now_us(), MOST_BLOCKS)
        self._take_second(self._clock.now_us())
        self._take_inputs(0 if blocks == MOST_BLOCKS else WAIT_S)
        self._watch()
        self._journal.follow()

    def close(self) -> None:
        """Ends its readers."""
        self._inputs.close()
        self._quotes.close()

    def _take_inputs(self, timeout: float) -> None:
        for one in self._inputs.poll(timeout):
            if isinstance(one.record, Filled | PartiallyFilled | Adopted):
                self._held.add(one.record.listing)
            now_us = self._clock.now_us()
            self._take_second(now_us)
            self._journal.take(one, now_us, self._inputs.marks)

    def _take_second(self, now_us: int) -> None:
        """Takes the newest whole second that has passed, and with it the quotes of those before it that were missed."""
        second = now_us // SECOND_US * SECOND_US
        after = max(self._clocked_us, self._journal.taken_us)
        if second <= after:
            return
        rows = self._quotes.rows(after, second)
        if rows is not None:
            for place, n in zip(rows.listing.tolist(), rows.n.tolist(), strict=True):
                self._inputs.marks[CLOCKS + rows.names[place]] = n
        self._journal.clock(rows, second, self._inputs.marks)
        self._clocked_us = second

    def _watch(self) -> None:
        wanted = self._inputs.scope.listings | self._held
        if not wanted <= self._quotes.watched:
            self._quotes.watch(wanted, self._clock.now_us())


def halt_command(account: str, why: str) -> Command:
    """A halt, its chain's fields blank."""
    return Command(
        epoch=0,
        nonce=ZERO_NONCE,
        seq=0,
        account=account,
        written_us=0,
        kind=CommandKind.HALT,
        who=NAME,
        why=why,
        argument="",
        valid_until_us=0,
        key_id="",
        prev=ZERO_MAC,
        mac=ZERO_MAC,
    )
