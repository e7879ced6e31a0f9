"""What the worker does with one partition of `ticks`: judge each record, fold it, send what it proves, remember where.

Nothing here knows Faust: the worker hands over records in order, lets listings that have to catch up take steps in
between, and asks now and then for the states to snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from confluent_kafka import Producer

from infra.clock import Clock
from infra.log import get
from schemas.accept import Forgery, Head, Verdict
from schemas.chains import Chains, Judged, Position, Read, fits
from schemas.events import Anchor, OperatorActivation, Repair
from schemas.identity import operator_id
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind
from streams import outputs
from streams.alarms import ACTIVATION_REFUSED, LISTING_PARKED, STRATEGY_PARKED, Alarms
from streams.catch_up import ZERO, CatchUp, Start
from streams.class_programs import with_code
from streams.fold import Behind, ListingFold
from streams.merged_fold import merged_on
from streams.merged_reader import LogAccess, MergedReader, is_merged
from streams.operators.base import OperatorError
from streams.programs import NotRunnable
from streams.reference_follower import ReferenceFollower
from streams.restore import restore
from streams.snapshots import State
from streams.starts import Starts

log = get(__name__)

_AGAIN: Final = "tickledger verify says what is wrong, and the worker tries again when it is started anew"


class OutOfOrder(Exception):
    """A record came that isn't the next of its partition: the process must end and start from its snapshots."""


class Surroundings(NamedTuple):
    """What a partition's worker needs of the world."""

    bootstrap: str
    keys: KeyRing
    clock: Clock
    producer: Producer
    reference: ReferenceFollower


