"""A strategy over several listings fed from the log: the chains of all its listings, its own too, by plain consumers.

What comes of it does not depend on which of them is read first; while it has much to read, they are read side by side
in time, so that few bars have to wait. Where it stands on each is kept beside its state.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from infra.chain_follower import ChainFollower, Standing, read_repairs
from infra.clock import Stopwatch
from infra.errors import Unreachable
from infra.kafka import REQUEST_TIMEOUT_S, end_of
from infra.log import get
from schemas.accept import Head, Verdict
from schemas.catalogue import partition_of
from schemas.events import OperatorActivation, Repair
from schemas.integrity import KeyRing
from schemas.ticks import BlockKind, TickBlock
from streams.catch_up import STEP_RECORDS, ZERO, Start
from streams.fold import Output
from streams.merged_fold import MergedFold, MergedInstanceState, Place
from streams.operators.base import BadState, OperatorError
from streams.reference import ReferenceView
from streams.snapshots import State

log = get(__name__)

_FORM: Final = b"several\x01\x00"
_WAIT_S: Final = 0.2


class UnknownReference(OperatorError):
    """A block was written with a reference number that `reference` doesn't reach."""


class LogAccess(NamedTuple):
    """What it reads by: the broker, the keys, and `reference`.

    `reach` reads `reference` until the view has a number; False if it doesn't come.
    """

    bootstrap: str
    keys: KeyRing
    view: ReferenceView
    reach: Callable[[int], bool]


class MergedReader:
    """One activation of a strategy over several listings, on `listing`, fed from their logs; `step` reads on.

    `state`: the snapshot that it goes on from; it starts anew without one, or with one that it can't read. `repairs`:
    those known so far. Raises NotRunnable.
    """

    def __init__(
        self,
        activation: OperatorActivation,
        listing: str,
        access: LogAccess,
        repairs: Sequence[Repair],
        state: State | None = None,
    ) -> None:
        self._log = access
        self.fold = MergedFold(activation, listing, access.view)
        starts = dict.fromkeys(self.fold.listings, ZERO)
        if state is not None:
            try:
                starts = _loaded(self.fold, state)
            except BadState as error:
                log.warning("snapshot refused", listing=listing, reason=str(error))
                self.fold = MergedFold(activation, listing, access.view)
        self._chains = [_Chain(name, access, repairs, starts[name]) for name in self.fold.listings]
        self._is_level = False
        self.moved = False
        """Whether there were records for its last step, of its listings or of others on their partitions."""
        self.changed = False
        """Whether it has folded anything since `state` was called."""

    @property
    def operator(self) -> str:
        """The activation's operator."""
        return self.fold.operator

    @property
    def behind(self) -> bool:
        """Whether it has yet to read what was on the logs when it began."""
        self._is_level = self._is_level or not any(chain.behind for chain in self._chains)
        return not self._is_level

    @property
    def read_to(self) -> list[tuple[int, int]]:
        """Partition of `ticks` and next offset to read, by listing."""
        return [chain.place for chain in self._chains]

    def step(self, wait_s: float = 0.0) -> list[Output]:
        """What the next records prove: of the listing known least far while it is behind, of each after that.

        Waits up to `wait_s` for a listing's while there are none. Raises OperatorError, Behind.
        """
        if self.behind:
            late = [chain for chain in self._chains if chain.behind]
            turn = [min(late, key=lambda chain: self.fold.shown_ms(chain.listing))]
        else:
            turn = self._chains
        self.moved = False
        outputs: list[Output] = []
        for chain in turn:
            outputs += self._read(chain, wait_s)
        return outputs

    def rest(self) -> Iterator[list[Output]]:
        """What all that is on the logs now proves, step by step. Raises Unreachable if the broker gives nothing for a
        while before that was read; OperatorError, Behind."""
        since_news = Stopwatch()
        while self.behind:
            yield self.step(_WAIT_S)
            if self.moved:
                since_news.restart()
            elif since_news.seconds() > REQUEST_TIMEOUT_S:
                raise Unreachable(f"the broker gave nothing of what {self.operator} reads for a while")

    def state(self) -> State:
        """What it is restored from."""
        self.changed = False
        saved = self.fold.dump()
        own = self._chains[0].left
        places = [[name, *_plain(chain.left)] for name, chain in zip(self.fold.listings, self._chains, strict=True)]
        header = json.dumps(places, separators=(",", ":")).encode()
        data = _FORM + len(header).to_bytes(8, "little") + header + saved.state
        return State(self.operator, self.fold.listing, own.offset, own.head, saved.out_seq, data)

    def close(self) -> None:
        """Ends its consumers."""
        for chain in self._chains:
            chain.close()

    def _read(self, chain: _Chain, wait_s: float) -> list[Output]:
        before = chain.left.head
        blocks, came = chain.read(wait_s)
        outputs: list[Output] = []
        run: list[TickBlock] = []
        place = self.fold.places[chain.listing]
        for block in blocks:
            if (block.seq - 1, block.first_n) != place[:2]:
                # A Repair led the chain past what lay between.
                outputs += self._fold(chain.listing, run)
                run = []
                self.fold.repaired(chain.listing, Place(block.seq - 1, block.first_n, place.ref_no))
            run.append(block)
            place = Place(block.seq, block.first_n + block.size, block.ref_no)
        outputs += self._fold(chain.listing, run)
        head = chain.left.head
        if (head.seq, head.n) != place[:2]:
            self.fold.repaired(chain.listing, Place(head.seq, head.n, head.ref_no))
        self.moved = self.moved or came
        self.changed = self.changed or head != before
        return outputs

    def _fold(self, listing: str, run: list[TickBlock]) -> list[Output]:
        if not run:
            return []
        if run[-1].ref_no > self._log.view.last and not self._log.reach(run[-1].ref_no):
            raise UnknownReference(
                f"{listing}: a block has reference number {run[-1].ref_no}, and reference ends before it"
            )
        return self.fold.fold(listing, run)


