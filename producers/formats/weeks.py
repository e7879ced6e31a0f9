"""Is the clock right? Foreign exchange opens on Sunday and closes on Friday at 17:00 New York: a file tells when.

If weeks both begin and end away from that in the same direction, the file's clock is another one. What opens an hour
later but closes in time (metals, indices) isn't meant.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from producers.clocks import FileClock, ServerClock
from producers.formats.gaps import GapCount
from producers.formats.source import FileNotes, ReadOptions, file_clock

_QUARTER_MS: Final = 900_000
_DAY_MS: Final = 86_400_000
_LEAST: Final = 2
"""Quarters of an hour that count: markets close and open some minutes early or late."""
_SERVERS: Final = ("ny7", "eu", "utc", "+1", "+2", "+3")


def week_warnings(gaps: GapCount, notes: FileNotes, options: ReadOptions) -> list[str]:
    """What the weeks' ends and beginnings say against the clock of the files, in words; nothing if they agree."""
    if gaps.always_open or not gaps.weekends:
        return []
    clock = _clock(notes, options)
    if clock is None:
        return []
    shifts = _shifts(gaps, clock)
    off = [shift for shift in shifts if shift]
    if not off or len(off) * 20 < len(shifts):
        return []
    hours, count = Counter(off).most_common(1)[0]
    how = f"{abs(hours) / 4:g} h {'late' if hours > 0 else 'early'}"
    fitting = [name for name in _SERVERS if not any(_shifts(gaps, clock, ServerClock(name).wall))]
    hint = f"; --server-clock {fitting[0]} would fit" if fitting and notes.format.startswith("mt5") else ""
    if fitting and not hint:
        hint = f"; the server clock {fitting[0]} would fit: give the zone that has it by --tz"
    return [
        f"weeks begin and end {how} in {count} of {len(shifts)} weekends, by {clock.name} ({notes.clock[1]}): markets "
        "close on "
        "Friday and open on Sunday at 17:00 New York. The files' clock seems to be another (--tz, "
        f"--server-clock){hint}"
    ]


def _clock(notes: FileNotes, options: ReadOptions) -> FileClock | None:
    return None if notes.clock[1] == "by the rows" else file_clock(notes, options)


def _shifts(gaps: GapCount, clock: FileClock, other: FileClock | None = None) -> list[int]:
    """Quarters of an hour by which each weekend's close and open both lie late; 0 where they don't agree.

    `clock`: by which the files' times were put on UTC; `other`: by which they would be.
    """
    utc = np.array(gaps.weekends, np.int64)
    if other is not None:
        utc = np.stack([other.to_utc_ms(clock.wall_ms(utc[:, i])) for i in (0, 1)], axis=1)
    server = utc + np.stack([ServerClock("ny7").offsets_s(utc[:, i]) for i in (0, 1)], axis=1).astype(np.int64) * 1000
    # The last row is before the close by up to its bar's length; the first is at the open or a little after.
    ends = np.round((server[:, 0] + gaps.step_ms + _DAY_MS // 2) % _DAY_MS - _DAY_MS // 2) / _QUARTER_MS
    begins = ((server[:, 1] + _DAY_MS // 2) % _DAY_MS - _DAY_MS // 2) / _QUARTER_MS
    out = []
    for end, begin in zip(np.rint(ends).astype(int).tolist(), np.floor(begins + 0.2).astype(int).tolist(), strict=True):
        nearer = min(end, begin, key=abs)
        out.append(nearer if end * begin > 0 and abs(nearer) >= _LEAST else 0)
    return out
