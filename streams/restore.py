"""A listing's operators as they were left: from its snapshots where they are whole, else from the start of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from infra.log import get
from streams.catch_up import ZERO, Start
from streams.fold import InstanceState, ListingFold, Programs
from streams.operators.base import BadState
from streams.reference import ReferenceView, replaced_at
from streams.snapshots import State
from streams.starts import Starts

log = get(__name__)


class Restored(NamedTuple):
    """The fold, where the lowest of its operators stands, and the operators of which nothing more will come."""

    fold: ListingFold
    start: Start
    ended: frozenset[str]


def restore(
    listing: str, view: ReferenceView, states: Mapping[str, State], starts: Starts, programs: Programs
) -> Restored:
    """The listing's fold with the `states` of its operators; all start anew if one that runs has none."""
    fold = ListingFold(listing, view, programs)
    replaced = replaced_at(view.activations(listing))
    ended = {
        operator: states[operator]
        for operator in fold.positions()
        if operator in states and states[operator].head.ref_no >= replaced.get(operator, NEVER)
    }
    running = [operator for operator in fold.positions() if operator not in ended]
    if not running:
        # Nothing is folded: where the chain stands is all that counts.
        return Restored(fold, starts.left.get(listing, ZERO), frozenset(ended))
    whole = [states[operator] for operator in running if operator in states]
    start = ZERO
    if len(whole) == len(running):
        lowest = min(whole, key=lambda state: state.offset)
        start = starts.widened(listing, Start(lowest.head, lowest.offset, lowest.offset + 1))
    try:
        for state in whole:
            fold.load(state.operator, _saved(state, state.head.seq, state.head.n))
        for state in ended.values():
            # Its next block shows it that it was replaced, wherever that is.
            at = state.head if start is ZERO else start.head
            fold.load(state.operator, _saved(state, at.seq, at.n))
    except BadState as error:
        log.warning("snapshot refused", listing=listing, reason=str(error))
        return Restored(ListingFold(listing, view, programs), ZERO, frozenset())
    return Restored(fold, start, frozenset(ended))


def _saved(state: State, seq: int, n: int) -> InstanceState:
    return InstanceState(state.data, state.out_seq, state.digest, seq, n)


NEVER = 2**63