class _Chain:
    """The chain of one listing as it is read. `left`: the place right behind the last record that was no stop."""

    def __init__(self, listing: str, access: LogAccess, repairs: Sequence[Repair], start: Start) -> None:
        self.listing = listing
        self.left = start
        self._log = access
        self._end = -1
        self._went_well = Stopwatch()
        self._follower = self._follow(repairs)

    @property
    def behind(self) -> bool:
        """Whether what lay there when it was first asked was not read yet."""
        if self._end < 0:
            self._end = end_of(self._log.bootstrap, "ticks", partition_of("ticks", self.listing))
        return self._follower.scanned_to < self._end

    @property
    def place(self) -> tuple[int, int]:
        """Its partition, and the next offset to read there."""
        return self._follower.partition, self._follower.scanned_to

    def read(self, wait_s: float) -> tuple[list[TickBlock], bool]:
        """The next DATA blocks that are taken, of up to a step's records; and whether there were any.

        Raises Unreachable if the broker gives nothing but errors."""
        blocks: list[TickBlock] = []
        came = is_opened = False

        def seen(record: Any, verdict: Verdict) -> None:
            nonlocal is_opened
            if verdict is not Verdict.TAKE:
                return
            if record.kind == BlockKind.DATA:
                blocks.append(record)
            else:
                is_opened = True
            if not self._follower.head.stopped:
                self._leave()

        try:
            came = self._follower.poll(seen, wait_s, STEP_RECORDS)
        except Unreachable as error:
            # A broker that has just come back may for a moment say that the log ends earlier than it does.
            if self._went_well.seconds() > REQUEST_TIMEOUT_S:
                raise
            log.warning("reading once more", listing=self.listing, reason=str(error))
            self._follower.close()
        else:
            self._went_well.restart()
        if not self._follower.head.stopped:
            self._leave()
        elif is_opened:
            self._look_for_repairs()
        return blocks, came

    def close(self) -> None:
        self._follower.close()

    def _leave(self) -> None:
        follower = self._follower
        offset = follower.head_offset if follower.head_offset >= 0 else self.left.offset
        self.left = Start(follower.head, offset, follower.scanned_to)

    def _look_for_repairs(self) -> None:
        """Somebody writes again to a chain that stands still: with a Repair of it, it is read again from the stop."""
        repairs = read_repairs(self._log.bootstrap, self._log.keys)
        if any(repair.topic == "ticks" and repair.chain == self.listing for repair in repairs):
            self._follower.close()
            self._follower = self._follow(repairs)

    def _follow(self, repairs: Sequence[Repair]) -> ChainFollower:
        start = Standing(self.left.head, self.left.scanned_to, self.left.head.epoch)
        return ChainFollower(self._log.bootstrap, "ticks", self.listing, self._log.keys, start, repairs)


def is_merged(state: State) -> bool:
    """Whether a snapshot is one of a MergedReader."""
    return state.data.startswith(_FORM)


def _loaded(fold: MergedFold, state: State) -> dict[str, Start]:
    """Puts the fold back to a snapshot; where it goes on reading each listing. Raises BadState."""
    at = len(_FORM) + 8
    end = at + int.from_bytes(state.data[len(_FORM) : at], "little")
    if not is_merged(state):
        raise BadState(f"{len(state.data)} bytes are no state of {state.operator} on several listings")
    starts = {name: _start(fields) for name, *fields in json.loads(state.data[at:end])}
    data = state.data[end:]
    places = {name: Place(start.head.seq, start.head.n, start.head.ref_no) for name, start in starts.items()}
    fold.load(MergedInstanceState(data, state.out_seq, hashlib.sha256(data).hexdigest(), places))
    return starts


def _plain(start: Start) -> list[Any]:
    head = start.head
    return [head.epoch, head.nonce.hex(), head.seq, head.n, head.ref_no, head.mac.hex(), start.offset, start.scanned_to]


def _start(fields: Sequence[Any]) -> Start:
    epoch, nonce, seq, n, ref_no, mac, offset, scanned_to = fields
    return Start(Head(epoch, bytes.fromhex(nonce), seq, n, ref_no, bytes.fromhex(mac)), offset, scanned_to)
