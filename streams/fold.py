"""All activated operators of one listing, folded together: what worker, replay and verify run alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from agents.signals import FAILED
from schemas.events import Derived, ListingSpec, OperatorActivation
from schemas.identity import operator_id
from schemas.quality import BROKEN
from schemas.ticks import BlockKind, TickBlock
from streams.operators.base import NEVER_MS, BadState, MissingSpec, Operator, Outputs, Segment
from streams.programs import NotRunnable, SeveralListings, program_of
from streams.reference import ReferenceView, runs_on
from streams.segments import piece, segments, with_spec

Programs = Callable[[OperatorActivation], Operator]
"""Gives the operator that an activation asks for. Raises NotRunnable; SeveralListings for one that is not folded here
but by `streams.merged_fold`."""

Piece = tuple[Segment, ListingSpec | None]
"""A part of a segment with the specification of its good ticks."""


class Behind(Exception):
    """A block came that an instance can't fold, since blocks before it are missing: the driver's error."""


class ReferenceBehind(Exception):
    """A block was written with a later reference number than the view has: read `reference` further first."""


class Position(NamedTuple):
    """Where an instance stands: the chain's links and the listing's ticks that it has folded.

    `done`: a later activation has taken its place and nothing more will come of it.
    """

    seq: int
    n: int
    done: bool


class InstanceState(NamedTuple):
    """What an instance is restored from."""

    state: bytes
    out_seq: int
    digest: str
    seq: int
    n: int


class Unrunnable(NamedTuple):
    """An activation that this release can't run, and why."""

    activation: OperatorActivation
    reason: str


class Output(NamedTuple):
    """Rows that one segment proved, of one operator; `out_seq` is the number of the first."""

    operator: str
    topic: str
    listing: str
    out_seq: int
    ref_no: int
    columns: Outputs
    program: Operator

    def records(self) -> Sequence[Derived]:
        """The rows as records of `topic`, signals without a MAC."""
        return self.program.records(
            self.columns, operator=self.operator, listing=self.listing, out_seq=self.out_seq, ref_no=self.ref_no
        )