class TickPartition:
    """One partition of `ticks` in this worker. `position`: the offset of the last record done, -1 at first.

    A listing is taken up when its first record comes: from its snapshots, else from the start of the log. While it
    catches up, its newer records are left to the catch-up, and those of others are taken as they come. Strategies over
    several listings run beside that: they read their listings' logs by themselves, wherever those lie.
    """

    def __init__(
        self, partition: int, world: Surroundings, states: Iterable[State] = (), newest: Iterable[Anchor] = ()
    ) -> None:
        self.partition = partition
        self.position = -1
        self.records = 0
        self.ticks = 0
        self._world = world
        self._alarms = Alarms(world.producer, world.clock)
        self._chains = Chains("ticks", world.keys, world.reference.repairs)
        self._folds: dict[str, ListingFold] = {}
        self._referred: dict[str, int] = {}
        self._folded_to: dict[str, int] = {}
        self._head_offset: dict[str, int] = {}
        self._behind: dict[str, CatchUp] = {}
        self._parked: set[str] = set()
        self._ended: set[tuple[str, str]] = set()
        self._changed: set[str] = set()
        self._states: dict[str, dict[str, State]] = {}
        for state in states:
            self._states.setdefault(state.listing, {})[state.operator] = state
        self._starts = Starts((s for found in self._states.values() for s in found.values()), newest)
        reference = world.reference
        self._access = LogAccess(world.bootstrap, world.keys, reference.view, reference.read_until)
        self._merged: list[MergedReader] = []
        self.next_offset = 0
        """The next offset to fold, once a record was; `position` is there while that one is still being folded."""
        self.merged_to: list[tuple[int, int]] = []
        """Partitions and the next offsets there, of what strategies over several listings have read and folded."""
        self._merged_states = {
            (s.listing, s.operator): s for found in self._states.values() for s in found.values() if is_merged(s)
        }
        self._merged_to: dict[str, int] = {}
        # A strategy may have bars to decide though nothing of its own listing comes any more.
        for listing in sorted(self._starts.left):
            self._merge_on(listing)

    @property
    def heads(self) -> dict[str, tuple[Head, int]]:
        """Of each chain that is known up to `position`, silent ones too: its head and the offset of that record.

        Not of a chain that stands still: who starts behind the stop would go on from a damaged place.
        """
        if self.position < 0:
            return {}
        found = {
            name: (start.head, start.offset)
            for name, start in self._starts.silent().items()
            if name not in self._folds and start.offset >= 0 and start.scanned_to <= self.position + 1
        }
        for name, at in self._head_offset.items():
            head = self._chains.heads[name]
            if at >= 0 and not head.stopped and not self._is_led(name):
                found[name] = (head, at)
        return found

    @property
    def behind(self) -> bool:
        """Whether some listing has to catch up: call `catch_up`."""
        return bool(self._behind)

    def read(self, offset: int, key: bytes | None, value: bytes | None) -> Read:
        """The record at `offset` with MAC and encoding checked."""
        return self._chains.read(self.partition, offset, key, value)

    def is_quick(self, read: Read) -> bool:
        """Whether `take` will do without reading from the broker, so that an event loop need not fear it."""
        if self.position < 0 or isinstance(read.link, Forgery):
            return self.position >= 0 and not self._listing_of(read)
        name = read.chain
        return (
            name in self._folds
            and read.link.ref_no <= self._referred[name]
            and not (read.link.opens and self._chains.heads[name].stopped)
        )

    def take(self, read: Read) -> None:
        """Folds the record and hands what it proves to the producer. Raises OutOfOrder."""
        offset = read.position.offset
        if offset <= self.position:
            return
        if self.position < 0:
            self._starts.begin(self._world.bootstrap, self.partition, offset)
        elif offset != self.position + 1:
            raise OutOfOrder(f"ticks/{self.partition}: offset {offset} came after {self.position}")
        self.position = offset
        self.records += 1
        listing = self._listing_of(read)
        if listing:
            self._make_ready(listing, read)
        if self._is_led(listing):
            self._step(listing)
        elif not listing or offset > self._folded_to[listing]:
            judged = self._chains.settle(read)
            self._alarms.note(judged)
            if judged.verdict in (Verdict.TAKE, Verdict.REPAIRED):
                self._head_offset[listing] = offset
                if self._fold(judged, self._chains.heads[listing]):
                    self._start_over(listing)
        self.next_offset = offset + 1

    def catch_up(self) -> None:
        """One step for each listing that is behind."""
        for listing in list(self._behind):
            self._step(listing)

    @property
    def merges(self) -> bool:
        """Whether there are strategies over several listings: call `merge` all along."""
        return bool(self._merged)

    def merge(self) -> bool:
        """One step for each strategy over several listings, whose outputs go to the producer; whether one read on."""
        is_news = False
        for reader in list(self._merged):
            try:
                for output in reader.step():
                    outputs.send(self._world.producer, self._world.keys, output)
            except (OperatorError, Behind) as error:
                whose = f"{reader.operator}/{reader.fold.listing}"
                position = Position("ticks", self.partition, -1)
                self._alarms.tell(STRATEGY_PARKED, whose, f"{whose} is folded no more: {error}; {_AGAIN}", position)
                self._drop(reader)
            is_news = is_news or reader.moved
        self._note_merged()
        return is_news

    def changed(self) -> list[str]:
        """The listings that were folded since `states` was last asked of them."""
        return sorted(self._changed | {one.fold.listing for one in self._merged if one.changed or one.fold.done})

    def states(self, listing: str) -> list[State]:
        """The states of a listing as it was folded so far, to snapshot."""
        states = list(self._states_of(listing)) if listing in self._changed else []
        self._changed.discard(listing)
        for reader in [one for one in self._merged if one.fold.listing == listing]:
            if reader.changed:
                states.append(reader.state())
            if reader.fold.done:
                self._drop(reader)
        return states

    def close(self) -> None:
        """Ends the consumers of strategies over several listings."""
        for reader in list(self._merged):
            self._drop(reader)

    def _listing_of(self, read: Read) -> str:
        """Whose chain the record concerns; empty for a forged one that no Repair names."""
        if not isinstance(read.link, Forgery):
            return read.chain
        repair = self._repair_of(read)
        return repair.chain if repair is not None else ""

    def _repair_of(self, read: Read) -> Repair | None:
        for repair in self._world.reference.repairs:
            if (repair.topic, repair.partition, repair.offset) == read.position and fits(repair, read.value):
                return repair
        return None

    def _is_led(self, listing: str) -> bool:
        catching = self._behind.get(listing)
        return catching is not None and catching.leads

    def _states_of(self, listing: str) -> Iterator[State]:
        """What each operator is restored from: at the chain's head, or where its catch-up is."""
        fold, catching = self._folds[listing], self._behind.get(listing)
        places: list[tuple[Head, int]] = []
        if catching is None or not catching.leads:
            places.append((self._chains.heads[listing], self._head_offset[listing]))
        if catching is not None:
            places.append((catching.head, catching.head_offset))
        for operator, position in fold.positions().items():
            if position.done and (listing, operator) in self._ended:
                continue
            for head, offset in places:
                # One that was replaced stands for ever where its last snapshot says.
                if not head.stopped and (position.done or position.seq == head.seq):
                    saved = fold.dump(operator)
                    yield State(operator, listing, offset, head, saved.out_seq, saved.state)
                    if position.done:
                        self._ended.add((listing, operator))
                    break

    def _make_ready(self, listing: str, read: Read) -> None:
        """Has the listing's operators stand where they were left, with a catch-up for what lies in between."""
        if listing not in self._folds:
            start = self._restore(listing)
            self._chains.heads[listing] = start.head
            self._folded_to[listing] = self._head_offset[listing] = start.offset
            if start.scanned_to < read.position.offset and not self._starts.silent_since(listing, start):
                self._lead(listing, start)
        elif self._repair_of(read) is not None:
            if listing in self._behind:
                # Who is behind has to get there before the chain is led past the damage.
                self._lead(listing, ZERO)
        elif _opens(read) and self._chains.heads[listing].stopped and self._finds_repair(listing):
            self._lead(listing, ZERO)

    def _finds_repair(self, listing: str) -> bool:
        """Whether a Repair of the chain has come; asked when somebody writes again to one that stands still."""
        found = self._world.reference.look_for_repairs()
        self._chains.add_repairs(found)
        return any(repair.chain == listing for repair in found)

    def _restore(self, listing: str) -> Start:
        view = self._world.reference.view
        fold, start, ended = restore(listing, view, self._states.pop(listing, {}), self._starts, with_code)
        self._folds[listing] = fold
        self._ended |= {(listing, operator) for operator in ended}
        self._referred[listing] = view.last
        self._alert_refused(fold, 0)
        self._merge_on(listing)
        return start

    def _lead(self, listing: str, start: Start) -> None:
        log.info("catching up", listing=listing, partition=self.partition, start=start.scanned_to)
        self._behind[listing] = self._catch_up_from(listing, start, leads=True)

    def _start_over(self, listing: str) -> None:
        """New operators have all earlier blocks to fold; what the others have, they skip."""
        log.info("catching up with new operators", listing=listing, partition=self.partition)
        self._behind[listing] = self._catch_up_from(listing, ZERO, leads=self._is_led(listing))

    def _catch_up_from(self, listing: str, start: Start, leads: bool) -> CatchUp:
        world = self._world
        return CatchUp(world.bootstrap, world.keys, world.reference.repairs, listing, start, leads)

    def _step(self, listing: str) -> None:
        catching = self._behind[listing]
        gained = False
        for judged in catching.step(self.position + 1):
            if catching.leads:
                self._alarms.note(judged)
            if judged.verdict in (Verdict.TAKE, Verdict.REPAIRED):
                gained |= self._fold(judged, catching.head)
        if gained:
            self._start_over(listing)
        elif catching.next > self.position:
            del self._behind[listing]
            if catching.leads:
                self._chains.heads[listing] = catching.head
                self._head_offset[listing] = catching.head_offset
                self._folded_to[listing] = catching.head_offset
            log.info("caught up", listing=listing, partition=self.partition, n=catching.head.n)

    def _fold(self, judged: Judged, head: Head) -> bool:
        """Folds what was taken; whether there are new operators now, which have yet to fold what lies before."""
        listing, block = judged.chain, judged.record
        if listing in self._parked:
            return False
        self._changed.add(listing)
        fold, gained = self._folds[listing], False
        is_data = judged.verdict is Verdict.TAKE and block.kind == BlockKind.DATA
        if is_data:
            if block.ref_no > self._referred[listing]:
                if not self._world.reference.read_until(block.ref_no):
                    reason = f"it has reference number {block.ref_no}, and reference ends before it"
                    self._park(listing, reason, judged.position)
                    return False
                gained = self._take_up(listing)
            try:
                folded = fold.fold([block])
            except (OperatorError, Behind) as error:
                self._park(listing, str(error), judged.position)
                return False
            self.ticks += block.size
            for output in folded:
                outputs.send(self._world.producer, self._world.keys, output)
        if judged.verdict is Verdict.REPAIRED or (is_data and head.seq != block.seq):
            fold.repaired(head.seq, head.n)
        return gained

    def _take_up(self, listing: str) -> bool:
        """Takes up activations that the fold has not; whether there was one."""
        fold, before = self._folds[listing], self._referred[listing]
        new = fold.sync()
        self._referred[listing] = self._world.reference.view.last
        self._alert_refused(fold, before)
        self._merge_on(listing)
        return bool(new)

    def _merge_on(self, listing: str) -> None:
        """Takes up the strategies that read further listings beside this one, and are not there yet."""
        view = self._world.reference.view
        for activation in merged_on(view, listing, self._merged_to.get(listing, 0)):
            operator = operator_id(activation.instance, activation.ref_no)
            saved = self._merged_states.pop((listing, operator), None)
            try:
                reader = MergedReader(activation, listing, self._access, self._world.reference.repairs, saved)
            except NotRunnable as error:
                self._tell_refused(activation, listing, str(error))
                continue
            if not reader.fold.done:
                self._merged.append(reader)
        self._merged_to[listing] = view.last
        self._note_merged()

    def _drop(self, reader: MergedReader) -> None:
        reader.close()
        self._merged.remove(reader)
        self._note_merged()

    def _note_merged(self) -> None:
        self.merged_to = [place for reader in self._merged for place in reader.read_to]

    def _alert_refused(self, fold: ListingFold, after: int) -> None:
        for activation, reason in fold.unrunnable:
            if activation.ref_no > after:
                self._tell_refused(activation, fold.listing, reason)

    def _tell_refused(self, activation: OperatorActivation, listing: str, reason: str) -> None:
        whose = f"{operator_id(activation.instance, activation.ref_no)}/{listing}"
        message = f"{whose} doesn't run: {reason}; remove it, or add one that this release runs"
        self._alarms.tell(ACTIVATION_REFUSED, whose, message, Position("reference", 0, -1))

    def _park(self, listing: str, reason: str, position: Position) -> None:
        self._parked.add(listing)
        message = f"{listing} is folded no more, no strategy says anything on it: {reason}; {_AGAIN}"
        self._alarms.tell(LISTING_PARKED, listing, message, position)


def _opens(read: Read) -> bool:
    return not isinstance(read.link, Forgery) and read.link.opens
