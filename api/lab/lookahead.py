"""`--check-lookahead`: what a strategy says, with the future cut off and changed at random moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from api.lab.choice import Chosen
from api.lab.data import Traded
from api.lab.setup import operator_of
from schemas.events import ListingSpec
from streams.fold import pieces_of
from streams.lookahead import check_lookahead
from streams.reference import ReferenceView
from streams.segments import segments

POINTS: Final = 8


def looked_ahead(chosen: Chosen, traded: Sequence[Traded]) -> str | None:
    """The first difference in words, over all listings; None if there is none.

    A strategy of several listings is made of expressions only, which have no way to look ahead: nothing is run.
    """
    if chosen.listings:
        return None
    for one in traded:
        spec: ListingSpec = _numbered(one.listing)
        view = ReferenceView([spec])
        pieces = list(pieces_of(one.source.name, segments(list(one.source.blocks(1))), view))
        told = check_lookahead(lambda: operator_of(chosen), one.source.name, pieces, points=POINTS)
        if told is not None:
            return told
    return None


def _numbered(spec: ListingSpec) -> ListingSpec:
    from dataclasses import replace

    return replace(spec, ref_no=1, seq=1, epoch=1)