class ListingFold:
    """The instances of one listing.

    An activation takes effect at the listing's first block whose ref_no is at or above its own, and gives way to a
    later one of its instance in the same way. Before, it folds the earlier blocks, its outputs dropped (but that it
    failed) unless it says `emit_all`. Each instance stands at its own position and takes of the blocks handed over what
    it lacks; so a driver starts at the lowest position and hands over everything from there in order.
    """

    def __init__(
        self,
        listing: str,
        reference: ReferenceView,
        programs: Programs = program_of,
    ) -> None:
        self.listing = listing
        self._reference = reference
        self._programs = programs
        self._known = 0
        self._instances: list[_Instance] = []
        self._unrunnable: list[Unrunnable] = []
        self.sync()

    @property
    def unrunnable(self) -> tuple[Unrunnable, ...]:
        """Activations for this listing that are not folded."""
        return tuple(self._unrunnable)

    def sync(self) -> list[str]:
        """Takes up what the view has gained and returns the new operators; they wait for the listing's first block.

        Until they have caught up with the others, `fold` leaves them out of blocks that are not their next.
        """
        started = any(i.seq for i in self._instances)
        gained = []
        for activation in self._reference.activations(self.listing):
            if activation.ref_no <= self._known:
                continue
            for earlier in self._instances:
                if earlier.activation.instance == activation.instance and earlier.until_ref is None:
                    earlier.until_ref = activation.ref_no
            if not runs_on(activation, self.listing):
                continue
            try:
                program = self._programs(activation)
            except SeveralListings:
                continue
            except NotRunnable as error:
                self._unrunnable.append(Unrunnable(activation, str(error)))
                continue
            instance = _Instance(activation, program, self.listing)
            instance.waits = started
            self._instances.append(instance)
            gained.append(instance.operator)
        self._known = self._reference.last
        return gained

    def positions(self) -> dict[str, Position]:
        """Of each operator, in the order of activation."""
        return {i.operator: Position(i.seq, i.n, i.done) for i in self._instances}

    def fold(self, blocks: Sequence[TickBlock]) -> list[Output]:
        """What consecutive accepted blocks prove. OPEN blocks are passed over.

        Raises ReferenceBehind, Behind, MissingSpec, before anything is folded.
        """
        links = [block for block in blocks if block.kind == BlockKind.DATA]
        if not links:
            return []
        self._check_reference(max(block.ref_no for block in links))
        outputs: list[Output] = []
        work = [(part, self._pieces(segments(part)), takers) for part, takers in self._shares(links)]
        for part, pieces, takers in work:
            last = part[-1]
            _fold(pieces, takers, last.seq, last.first_n + len(last.quality), outputs)
        if any(i.waits for i in self._instances):
            self._rejoin()
        return outputs

    def fold_run(self, first_seq: int, last_seq: int, run: Sequence[Segment]) -> list[Output]:
        """As `fold`, of the blocks of links first_seq to last_seq as the segments that they are, for instances that
        all stand right before them. Raises Behind if one doesn't."""
        takers = [i for i in self._instances if not i.done]
        for instance in takers:
            if instance.seq + 1 != first_seq:
                raise Behind(
                    f"{instance.operator} on {self.listing} stands at link {instance.seq}, not {first_seq - 1}"
                )
        self._check_reference(run[-1].ref_no)
        outputs: list[Output] = []
        _fold(self._pieces(run), takers, last_seq, run[-1].first_n + len(run[-1].quality), outputs)
        return outputs

    def repaired(self, seq: int, n: int) -> None:
        """A Repair has moved the chain's head to link `seq`, tick `n`: who stands before goes there, over a gap."""
        for instance in self._instances:
            if instance.seq < seq and not instance.done:
                instance.program.fold(instance.state, gap_before(n), None)
                instance.stand(seq, n)

    def dump(self, operator: str) -> InstanceState:
        """The state of an operator, to restore it from."""
        i = self._find(operator)
        return InstanceState(i.program.dump(i.state), i.out_seq, i.program.digest(i.state), i.seq, i.n)

    def load(self, operator: str, saved: InstanceState) -> None:
        """Puts an operator back to where `dump` found it. Raises BadState, KeyError for an unknown operator."""
        i = self._find(operator)
        state = i.program.load(saved.state)
        digest = i.program.digest(state)
        if digest != saved.digest:
            raise BadState(f"the state of {operator} on {self.listing} has digest {digest}, its record {saved.digest}")
        i.state, i.out_seq = state, saved.out_seq
        i.stand(saved.seq, saved.n)

    def _find(self, operator: str) -> _Instance:
        for instance in self._instances:
            if instance.operator == operator:
                return instance
        raise KeyError(operator)

    def _shares(self, links: list[TickBlock]) -> list[tuple[list[TickBlock], list[_Instance]]]:
        """The blocks in parts, each with the instances that lack it."""
        active = [i for i in self._instances if not i.done]
        first, last = links[0].seq, links[-1].seq
        if all(i.seq + 1 == first for i in active):
            return [(links, active)]
        starts = []
        for instance in active:
            at = next((k for k, block in enumerate(links) if block.seq > instance.seq), len(links))
            if at < len(links) and links[at].seq != instance.seq + 1:
                if not instance.waits:
                    raise Behind(
                        f"{instance.operator} on {self.listing} stands at link {instance.seq} and was given "
                        f"links {first} to {last}: hand over those between first"
                    )
                at = len(links)
            starts.append(at)
        edges = [*sorted({at for at in starts if at < len(links)}), len(links)]
        return [
            (links[at:end], [i for i, start in zip(active, starts, strict=True) if start <= at])
            for at, end in pairwise(edges)
        ]

    def _check_reference(self, ref_no: int) -> None:
        if ref_no > self._reference.last:
            raise ReferenceBehind(
                f"{self.listing}: a block was written with reference {ref_no}, read so far: {self._reference.last}"
            )

    def _pieces(self, run: Iterable[Segment]) -> list[Piece]:
        return pieces_of(self.listing, run, self._reference)

    def _rejoin(self) -> None:
        ahead = max(i.seq for i in self._instances)
        for instance in self._instances:
            if instance.seq == ahead:
                instance.waits = False


