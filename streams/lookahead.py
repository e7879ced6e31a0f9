"""Whether a strategy looks ahead: what it says of the past must not change with the future.

For expressions this holds by construction. A class can keep what it should not know: the rest of a block, an array of
all ticks outside of its state. So it is run again with the ticks cut elsewhere, without those after a point, and with
others after it, in the same process, where what it has kept of the first run is still there. What it read from a file
of its own it knows in every run: that can't be seen here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from agents.signals import ENTRY_TYPES, FAILED, KINDS, SIDES, SIGNAL_DTYPE, Signals
from schemas.times import iso_ms
from streams.fold import Piece
from streams.operators.base import NEVER_MS, Operator
from streams.segments import piece

_LONGEST_CUT: Final = 200
_NAMES: Final = tuple(SIGNAL_DTYPE.names or ())


def check_lookahead(
    make: Callable[[], Operator], listing: str, pieces: Sequence[Piece], *, seed: int = 0, points: int = 8
) -> str | None:
    """The first difference in words, or None if what the strategy says doesn't change with the future.

    make: the strategy's operator, new each time. pieces: consecutive segments of one listing, each with its ListingSpec
    (`streams.fold.pieces_of`). points: how many ticks, chosen by `seed`, after which the future is left out and
    replaced. Raises what the operator raises.
    """
    ticks = sum(len(segment.quality) for segment, _ in pieces)
    if not ticks:
        return None
    first_n = pieces[0][0].first_n
    whole = _run(make(), listing, pieces)
    found = _difference(whole, _run(make(), listing, _recut(pieces, seed)), "the ticks came in other blocks")
    if found is not None:
        return found
    for n in sorted({first_n + 1 + _number(seed, k) % ticks for k in range(points)}):
        past = list(_before(pieces, n))
        known = whole[whole["proof_n"] < n]
        for future, changed in (([], "left out"), (list(_mirrored(pieces, n)), "replaced by others")):
            said = _run(make(), listing, [*past, *future])
            found = _difference(known, said[said["proof_n"] < n], f"the ticks from {n} on were {changed}")
            if found is not None:
                return found
    return None


def _run(operator: Operator, listing: str, pieces: Sequence[Piece]) -> Signals:
    """All that the strategy says."""
    state = operator.initial(listing)
    rows = [operator.fold(state, segment, spec) for segment, spec in pieces]
    return np.concatenate([np.empty(0, SIGNAL_DTYPE), *rows])


def _recut(pieces: Sequence[Piece], seed: int) -> list[Piece]:
    """The same ticks in blocks of 1 to 200."""
    found: list[Piece] = []
    for segment, spec in pieces:
        at, count = 0, len(segment.quality)
        while at < count:
            end = min(at + 1 + _number(seed, len(found), "cut") % _LONGEST_CUT, count)
            found.append((piece(segment, at, end), spec))
            at = end
        if not count:
            found.append((segment, spec))
    return found


def _before(pieces: Sequence[Piece], n: int) -> Iterator[Piece]:
    """The pieces up to tick n, which is not in them."""
    for segment, spec in pieces:
        count = len(segment.quality)
        if segment.first_n + count < n:
            yield segment, spec
        elif segment.first_n < n:
            yield piece(segment, 0, n - segment.first_n)._replace(watermark_ms=NEVER_MS), spec


def _mirrored(pieces: Sequence[Piece], n: int) -> Iterator[Piece]:
    """The ticks from n on with prices that go the other way."""
    middle = None
    for segment, spec in pieces:
        if segment.first_n + len(segment.quality) <= n:
            continue
        rest = piece(segment, max(n - segment.first_n, 0), len(segment.quality))
        if middle is None and len(rest.quality):
            middle = float(rest.bid[0]) + float(rest.ask[0])
        if middle is not None:
            least = middle / 1e6
            bid, ask = np.maximum(middle - rest.ask, least), np.maximum(middle - rest.bid, least)
            # A price that isn't a number stays what it is, broken.
            rest = rest._replace(bid=bid, ask=ask)
        yield rest, spec


def _difference(expected: Signals, found: Signals, when: str) -> str | None:
    """The first signal that isn't in both, in words."""
    for k in range(max(len(expected), len(found))):
        one = expected[k] if k < len(expected) else None
        other = found[k] if k < len(found) else None
        if one is not None and other is not None and one.tobytes() == other.tobytes():
            continue
        first = min((row for row in (one, other) if row is not None), key=lambda row: int(row["proof_n"]))
        return (
            f"it looks ahead: at tick {int(first['n'])}, {iso_ms(int(first['time_ms']))}, it said {_words(one, other)} "
            f"first, and {_words(other, one)} once {when}"
        )
    return None


def _words(row: Any, beside: Any) -> str:
    """A signal, with the fields in which it differs from another of its kind."""
    if row is None:
        return "nothing"
    kind, side = KINDS[int(row["kind"])], SIDES[int(row["side"])]
    if row["kind"] == FAILED:
        return f"FAILED ({row['message'].decode()})"
    names = [] if beside is None else [name for name in _NAMES if row[name].tobytes() != beside[name].tobytes()]
    shown = [f"{name} {_value(name, row[name])}" for name in names if name not in ("kind", "side", "message")]
    differing = f"({', '.join(shown)})" if shown else ""
    return " ".join(word for word in (kind, "" if side == "NONE" else side, differing) if word)


def _value(name: str, value: Any) -> str:
    return str(ENTRY_TYPES[int(value)]) if name == "entry_type" else str(value)


def _number(seed: int, k: int, purpose: str = "point") -> int:
    """A whole number that follows from its arguments alone."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {seed} {k}".encode()).digest()[:8], "big")
