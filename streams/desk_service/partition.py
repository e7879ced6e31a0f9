"""What the desk does with one partition of `journal`: judge each record, fold it, send what it decides, remember where.

Nothing here knows Faust. A partition is one account's, by its AccountConfig; a journal that is damaged, or can't be
folded, stops its own account only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from infra.clock import Clock
from infra.kafka import read_range
from infra.log import get
from schemas.accept import Head, Verdict
from schemas.chains import Chains, Judged, Position
from schemas.events import OperatorActivation
from schemas.integrity import KeyRing
from schemas.journal import EntryKind
from schemas.journal_columns import Entry, read_entry
from schemas.registry import UnreadableRecord, decode
from schemas.trading import Decided, Denied
from streams.account_places import AccountPlaces
from streams.alarms import Alarms
from streams.desk_program import DESK, check_desk, of_desk
from streams.desk_service.delivery import Delivery
from streams.journal_reader import TOPIC, JournalReader
from streams.operators.base import BadState
from streams.operators.desk import Desk, DeskState
from streams.outbox import Outbox
from streams.programs import NotRunnable
from streams.reference_follower import ReferenceFollower
from streams.snapshots import State

log = get(__name__)

_DESK = Desk()
_LASTING: Final = frozenset({"spec", "conversion", "exposure"})
"""Codes of entries that are refused until a person acts."""


class Surroundings(NamedTuple):
    """What a desk needs of the world; `mark(account)` gives what is told how far the account is."""

    bootstrap: str
    keys: KeyRing
    clock: Clock
    outbox: Outbox
    reference: ReferenceFollower
    mark: Callable[[str], Callable[[int], None]]


class JournalPartition:
    """One partition in this desk. `position`: the offset of the last record done, -1 at first."""

    def __init__(self, partition: int, world: Surroundings, states: Iterable[State] = ()) -> None:
        self.partition = partition
        self._world = world
        self._alarms = Alarms(world.outbox.producer, world.clock, DESK)
        self._chains = Chains(TOPIC, world.keys, world.reference.repairs, AccountPlaces(world.reference))
        self._reader = JournalReader(self._chains, world.keys, partition)
        self._accounts: dict[str, _Account] = {}
        for saved in states:
            try:
                account = self._account(saved.listing, _DESK.load(saved.data))
            except BadState as error:
                log.warning("snapshot refused", account=saved.listing, reason=str(error))
                continue
            account.offset, account.head = saved.offset, saved.head
            self._chains.heads[saved.listing] = saved.head
        self.position = min((account.offset for account in self._accounts.values()), default=-1)

    def take(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Folds the record at `offset`, the next one, and hands what it decides to the producer."""
        known = self._accounts.get((key or b"").decode(errors="replace"))
        self.position = offset
        if known is not None and offset <= known.offset:
            return
        if known is not None and self._chains.heads[known.name].stopped and _opens(value) and self._is_repaired(known):
            return
        judged = self._reader.judge(offset, key, value)
        self._alarms.note(judged)
        if judged.verdict not in (Verdict.TAKE, Verdict.REPAIRED):
            return
        account = known or self._account(judged.chain, _DESK.initial(judged.chain))
        account.offset, account.head = offset, self._chains.heads[judged.chain]
        account.changed = True
        if judged.verdict is Verdict.TAKE:
            self._fold(account, judged)

    def catch_up(self, end: int) -> None:
        """Takes what lies before offset `end`."""
        while self.position + 1 < end:
            for offset, key, value in self._read(self.position + 1, end):
                self.take(offset, key, value)
                if self.position < offset:
                    # It was led back, to read once more what a Repair is about.
                    break
            else:
                return

    def _read(self, start: int, end: int) -> Iterator[tuple[int, bytes | None, bytes | None]]:
        for batch in read_range(self._world.bootstrap, TOPIC, self.partition, start, end):
            for message in batch:
                yield message.offset() or 0, message.key(), message.value()

    def changed(self) -> list[State]:
        """The states of what was folded since the last call, to snapshot."""
        return list(self._changed())

    def _changed(self) -> Iterator[State]:
        for account in self._accounts.values():
            if account.changed and not account.stops:
                account.changed = False
                data = _DESK.dump(account.state)
                yield State(DESK, account.name, account.offset, account.head, 0, data, self.partition)

    def _account(self, name: str, state: DeskState) -> _Account:
        world = self._world
        delivery = Delivery(world.outbox, world.keys, name, self.partition, world.mark(name))
        account = self._accounts[name] = _Account(name, state, delivery)
        return account

    def _fold(self, account: _Account, judged: Judged) -> None:
        entry: Entry | None = judged.record
        if entry is None:
            self._stop(account, judged.reason, judged.position)
            return
        said: list[Decided] = []
        if not account.stops:
            try:
                if entry.kind is EntryKind.REFERENCE:
                    _check(account.name, entry)
                said = _DESK.fold(account.state, entry)
            except (MemoryError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it stops this account alone
                known = isinstance(error, NotRunnable | UnreadableRecord)
                self._stop(account, str(error) if known else repr(error), judged.position)
        account.delivery.send(entry.taken_us, said)
        for record in said:
            if isinstance(record, Denied) and record.code in _LASTING and record.reason not in account.told:
                account.told.add(record.reason)
                self._tell_refused(account, record, judged.position)

    def _tell_refused(self, account: _Account, denied: Denied, position: Position) -> None:
        self._alarms.tell(
            "entries_refused",
            account.name,
            f"{denied.instance} on {denied.listing}: entries of {account.name} are refused ({denied.code}): "
            f"{denied.reason}",
            position,
        )

    def _stop(self, account: _Account, reason: str, position: Position) -> None:
        account.stops = reason
        self._alarms.tell(
            "account_stopped",
            account.name,
            f"the desk of {account.name} decides nothing more: {reason}; what is open keeps its stop and target at the "
            "broker, and tickledger verify says what differs",
            position,
        )

    def _is_repaired(self, account: _Account) -> bool:
        """Whether a Repair of the chain, which stands still, has come: it is read once more from its last good link."""
        found = self._world.reference.look_for_repairs()
        self._chains.add_repairs(found)
        if not any((repair.topic, repair.chain) == (TOPIC, account.name) for repair in found):
            return False
        self._chains.heads[account.name] = account.head
        self.position = account.offset
        return True


class _Account:
    """One account at this desk: its state after the link `head`, at `offset`."""

    def __init__(self, name: str, state: DeskState, delivery: Delivery) -> None:
        self.name, self.state, self.delivery = name, state, delivery
        self.offset = -1
        self.head = Head()
        self.changed = False
        self.stops = ""
        """Why nothing more is folded."""
        self.told: set[str] = set()
        """Reasons for which entries were refused, of which an alert told."""


def _opens(value: bytes | None) -> bool:
    try:
        return read_entry(value or b"").kind is EntryKind.OPEN
    except UnreadableRecord:
        return False


def _check(account: str, entry: Entry) -> None:
    """Raises NotRunnable for the activation of another release's desk."""
    record = decode(entry.input)
    if isinstance(record, OperatorActivation) and of_desk(record, account):
        check_desk(record)