class _Instance:
    """One activation on one listing: its operator's state, the number of its next output, and where it stands."""

    def __init__(self, activation: OperatorActivation, program: Operator, listing: str) -> None:
        self.activation = activation
        self.operator = operator_id(activation.instance, activation.ref_no)
        self.program = program
        self.listing = listing
        self.state: Any = program.initial(listing)
        self.out_seq = 0
        self.seq = 0
        self.n = 0
        self.until_ref: int | None = None
        self.done = False
        self.waits = False

    def stand(self, seq: int, n: int) -> None:
        if not self.done:
            self.seq, self.n = seq, n

    def fold(self, segment: Segment, spec: ListingSpec | None, outputs: list[Output]) -> None:
        if self.until_ref is not None and segment.ref_no >= self.until_ref:
            self.done = True
        if self.done:
            return
        early = segment.ref_no < self.activation.ref_no
        if early and self.activation.warm_from_us:
            warm = warm_part(segment, self.activation.warm_from_us)
            if warm is None:
                return
            segment = warm
        rows = self.program.fold(self.state, segment, spec)
        if early and not self.activation.emit_all:
            rows = _failures(self.program, rows)
        if len(rows):
            outputs.append(
                Output(
                    self.operator, self.program.topic, self.listing, self.out_seq, segment.ref_no, rows, self.program
                )
            )
            self.out_seq += len(rows)


def _failures(program: Operator, rows: Outputs) -> Outputs:
    """What is said of earlier blocks too: a strategy that raises there would else be silent for ever, unnoticed."""
    return rows[rows["kind"] == FAILED] if program.topic == "signals" else rows[:0]


def _fold(pieces: list[Piece], takers: list[_Instance], seq: int, n: int, outputs: list[Output]) -> None:
    """Folds the pieces by the takers, which stand at link `seq` and tick `n` then."""
    for segment, spec in pieces:
        for instance in takers:
            instance.fold(segment, spec, outputs)
    for instance in takers:
        instance.stand(seq, n)


def pieces_of(listing: str, run: Iterable[Segment], reference: ReferenceView) -> list[Piece]:
    """The segments of a listing, each part with the ListingSpec of its good ticks. Raises MissingSpec."""
    found = []
    for segment in run:
        for one, spec in with_spec(segment, reference.spec_steps(listing, segment.ref_no)):
            if spec is None and ((one.quality & BROKEN) == 0).any():
                raise MissingSpec(
                    f"{listing} has good ticks from {one.first_n} on and no ListingSpec in force at "
                    f"reference {one.ref_no}: an import writes one first"
                )
            found.append((one, spec))
    return found


def warm_part(segment: Segment, from_us: int) -> Segment | None:
    """The segment from its first good tick at `from_us` on; all of it if it has no good tick, None if they lie before.

    Good ticks never go back in time: once one was taken, this takes all.
    """
    good = np.flatnonzero((segment.quality & BROKEN) == 0)
    if not len(good):
        return segment
    place = int(np.searchsorted(segment.time_ms[good], -(-from_us // 1000)))
    if place == len(good):
        return None
    return piece(segment, int(good[place]), len(segment.quality))._replace(gap=segment.gap)


def gap_before(n: int) -> Segment:
    """A segment that says nothing but that ticks before number `n` are missing."""
    none, marks, prices = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float64)
    return Segment(n, 0, 0, 0, True, NEVER_MS, none, prices, prices, prices, prices, marks, marks)
