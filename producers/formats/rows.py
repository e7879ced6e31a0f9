"""Rows of text as numbers: one kernel for every text format, told by numbers where what stands.

A column has a *role*: nothing, a date, a time of day, both in one, a count since 1970, a symbol, or a value. Times come
out as wall-clock milliseconds (or UTC where each row tells its offset), fractions of one cut; values as the double next
to the decimal number that is written. What can't be read stops the kernel with a reason, the line and the field.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.jit import kernel

IGNORED: Final = 0
DATE: Final = 1
TIME: Final = 2
DATE_TIME: Final = 3
COUNT: Final = 4
"""Whole or fractional units since 1970-01-01."""
SYMBOL: Final = 5
VALUE: Final = 16
"""Of values[0]; VALUE + i is of values[i]."""

YEAR_FIRST: Final = 0
DAY_FIRST: Final = 1
MONTH_FIRST: Final = 2

MUST: Final = 0
"""An empty cell is an error."""
CARRIED: Final = 1
"""An empty cell has the value of the row before; a row without one yet is skipped."""
ZERO: Final = 2
"""An empty cell reads 0; it may be left off at the end of a row."""


class Problem(IntEnum):
    """What stopped the kernel."""

    NONE = 0
    WIDTH = 1
    """Fewer or more cells than the layout has."""
    NUMBER = 2
    CLOCK = 3
    """No date or time."""
    EMPTY = 4
    OTHER_SYMBOL = 5
    FULL = 6
    """Slow numbers have to be read before the next row can be: to be gone on with."""


# Places in `at`, which goes in and comes out.
POSITION, ROWS, LINES, SKIPPED, SLOW, OFFSETS, DECIMALS, FIELD, FIELD_END, COLUMN = range(10)
AT_LEN: Final = 10

SLOW_ROOM: Final = 65_536
"""Numbers a call can leave to Python: those of more than 15 digits, or with an exponent."""

_TAB: Final = 9
_LF: Final = 10
_CR: Final = 13
_SPACE: Final = 32
_QUOTE: Final = 34
_PLUS: Final = 43
_MINUS: Final = 45
_POINT: Final = 46
_ZERO: Final = 48
_DAY_MS: Final = 86_400_000
_EXACT: Final = 2**53

_TENS: Final = np.array([10.0**i for i in range(23)])


@kernel
def _trimmed(text: NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """The cell without spaces and quotes around it."""
    while start < end and (text[start] == _SPACE or text[start] == _QUOTE or text[start] == _CR):
        start += 1
    while end > start and (text[end - 1] == _SPACE or text[end - 1] == _QUOTE or text[end - 1] == _CR):
        end -= 1
    return start, end


@kernel
def _number(text: NDArray[np.uint8], start: int, end: int, decimal: int) -> tuple[int, float, int]:
    """(1 read, 0 no number, 2 left to Python; the value; decimals written)."""
    i, sign = start, 1.0
    if i < end and (text[i] == _MINUS or text[i] == _PLUS):
        sign = -1.0 if text[i] == _MINUS else 1.0
        i += 1
    mantissa, digits, decimals, point = np.int64(0), 0, 0, False
    seen = 0
    while i < end:
        c = np.int64(text[i])
        if _ZERO <= c <= _ZERO + 9:
            seen += 1
            if digits or c != _ZERO:
                digits += 1
            if digits > 15:
                return _slow(text, start, end, decimal), np.nan, 0
            mantissa = mantissa * 10 + (c - _ZERO)
            if point:
                decimals += 1
        elif c == decimal and not point:
            point = True
        else:
            return _slow(text, start, end, decimal), np.nan, 0
        i += 1
    if seen == 0 or decimals > 22:
        return (0 if seen == 0 else 2), np.nan, 0
    # Both are exact doubles, so the division gives the double next to the number that is written (Clinger, 1990).
    return 1, sign * (np.float64(mantissa) / _TENS[decimals]), decimals


@kernel
def _slow(text: NDArray[np.uint8], start: int, end: int, decimal: int) -> int:
    """2 if Python may make a number of the cell: digits, signs, a point, an exponent, nan and inf."""
    for i in range(start, end):
        c = np.int64(text[i])
        lower = c | 32
        signed = c in (_PLUS, _MINUS, decimal)
        if not (_ZERO <= c <= _ZERO + 9 or signed or (lower >= 97 and lower <= 122)):
            return 0
    return 2


@kernel
def _digits(text: NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """(the number that the digits at `start` make, where they end)."""
    value, i = 0, start
    while i < end and _ZERO <= text[i] <= _ZERO + 9 and i - start < 19:
        value = value * 10 + int(text[i]) - _ZERO
        i += 1
    return value, i


@kernel
def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a Gregorian date; -1 if there is none such (Hinnant, days_from_civil)."""
    if year < 1970 or year > 2261 or month < 1 or month > 12 or day < 1 or day > 31:
        return -1
    if day > 28:
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        last = 31
        if month == 2:
            last = 29 if leap else 28
        elif month == 4 or month == 6 or month == 9 or month == 11:
            last = 30
        if day > last:
            return -1
    y = year - (1 if month <= 2 else 0)
    era = y // 400
    yoe = y - era * 400
    doy = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return int(era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468)


