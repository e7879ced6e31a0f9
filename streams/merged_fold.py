"""A strategy over several listings at work: what a driver that has the logs of all of them runs.

It is keyed by its first listing. The logs may be handed over in any order and cut; what is said of the first listing's
bars is said once the lowest of the watermarks of the others has passed their ends, so a silent listing silences it. A
driver hands them over side by side in time, so that little has to wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agents.strategy_program import StrategyProgram
from schemas.events import OperatorActivation, ProgramKind
from schemas.identity import operator_id, parse_listing
from schemas.ticks import BlockKind, TickBlock
from streams.fold import Behind, Output, ReferenceBehind, gap_before, pieces_of, warm_part
from streams.graph_programs import program_in
from streams.operators.base import BadState, Segment
from streams.operators.merged_strategy import MergedStrategyOperator
from streams.programs import NotRunnable
from streams.reference import ReferenceView, replaced_at, runs_on
from streams.segments import segments


class Place(NamedTuple):
    """Where it stands on a listing: the chain's links and the listing's ticks that it has folded, and the reference
    number of the last of them."""

    seq: int
    n: int
    ref_no: int = 0


class MergedInstanceState(NamedTuple):
    """What a MergedFold is restored from."""

    state: bytes
    out_seq: int
    digest: str
    places: dict[str, Place]


def listings_of(program: StrategyProgram, listing: str) -> tuple[str, ...]:
    """The listings that the program reads where it runs on `listing`, which comes first. Raises NotRunnable."""
    feed = parse_listing(listing).feed
    found = (listing, *(name if "/" in name else f"{feed}/{name}" for name in program.listings))
    twice = [name for at, name in enumerate(found) if name in found[:at]]
    if twice:
        raise NotRunnable(f"{program.name} runs on {listing} and names {twice[0]} twice: run it on another listing")
    return found


def missing_listings(program: StrategyProgram, listing: str, there: Iterable[str]) -> str | None:
    """What to say if not all listings that the program reads are `there`; None if they are. Raises NotRunnable."""
    known = list(there)
    missing = [name for name in listings_of(program, listing) if name not in known]
    if not missing:
        return None
    return (
        f"{program.name} reads {', '.join(missing)}, and there is {', '.join(known) or 'no data'}: "
        'give its data too, or name another one, other("feed/SYMBOL")'
    )


def merged_on(reference: ReferenceView, listing: str, after: int = 0) -> list[OperatorActivation]:
    """The activations numbered above `after` that run on `listing` and read further ones."""
    found = []
    for activation in reference.activations(listing):
        if activation.ref_no > after and activation.program_kind is ProgramKind.GRAPH and runs_on(activation, listing):
            try:
                several = bool(program_in(activation).listings)
            except NotRunnable:
                # Whoever folds the listing by itself says so.
                continue
            if several:
                found.append(activation)
    return found


class MergedFold:
    """One activation of a program that reads several listings, on `listing`.

    It takes effect at the first listing's first block whose ref_no is at or above its own, and gives way to a later
    activation of its instance in the same way; earlier blocks, of each listing by its own ref_no, are folded with
    outputs dropped, unless it says `emit_all`. A bar belongs to the activation that holds for the block that closed it,
    whenever the other listings let it be decided. Each listing's points are its own specification's at its own blocks.
    Raises NotRunnable.
    """

    def __init__(self, activation: OperatorActivation, listing: str, reference: ReferenceView) -> None:
        program = program_in(activation)
        self.listing = listing
        self.listings = listings_of(program, listing)
        self.operator = operator_id(activation.instance, activation.ref_no)
        self._activation = activation
        self._reference = reference
        self._program = MergedStrategyOperator(program)
        self._state = self._program.initial_of(self.listings)
        self._out_seq = 0
        self._places = {name: Place(0, 0) for name in self.listings}
        self._until: int | None = None
        self._looked_at = 0

    @property
    def places(self) -> Mapping[str, Place]:
        """Where it stands on each of its listings."""
        return self._places

    @property
    def done(self) -> bool:
        """Whether a later activation has taken its place and nothing more will come of it."""
        until = self._ends_at()
        if until is None or self._places[self.listing].ref_no < until:
            return False
        return not self._program.waits_below(self._state, until)

    def shown_ms(self, listing: str) -> int:
        """The time up to which one of its listings is known."""
        return self._program.shown_ms(self._state, self.listings.index(listing))

    def fold(self, listing: str, blocks: Sequence[TickBlock]) -> list[Output]:
        """What consecutive accepted blocks of one of its listings prove. OPEN blocks are passed over.

        Raises Behind, ReferenceBehind and MissingSpec, before anything is folded.
        """
        links = [block for block in blocks if block.kind == BlockKind.DATA]
        if not links:
            return []
        return self.fold_run(listing, links[0].seq, links[-1].seq, list(segments(links)))

    def fold_run(self, listing: str, first_seq: int, last_seq: int, run: Sequence[Segment]) -> list[Output]:
        """As `fold`, of the blocks of links first_seq to last_seq as the segments that they are."""
        if first_seq != self._places[listing].seq + 1:
            raise Behind(
                f"{self.operator} on {listing} stands at link {self._places[listing].seq}, not {first_seq - 1}"
            )
        if run[-1].ref_no > self._reference.last:
            raise ReferenceBehind(
                f"{listing}: a block was written with reference {run[-1].ref_no}, read so far: {self._reference.last}"
            )
        place = self.listings.index(listing)
        own = self._activation
        until = self._ends_at()
        outputs: list[Output] = []
        for segment, spec in pieces_of(listing, run, self._reference):
            warm: Segment | None = segment
            if own.warm_from_us and segment.ref_no < own.ref_no:
                warm = warm_part(segment, own.warm_from_us)
            for proven in self._program.fold_at(self._state, place, warm, spec) if warm is not None else ():
                is_due = proven.ref_no >= own.ref_no or own.emit_all
                if is_due and (until is None or proven.ref_no < until):
                    outputs.append(
                        Output(
                            self.operator, self._program.topic, self.listing, self._out_seq, proven.ref_no,
                            proven.rows, self._program,
                        )
                    )  # fmt: skip
                    self._out_seq += len(proven.rows)
        self._places[listing] = Place(last_seq, run[-1].first_n + len(run[-1].quality), run[-1].ref_no)
        return outputs

    def repaired(self, listing: str, place: Place) -> None:
        """A Repair has moved the listing's chain to `place`: over a gap it goes there."""
        self._program.fold_at(self._state, self.listings.index(listing), gap_before(place.n), None)
        self._places[listing] = place

    def dump(self) -> MergedInstanceState:
        """The state, to restore it from."""
        data = self._program.dump(self._state)
        return MergedInstanceState(data, self._out_seq, self._program.digest(self._state), dict(self._places))

    def load(self, saved: MergedInstanceState) -> None:
        """Goes back to where `dump` was called. Raises BadState."""
        state = self._program.load(saved.state)
        digest = self._program.digest(state)
        if digest != saved.digest or list(saved.places) != list(self.listings):
            raise BadState(f"the state of {self.operator} on {self.listing} has digest {digest}, not {saved.digest}")
        self._state, self._out_seq, self._places = state, saved.out_seq, dict(saved.places)

    def _ends_at(self) -> int | None:
        """The reference number of the activation that takes its place, as far as `reference` was read."""
        if self._looked_at < self._reference.last:
            self._until = replaced_at(self._reference.activations(self.listing)).get(self.operator)
            self._looked_at = self._reference.last
        return self._until
