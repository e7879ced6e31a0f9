"""The desk's clock: quotes at whole seconds, marks at whole minutes, and whatever is due without an input.

What no output may depend on is which clocks were taken beside those that have to be (protocol.md, 5): so a row acts
only if it brings a new quote of a listing that something is held in (or that converts it), or is the first at which
something is due. Minutes, days and configuration come into force in the order of their times, before the entry that
first shows that they have passed, by the quotes before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from agents.money import Quote
from schemas.journal_columns import ClockRows
from schemas.quality import BROKEN
from schemas.ticks import Doubles, Ints, Longs
from schemas.trading import Decided
from streams.operators.desk.accounting import (
    conversion_of,
    equity_units,
    margin_of,
    money_digits,
    size_in_units,
    watched,
)
from streams.operators.desk.exits import closing_quote, manage, ring, timers_due
from streams.operators.desk.kernel import MARK_WORDS, MINUTE_US, NOTHING, TIMER, run_clock
from streams.operators.desk.limits import begin_day, floors, judge_limits
from streams.operators.desk.reference import configure
from streams.operators.desk.state import NEVER_US, DeskState
from streams.operators.desk.turn import MONEY_DIGITS, Turn, units
from streams.operators.marks import MARK_DTYPE, Marks

SECOND_US: Final = 1_000_000
_FEW: Final = 8
"""Rows that are quicker one by one than as columns."""


def take_clock(state: DeskState, rows: ClockRows, terse: bool = False) -> tuple[int, list[Decided | Marks]]:
    """Takes rows until right after the first at which something other than marks is said; how many it took."""
    out: list[Decided | Marks] = []
    start, count = 0, len(rows.us)
    while start < count:
        turn = Turn(state, 0, terse)
        start = _held(turn, rows, start) if state.positions else _flat(turn, rows, start)
        out += turn.out
        if turn.acted:
            break
    if start:
        state.now_us = max(state.now_us, rows.us.item(start - 1))
    return start, out


def advance(turn: Turn, us: int) -> None:
    """Minutes, configuration and days that have passed by `us`, in the order of their times."""
    state = turn.state
    now = turn.us
    while True:
        minute = state.next_minute_us if state.positions else NEVER_US
        reference = state.future[0].effective_from_us if state.future else NEVER_US
        first = min(minute, reference, state.next_day_us)
        if first > us:
            break
        turn.us = first
        if first == minute:
            _mark_minutes(turn, min(us, reference, state.next_day_us))
        elif first == reference:
            configure(turn, state.future.pop(0))
        else:
            begin_day(turn)
    turn.us = now


def passing(state: DeskState) -> int:
    """When the next configuration or day comes into force."""
    return min(state.next_day_us, state.future[0].effective_from_us) if state.future else state.next_day_us


def next_timer_us(state: DeskState) -> int:
    """The whole second at which a clock is due though no quote may come; NEVER_US = none is."""
    due = min(map(timers_due, state.positions.values()), default=NEVER_US)
    return -(-due // SECOND_US) * SECOND_US if due < NEVER_US else NEVER_US


def _mark_minutes(turn: Turn, until: int) -> None:
    """Marks of every whole minute up to `until`: nothing changed between them."""
    state = turn.state
    count = (until - state.next_minute_us) // MINUTE_US + 1
    words = np.empty((count, MARK_WORDS), np.int64)
    words[:] = (
        state.next_minute_us, 0, units(state.balance), equity_units(state), units(margin_of(state)), state.peak,
        len(state.positions), state.out_seqs.get("portfolio", 0), state.ref_no,
    )  # fmt: skip
    if count > 1:
        steps = np.arange(count)
        words[:, 0] += steps * MINUTE_US
        words[:, 7] += steps
    words[:, 1] = words[:, 0] // 1_000
    state.next_minute_us += count * MINUTE_US
    turn.marks(np.ndarray(count, MARK_DTYPE, words))


def _flat(turn: Turn, rows: ClockRows, start: int) -> int:
    """Nothing is held: quotes are kept, days begin."""
    state, count = turn.state, len(rows.us)
    end = count
    if rows.us.item(-1) >= (first := passing(state)):
        end = start + int(np.searchsorted(rows.us[start:], first))
    _keep_quotes(state, rows, start, end)
    if end == count:
        return count
    turn.us = int(rows.us[end])
    advance(turn, turn.us)
    if not turn.acted:
        return end
    _keep_quotes(state, rows, end, end + 1)
    return end + 1


def _keep_quotes(state: DeskState, rows: ClockRows, start: int, end: int) -> None:
    if end - start <= _FEW:
        few = rows.part(start, end)
        quotes, qualities = state.quotes, state.qualities
        for place, quality, n, bid, ask, time_ms in zip(
            few.listing.tolist(), few.quality.tolist(), few.n.tolist(), few.bid.tolist(), few.ask.tolist(),
            few.time_ms.tolist(), strict=True,
        ):  # fmt: skip
            if place >= 0 and not quality & BROKEN:
                name = rows.names[place]
                if (known := quotes.get(name)) is None or n > known.n:
                    quotes[name], qualities[name] = Quote(bid, ask, n, time_ms), quality
        return
    for name, listing in enumerate(rows.names):
        of = np.flatnonzero((rows.listing[start:end] == name) & ((rows.quality[start:end] & BROKEN) == 0))
        if not len(of):
            continue
        # Numbers grow along the rows of a listing; of equal ones the first counts.
        of += start
        row = int(of[np.argmax(rows.n[of])])
        if (known := state.quotes.get(listing)) is None or rows.n[row] > known.n:
            _keep(state, listing, rows, row)


def _keep(state: DeskState, listing: str, rows: ClockRows, row: int) -> None:
    state.quotes[listing] = Quote(float(rows.bid[row]), float(rows.ask[row]), int(rows.n[row]), int(rows.time_ms[row]))
    state.qualities[listing] = int(rows.quality[row])


def _held(turn: Turn, rows: ClockRows, start: int) -> int:
    """Something is held: one kernel up to the first row at which there is something to do."""
    state = turn.state
    timer = min(passing(state), *map(timers_due, state.positions.values()))
    row, why = _run(turn, rows if not start else rows.part(start, len(rows.us)), timer)
    row += start
    if why == NOTHING:
        return row
    turn.us = int(rows.us[row])
    if why != TIMER:
        _act(turn)
        return row + 1
    advance(turn, turn.us)
    for number in sorted(state.positions):
        ring(turn, state.positions[number])
    forget_columns(state)
    if turn.acted:
        _, why = _run(turn, rows.part(row, row + 1), NEVER_US)
        if why != NOTHING:
            _act(turn)
        return row + 1
    return row


def _act(turn: Turn) -> None:
    """The newest quote reached a level of a position, or may have reached a limit."""
    state = turn.state
    for number in sorted(state.positions):
        position = state.positions[number]
        quote = state.quotes.get(position.listing)
        if quote is not None:
            value = closing_quote(position, quote)
            if value >= position.above or value <= position.below:
                manage(turn, position, quoted=True)
    judge_limits(turn)
    forget_columns(state)


@dataclass(slots=True)
class _Columns:
    """What is held as the kernel takes it, until an input changes it; quotes are those of `listings`."""

    listings: tuple[str, ...]
    at: dict[str, int]
    quote_n: Longs
    quote_bid: Doubles
    quote_ask: Doubles
    quote_row: Longs
    held_place: Ints
    held: Doubles
    money: Longs
    kept: float
    scale: float


def forget_columns(state: DeskState) -> None:
    """What is held, or what is to be watched for, has changed."""
    state.cache.pop("columns", None)


def _run(turn: Turn, rows: ClockRows, timer_us: int) -> tuple[int, int]:
    """The kernel over the rows: quotes, peak and marks taken over; (row, why) of where it stopped."""
    state = turn.state
    columns = state.cache.get("columns")
    if columns is None:
        columns = state.cache["columns"] = _columns(state)
    place = [columns.at.get(name, -1) for name in rows.names]
    money = columns.money
    money[7], money[8] = state.out_seqs.get("portfolio", 0), state.ref_no
    until = min(int(rows.us[-1]), timer_us)
    marks = np.empty((max((until - int(money[5])) // MINUTE_US + 1, 0), MARK_WORDS), np.int64)
    columns.quote_row.fill(-1)
    row, why, written = run_clock(
        rows.us, rows.listing, rows.n, rows.bid, rows.ask, rows.quality, np.array(place, np.int32), columns.quote_n,
        columns.quote_bid, columns.quote_ask, columns.quote_row, columns.held_place, columns.held, money, columns.kept,
        columns.scale, timer_us, marks,
    )  # fmt: skip
    if -1 in place:
        _keep_quotes(state, rows, 0, row if why in (NOTHING, TIMER) else row + 1)
    else:
        for at, of in enumerate(columns.quote_row.tolist()):
            if of >= 0:
                _keep(state, columns.listings[at], rows, of)
    state.peak, state.next_minute_us = int(money[3]), int(money[5])
    if written:
        # What isn't filled is not kept either.
        turn.marks(np.ndarray(written, MARK_DTYPE, marks if written == len(marks) else marks[:written].copy()))
    return int(row), int(why)


def _columns(state: DeskState) -> _Columns:
    listings = watched(state)
    at = {listing: i for i, listing in enumerate(listings)}
    quotes = [state.quotes.get(listing) or Quote(0.0, 0.0, -1) for listing in listings]
    held = np.empty((len(state.positions), 7), np.float64)
    held_place = np.empty((len(held), 2), np.int32)
    for row, number in enumerate(sorted(state.positions)):
        position = state.positions[number]
        fixed, by, direct = conversion_of(state, position.listing)
        held_place[row] = at[position.listing], at[by] if by else -1
        held[row] = (
            position.sign, position.price, size_in_units(state, position), fixed, direct, position.above,
            position.below,
        )  # fmt: skip
    daily, kept = floors(state)
    digits = money_digits(state)
    money = (
        units(state.balance), 10 ** (MONEY_DIGITS - digits), units(margin_of(state)), state.peak, daily,
        state.next_minute_us, len(held), 0, 0,
    )  # fmt: skip
    return _Columns(
        listings,
        at,
        np.array([quote.n for quote in quotes], np.int64),
        np.array([quote.bid for quote in quotes], np.float64),
        np.array([quote.ask for quote in quotes], np.float64),
        np.empty(len(listings), np.int64),
        held_place,
        held,
        np.array(money, np.int64),
        kept,
        10.0**digits,
    )


def warm_clock() -> None:
    """Compiles the kernel, at set-up."""
    ints, longs, doubles = np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64)
    run_clock(
        longs, ints, longs, doubles, doubles, ints, ints, longs, doubles, doubles, longs,
        np.empty((0, 2), np.int32), np.empty((0, 7), np.float64), np.zeros(MARK_WORDS, np.int64), -1.0, 100.0, NEVER_US,
        np.empty((0, MARK_WORDS), np.int64),
    )  # fmt: skip