@kernel
def _date(text: NDArray[np.uint8], start: int, end: int, order: int) -> tuple[int, int]:
    """(days since 1970 or -1, where the date ends)."""
    a, i = _digits(text, start, end)
    if i - start == 8:
        return _days(a // 10000, a // 100 % 100, a % 100), i
    if i == start or i >= end:
        return -1, i
    b, j = _digits(text, i + 1, end)
    if j == i + 1 or j >= end or text[j] != text[i]:
        return -1, j
    c, k = _digits(text, j + 1, end)
    if order == YEAR_FIRST:
        return _days(a, b, c), k
    year = c if k - j > 3 else 2000 + c
    return (_days(year, b, a) if order == DAY_FIRST else _days(year, a, b)), k


@kernel
def _time(text: NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """(milliseconds since midnight or -1, where the time ends): 9:30, 09:30:15.123, 093015, 093015123."""
    hour, i = _digits(text, start, end)
    if i == start:
        return -1, i
    minute, second, ms = 0, 0, 0
    if i - start >= 6:
        count = i - start
        if count > 9:
            return -1, i
        for _ in range(count - 6):
            ms = ms * 10 + hour % 10
            hour //= 10
        # The digits came out in reverse.
        back, rest = 0, ms
        for _ in range(count - 6):
            back = back * 10 + rest % 10
            rest //= 10
        ms = back * (1 if count == 9 else (10 if count == 8 else 100))
        hour, minute, second = hour // 10000, hour // 100 % 100, hour % 100
    else:
        if i >= end or text[i] != 58:
            return -1, i
        j = i + 1
        minute, i = _digits(text, j, end)
        if i == j:
            return -1, i
        if i < end and text[i] == 58:
            j = i + 1
            second, i = _digits(text, j, end)
            if i == j:
                return -1, i
    if i < end and (text[i] == _POINT or text[i] == 44 or text[i] == 58) and i + 1 < end:
        place = 100
        i += 1
        while i < end and _ZERO <= text[i] <= _ZERO + 9:
            ms += place * (int(text[i]) - _ZERO)
            place //= 10
            i += 1
    if hour > 23 or minute > 59 or second > 59:
        return -1, i
    j = i
    while j < end and text[j] == _SPACE:
        j += 1
    if j + 1 < end and (text[j + 1] | 32) == 109 and ((text[j] | 32) == 97 or (text[j] | 32) == 112):
        afternoon = (text[j] | 32) == 112
        if hour < 1 or hour > 12:
            return -1, i
        hour = hour % 12 + (12 if afternoon else 0)
        i = j + 2
    return ((hour * 60 + minute) * 60 + second) * 1000 + ms, i


@kernel
def _offset(text: NDArray[np.uint8], start: int, end: int) -> int:
    """Minutes ahead of UTC that the rest of a time tells: Z, GMT+0100, +02:00; -9999 none, -9998 what isn't one."""
    i = start
    while i < end and text[i] == _SPACE:
        i += 1
    if i == end:
        return -9999
    if end - i == 1 and (text[i] | 32) == 122:
        return 0
    if end - i >= 3 and (
        ((text[i] | 32) == 103 and (text[i + 1] | 32) == 109 and (text[i + 2] | 32) == 116)
        or ((text[i] | 32) == 117 and (text[i + 1] | 32) == 116 and (text[i + 2] | 32) == 99)
    ):
        i += 3
        if i == end:
            return 0
    if text[i] != _PLUS and text[i] != _MINUS:
        return -9998
    sign = -1 if text[i] == _MINUS else 1
    i += 1
    value, j = _digits(text, i, end)
    count = j - i
    if count == 0:
        return -9998
    hours, minutes = value, 0
    if count > 2:
        hours, minutes = value // 100, value % 100
    elif j < end and text[j] == 58:
        minutes, j = _digits(text, j + 1, end)
    if j != end or hours > 14 or minutes > 59:
        return -9998
    return int(sign * (hours * 60 + minutes))


@kernel
def parse_rows(
    text: NDArray[np.uint8],
    separator: int,
    decimal: int,
    roles: NDArray[np.int64],
    empty: NDArray[np.int64],
    prices: int,
    order: int,
    per_ms: float,
    symbol: NDArray[np.uint8],
    carry: NDArray[np.float64],
    at: NDArray[np.int64],
    slow: NDArray[np.int64],
    time_ms: NDArray[np.int64],
    values: NDArray[np.float64],
) -> int:
    """Reads the whole lines of `text` from at[POSITION] on; returns a Problem.

    `roles`, `empty`: int64[columns], what stands in a column and what an empty cell of it means. `prices`: so many
    values are prices, whose decimals are counted. `per_ms`: units of a COUNT in a millisecond. `carry`: float64[k],
    the last values. `time_ms`: int64[room], `values`: float64[k, room], where room is at least the lines of `text`.
    `slow`: int64[SLOW_ROOM, 4]: value, row, start and end of a number that is left to Python.
    """
    size, columns = len(text), len(roles)
    position, row = at[POSITION], at[ROWS]
    at[SLOW] = 0
    while position < size:
        end = position
        while end < size and text[end] != _LF:
            end += 1
        first, last = _trimmed(text, position, end)
        if first == last:
            blank = True
            for i in range(position, end):
                if text[i] == separator and separator != _SPACE:
                    blank = False
            if blank:
                position = end + 1
                at[LINES] += 1
                continue
        if at[SLOW] + columns > SLOW_ROOM:
            at[POSITION], at[ROWS] = position, row
            return 6
        stop = end
        while stop > position and (text[stop - 1] == _CR or (text[stop - 1] == _SPACE and separator != _SPACE)):
            stop -= 1
        cell, column, skip, told, ms, problem = position, 0, False, -9999, np.int64(0), 0
        pause = False
        slow_before = at[SLOW]
        start, cell_end = position, position
        while column < columns:
            role = roles[column]
            missing = cell > stop
            if missing:
                start, cell_end = stop, stop
            else:
                after = cell
                if after < stop and text[after] == _QUOTE:
                    after += 1
                    while after < stop and text[after] != _QUOTE:
                        after += 1
                while after < stop and text[after] != separator:
                    after += 1
                start, cell_end = _trimmed(text, cell, after)
                cell = after + 1
            if missing and role != IGNORED and (role < VALUE or empty[column] == MUST):
                problem = 1
                break
            if role == IGNORED:
                column += 1
                continue
            if start == cell_end:
                if role < VALUE or empty[column] == MUST:
                    problem = 4
                    break
                if empty[column] == ZERO:
                    values[role - VALUE, row] = 0.0
                else:
                    values[role - VALUE, row] = carry[role - VALUE]
                    if np.isnan(carry[role - VALUE]):
                        skip = True
            elif role >= VALUE:
                kind, value, decimals = _number(text, start, cell_end, decimal)
                if kind == 0:
                    problem = 2
                    break
                if kind == 2:
                    slow[at[SLOW], 0], slow[at[SLOW], 1] = role - VALUE, row
                    slow[at[SLOW], 2], slow[at[SLOW], 3] = start, cell_end
                    at[SLOW] += 1
                    pause |= empty[column] == CARRIED
                elif role - VALUE < prices and decimals > at[DECIMALS]:
                    at[DECIMALS] = decimals
                values[role - VALUE, row] = value
            elif role == SYMBOL:
                same = cell_end - start == len(symbol)
                if same:
                    for i in range(len(symbol)):
                        if text[start + i] != symbol[i]:
                            same = False
                if not same:
                    problem = 5
                    break
            elif role == COUNT:
                kind, value, decimals = _number(text, start, cell_end, decimal)
                whole, behind = _digits(text, start, cell_end)
                if behind == cell_end:
                    # Nanoseconds have more digits than a double.
                    ms += np.int64(whole // np.int64(per_ms)) if per_ms >= 1 else np.int64(whole * (1 / per_ms))
                elif kind == 1 and value >= 0:
                    ms += np.int64(np.floor(value / per_ms + 1e-6))
                else:
                    problem = 3
                    break
            else:
                behind = start
                if role != TIME:
                    days, behind = _date(text, start, cell_end, order)
                    if days < 0:
                        problem = 3
                        break
                    ms += days * _DAY_MS
                    if role == DATE_TIME:
                        if behind < cell_end and ((text[behind] | 32) == 116 or text[behind] == 44):
                            behind += 1
                        while behind < cell_end and text[behind] == _SPACE:
                            behind += 1
                if role != DATE and (role == TIME or behind < cell_end):
                    clock, behind = _time(text, behind, cell_end)
                    if clock < 0:
                        problem = 3
                        break
                    ms += clock
                    if behind < cell_end:
                        told = _offset(text, behind, cell_end)
                        if told == -9998:
                            problem = 3
                            break
                elif role == DATE and behind != cell_end:
                    problem = 3
                    break
            column += 1
        # A separator at the end of every row is no cell.
        if problem == 0 and (cell < stop or (cell == stop and separator == _SPACE)):
            problem = 1
        if problem != 0:
            at[POSITION], at[ROWS], at[SLOW] = position, row, slow_before
            at[FIELD], at[FIELD_END], at[COLUMN] = start, cell_end, column
            return problem
        at[LINES] += 1
        position = end + 1
        if told > -9999:
            ms -= told * 60_000
            at[OFFSETS] += 1
        time_ms[row] = ms
        for i in range(len(carry)):
            if not np.isnan(values[i, row]):
                carry[i] = values[i, row]
        if skip:
            at[SKIPPED] += 1
            at[SLOW] = slow_before
        else:
            row += 1
        if pause:
            at[POSITION], at[ROWS] = position, row
            return 6
    at[POSITION], at[ROWS] = size, row
    return 0
