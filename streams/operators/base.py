"""What an operator is, and the runs of ticks that it folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from schemas.events import Derived, ListingSpec
from schemas.ticks import Doubles, Ints, Longs

Outputs = npt.NDArray[np.void]
"""A structured array, one row an output, in output order; its first fields are `proof_n` and `proof_ms`."""


class Segment(NamedTuple):
    """A run of ticks of one listing with equal ref_no, server_offset_s and source, as `fold` sees it.

    `gap` holds before its first tick, `watermark_ms` after its last one. The columns are C-contiguous, aligned and
    writable, one value a tick: time_ms int64[n] (UTC), bid and ask float64[n], last and volume float64[n] or
    float64[0], flags and quality int32[n]. Tick i is number `first_n + i` of the listing.
    """

    first_n: int
    ref_no: int
    server_offset_s: int
    source: int
    gap: bool
    watermark_ms: int
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    last: Doubles
    volume: Doubles
    flags: Ints
    quality: Ints


NEVER_MS = -(2**63)
"""A watermark that proves nothing."""


class OperatorError(Exception):
    """An operator can't go on, for a reason that is not the strategy's; the message says what is missing."""


class MissingSpec(OperatorError):
    """A good tick came before any ListingSpec of its listing was in force."""


class BadState(OperatorError):
    """Bytes that are not a state of this operator and version."""


class Operator(Protocol):
    """A pure fold of one listing's ticks into numbered outputs; one object serves any number of listings.

    `fold` changes `state` in place and returns the outputs that the segment proved. Cutting the same ticks into other
    segments gives the same outputs and the same state, bit for bit. `spec` is the ListingSpec that holds for the
    segment's good ticks; None leaves the last one standing, and is an OperatorError if there are good ticks.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def topic(self) -> str:
        """Where its outputs go."""

    def initial(self, listing: str) -> Any:
        """The state before the listing's first tick."""

    def fold(self, state: Any, segment: Segment, spec: ListingSpec | None) -> Outputs: ...

    def dump(self, state: Any) -> bytes:
        """The state as bytes: version first, deterministic."""

    def load(self, data: bytes) -> Any:
        """The state in `data`. Raises BadState."""

    def digest(self, state: Any) -> str:
        """Hex SHA-256 of the state."""

    def records(self, outputs: Outputs, *, operator: str, listing: str, out_seq: int, ref_no: int) -> Sequence[Derived]:
        """The rows of `outputs` as records, numbered from `out_seq` on."""
