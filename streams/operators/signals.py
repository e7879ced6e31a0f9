"""Signals: a strategy as an operator. What it raises is its last output."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agents.expressions import StrategyError
from agents.plain_signals import Moment
from agents.signals import (
    ENTRY_TYPES,
    FAILED,
    KINDS,
    MESSAGE_BYTES,
    NONE,
    ON_OPPOSITE,
    SIDES,
    SIGNAL_DTYPE,
    Signals,
    blank_rows,
)
from agents.strategy import QuoteStrategy
from schemas.events import Derived, ListingSpec, Signal
from schemas.integrity import ZERO_MAC
from schemas.quality import BROKEN
from streams.operators.base import BadState, MissingSpec, OperatorError, Outputs, Segment

_NONE: Final[Outputs] = np.empty(0, SIGNAL_DTYPE)
_HEAD_WORDS: Final = 3
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{4,}")


class SignalState:
    """The strategy's own words, and what the operator keeps beside them."""

    __slots__ = ("digits", "failed", "gap", "listing", "words")

    def __init__(self, listing: str, words: npt.NDArray[np.int64]) -> None:
        self.listing = listing
        self.words = words
        self.digits = 0
        self.gap = False
        """A gap has come and no tick since."""
        self.failed = False


class StrategyOperator:
    """A quote strategy as an operator on `signals`.

    A strategy that raises is folded again from before the segment, tick by tick: what it said before the failing tick
    stands, then follows FAILED with that tick's n, and nothing after it. So the cut of the segments doesn't show.
    MemoryError and OSError are not the strategy's: they go up, as an OperatorError does.
    """

    topic: Final = "signals"

    def __init__(self, strategy: QuoteStrategy) -> None:
        self._strategy = strategy
        self._form = f"{strategy.name}\x00{strategy.version}\x00".encode()

    @property
    def name(self) -> str:
        return self._strategy.name

    @property
    def version(self) -> int:
        return self._strategy.version

    def initial(self, listing: str) -> SignalState:
        return SignalState(listing, self._strategy.initial())

    def fold(self, state: SignalState, segment: Segment, spec: ListingSpec | None) -> Outputs:
        """The signals that the segment's ticks prove, as SIGNAL_DTYPE. Raises MissingSpec."""
        if state.failed:
            return _NONE
        gap = state.gap or segment.gap
        if not len(segment.quality):
            state.gap = gap
            return _NONE
        if spec is not None:
            state.digits = spec.digits
        elif ((segment.quality & BROKEN) == 0).any():
            raise MissingSpec(f"{state.listing} has a good tick but no ListingSpec in force: import writes one first")
        state.gap = False
        before = state.words.copy()
        try:
            return self._strategy.fold(
                state.words, segment.first_n, gap, state.digits, segment.time_ms, segment.bid, segment.ask,
                segment.quality,
            )  # fmt: skip
        except (MemoryError, OSError, OperatorError):
            raise
        except Exception:  # noqa: BLE001 - a strategy may raise anything; the tick by tick fold names it
            state.words[:] = before
            return self._fold_singly(state, segment, gap)

    def dump(self, state: SignalState) -> bytes:
        head = np.array([state.digits, state.gap, state.failed], "<i8")
        return b"".join((self._form, head.tobytes(), state.words.astype("<i8").tobytes(), state.listing.encode()))

    def load(self, data: bytes) -> SignalState:
        words = self._strategy.initial()
        middle = len(self._form) + 8 * _HEAD_WORDS
        end = middle + 8 * len(words)
        if not data.startswith(self._form) or len(data) < end:
            raise BadState(
                f"{len(data)} bytes starting {data[:16]!r} are not a state of {self.name} version {self.version}"
            )
        words[:] = np.frombuffer(data[middle:end], "<i8")
        state = SignalState(data[end:].decode(), words)
        digits, gap, failed = np.frombuffer(data[len(self._form) : middle], "<i8").tolist()
        state.digits, state.gap, state.failed = digits, bool(gap), bool(failed)
        return state

    def digest(self, state: SignalState) -> str:
        return hashlib.sha256(self.dump(state)).hexdigest()

    def records(self, outputs: Outputs, *, operator: str, listing: str, out_seq: int, ref_no: int) -> Sequence[Derived]:
        """Signals without a MAC: who sends them seals them."""
        return [
            Signal(
                operator=operator,
                listing=listing,
                out_seq=out_seq + k,
                ref_no=ref_no,
                kind=KINDS[kind],
                side=SIDES[side],
                time_ms=time_ms,
                n=n,
                from_n=from_n,
                bid=bid,
                ask=ask,
                valid_for_ms=valid_for_ms,
                entry_type=ENTRY_TYPES[entry_type],
                price=_some(price),
                expires_ms=expires_ms,
                stop_distance=_some(stop),
                target_distance=_some(target),
                trail_long=_some(trail_long),
                trail_short=_some(trail_short),
                breakeven_at=_some(breakeven_at),
                partial_at=_some(partial_at),
                partial_share=_some(partial_share),
                max_hold_ms=max_hold_ms,
                on_opposite=ON_OPPOSITE[on_opposite],
                cooldown_ms=cooldown_ms,
                strength=strength,
                model="",
                message=message.decode(),
                key_id="",
                mac=ZERO_MAC,
            )
            for k, (
                _, _, kind, side, time_ms, n, from_n, bid, ask, valid_for_ms, stop, target, trail_long, trail_short,
                breakeven_at, max_hold_ms, on_opposite, cooldown_ms, strength, entry_type, price, expires_ms,
                partial_at, partial_share, message,
            ) in enumerate(outputs.tolist())
        ]  # fmt: skip

    def _fold_singly(self, state: SignalState, segment: Segment, gap: bool) -> Signals:
        found: list[Signals] = []
        for i in range(len(segment.quality)):
            one = slice(i, i + 1)
            before = state.words.copy()
            try:
                rows = self._strategy.fold(
                    state.words, segment.first_n + i, gap and i == 0, state.digits, segment.time_ms[one],
                    segment.bid[one], segment.ask[one], segment.quality[one],
                )  # fmt: skip
            except (MemoryError, OSError, OperatorError):
                raise
            except Exception as error:  # noqa: BLE001 - as above
                state.words[:] = before
                state.failed = True
                found.append(failure(error, _moment(segment, i)))
                break
            found.append(rows)
        return np.concatenate(found)


def failure(error: Exception, moment: Moment) -> Signals:
    """The FAILED row of what a strategy raised. Addresses differ from run to run and are left out of the message."""
    said = str(error) if isinstance(error, StrategyError) else f"{type(error).__name__}: {error}"
    text = _ADDRESS.sub("0x", said)
    text = "".join(c if c.isprintable() else " " for c in text)
    row = blank_rows(1, FAILED, NONE)
    for name in ("proof_n", "proof_ms", "time_ms", "n", "from_n", "bid", "ask"):
        row[name] = getattr(moment, name)
    row["message"] = text.encode()[:MESSAGE_BYTES].decode(errors="ignore").encode()
    return row


def _moment(segment: Segment, i: int) -> Moment:
    """Tick i of the segment."""
    n, at = segment.first_n + i, int(segment.time_ms[i])
    return Moment(n, at, at, n, n, float(segment.bid[i]), float(segment.ask[i]), suspect=False)


def _some(value: float) -> float | None:
    return None if math.isnan(value) else value
