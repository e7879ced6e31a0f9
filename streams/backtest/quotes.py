"""The ticks of a listing on a backtest's time line: a cursor over its blocks, and what lies between two moments.

Time is in microseconds; a tick is at `time_ms * 1000`. Broken ticks are on the log and are no quotes: they pass with
the good one before them.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np

from agents.money import Quote
from schemas.jit import kernel
from schemas.quality import BROKEN
from schemas.ticks import Doubles, Ints, Longs, TickBlock, TickSource, open_block

_BROKEN: Final = int(BROKEN)
_BEFORE_ALL: Final = -(2**62)
SECOND_MS: Final = 1_000
MINUTE_US: Final = 60_000_000


class Window(NamedTuple):
    """A block on the time line. `passes_ms`: int64[n], ascending: when each of its ticks passes."""

    block: TickBlock
    passes_ms: Longs


class Rows(NamedTuple):
    """Quotes at whole seconds: us (of the second), n and time_ms int64[n], bid and ask float64[n], quality int32[n]."""

    us: Longs
    n: Longs
    time_ms: Longs
    bid: Doubles
    ask: Doubles
    quality: Ints


class Quotes:
    """One listing's ticks, of which those before `at` in the front window have passed."""

    def __init__(self, listing: str) -> None:
        self.listing = listing
        self.at = 0
        self.loaded_n = 0
        """Number of the tick that is to be loaded next."""
        self.last_us = -1
        """When the newest tick that is loaded passes."""
        self.quote: Quote | None = None
        """The newest good tick that has passed."""
        self.quality = 0
        self.second: tuple[Quote, int] | None = None
        """The newest good tick, and its quality, at or before the last whole second before the quote."""
        self.offset_s = 0
        """The server's clock less UTC there, seconds."""
        self.rowed_n = -1
        """Number of the newest tick that a row was made of; a later one waits for its second."""
        self.ended = False
        """Nothing more will be loaded."""
        self._windows: deque[Window] = deque()
        self._scratch: Longs = np.empty((2, 0), np.int64)

    def load(self, block: TickBlock) -> None:
        """Appends the listing's next block; one without ticks adds nothing."""
        self.loaded_n = block.first_n + len(block.quality)
        if not len(block.quality):
            return
        passes = block.time_ms
        if broken_in(block.quality):
            before = self.last_us // 1000 if self.last_us >= 0 else _BEFORE_ALL
            passes = np.empty_like(block.time_ms)
            pass_times(block.time_ms, block.quality, before, passes)
        if self._windows and int(passes[0]) * 1000 <= self.last_us:
            self._join(block, passes)
        else:
            self._windows.append(Window(block, passes))
        self.last_us = max(self.last_us, int(passes[-1]) * 1000)

    @property
    def limit_us(self) -> int | None:
        """Until when the front window says all; None if it is the last one that is loaded."""
        return int(self._windows[1].passes_ms[0]) * 1000 - 1 if len(self._windows) > 1 else None

    def _join(self, block: TickBlock, passes: Longs) -> None:
        """Ticks of one moment stay together, wherever the log was cut."""
        before, at = self._windows.pop(), 0
        if not self._windows:
            at, self.at = self.at, 0
        old = before.block
        joined = block._replace(
            first_n=old.first_n + at,
            time_ms=np.concatenate((old.time_ms[at:], block.time_ms)),
            bid=np.concatenate((old.bid[at:], block.bid)),
            ask=np.concatenate((old.ask[at:], block.ask)),
            flags=np.concatenate((old.flags[at:], block.flags)),
            quality=np.concatenate((old.quality[at:], block.quality)),
        )
        self._windows.append(Window(joined, np.concatenate((before.passes_ms[at:], passes))))

    @property
    def front(self) -> Window | None:
        """The window in which the cursor stands; None if all that is loaded has passed."""
        windows = self._windows
        while windows:
            window = windows[0]
            if self.at < len(window.passes_ms):
                return window
            windows.popleft()
            self.at = 0
        return None

    def waits(self, until_us: int) -> bool:
        """Whether a tick that is loaded passes by then and hasn't yet."""
        window = self.front
        return window is not None and int(window.passes_ms[self.at]) * 1000 <= until_us

    def end(self, until_us: int) -> int:
        """Index in the front window behind its last tick that passes at or before `until_us`."""
        return int(self._windows[0].passes_ms.searchsorted(until_us // 1000, "right"))

    def pass_to(self, end: int) -> None:
        """Moves the cursor to `end` in the front window; the newest good tick before it is the quote then."""
        block = self._windows[0].block
        newest = int(_newest(block.quality, self.at, end))
        if newest >= 0:
            self._keep_second(block, int(block.time_ms[newest]) // 1_000 * 1_000, end)
            self.quote = _quote(block, newest)
            self.quality = int(block.quality[newest])
            self.offset_s = block.server_offset_s
        self.at = end

    def _keep_second(self, block: TickBlock, second_ms: int, end: int) -> None:
        passes = self._windows[0].passes_ms
        place = int(_newest(block.quality, self.at, min(int(passes.searchsorted(second_ms, "right")), end)))
        if place >= 0:
            self.second = (
                Quote(
                    float(block.bid[place]), float(block.ask[place]), block.first_n + place, int(block.time_ms[place])
                ),
                int(block.quality[place]),
            )
        elif self.quote is not None and self.quote.time_ms <= second_ms:
            self.second = self.quote, self.quality

    def row_at(self, second_us: int) -> Rows | None:
        """The row of a whole second right before now: what was quoted then, if that has no row yet."""
        quote, quality = self.quote, self.quality
        if quote is not None and quote.time_ms * 1_000 > second_us:
            quote, quality = (None, 0) if self.second is None else self.second
        return None if quote is None or quote.n <= self.rowed_n else _row(second_us, quote, quality)

    def rows(self, end: int, until_us: int, after_us: int, side: int = 0) -> Rows | None:
        """The rows up to `until_us` that the quote and the ticks from the cursor to `end` in the front window give.

        A whole second's row has the newest good tick at or before it; a second without a new one has no row. All rows
        are later than `after_us`: what was quoted before waits for the second after that. With a `side` (1: bids, -1:
        asks) only those that tell anything of it: the first, the last two (what is due at the last one is done by the
        quote before), each minute's last, and those at a price that is higher or lower than all before them.
        """
        quote, start = self.quote, self.at
        lowest = after_us // 1_000_000 + 1
        waiting = -1
        if quote is not None and quote.n > self.rowed_n:
            waiting = max(-(-quote.time_ms // 1_000), lowest)
        window = self.front
        if window is None:
            start = end = 0
        else:
            start = min(max(start, self.rowed_n + 1 - window.block.first_n), end)
        if waiting < 0 and end <= start:
            return None
        if self._scratch.shape[1] <= end - start:
            self._scratch = np.empty((2, end - start + 1), np.int64)
        us, place = self._scratch
        block = _NOTHING if window is None else window.block
        count = int(
            _seconds(block.time_ms, block.quality, start, end, waiting, lowest, until_us // 1_000_000, us, place)
        )
        if not count:
            return None
        if side and count > 1:
            known = _UNKNOWN if quote is None else quote
            price, waits = (block.bid, known.bid) if side > 0 else (block.ask, known.ask)
            count = int(_telling(price, waits, us, place, count))
        us, place = us[:count].copy(), place[:count]
        if place[0] >= 0:
            return _rows(block, us, place)
        assert quote is not None
        if count == 1:
            return _row(int(us[0]), quote, self.quality)
        found = _rows(block, us, place)
        found.n[0], found.time_ms[0], found.quality[0] = quote.n, quote.time_ms, self.quality
        found.bid[0], found.ask[0] = quote.bid, quote.ask
        return found


def _quote(block: TickBlock, place: int) -> Quote:
    return Quote(float(block.bid[place]), float(block.ask[place]), block.first_n + place, int(block.time_ms[place]))


def _row(us: int, quote: Quote, quality: int) -> Rows:
    return Rows(
        np.array([us], np.int64),
        np.array([quote.n], np.int64),
        np.array([quote.time_ms], np.int64),
        np.array([quote.bid]),
        np.array([quote.ask]),
        np.array([quality], np.int32),
    )


def _rows(block: TickBlock, us: Longs, place: Longs) -> Rows:
    return Rows(
        us,
        block.first_n + place,
        block.time_ms[place],
        block.bid[place],
        block.ask[place],
        block.quality[place],
    )


_NOTHING: Final = open_block("", 0, bytes(8), TickSource.IMPORT, 0, "")
_UNKNOWN: Final = Quote(0.0, 0.0)


@kernel
def broken_in(quality: Any) -> int:
    """How many ticks are broken."""
    count = 0
    for i in range(len(quality)):
        if quality[i] & _BROKEN != 0:
            count += 1
    return count


@kernel
def pass_times(time_ms: Any, quality: Any, before_ms: int, out: Any) -> None:
    """When each tick passes: at its time, a broken one with the good tick before it, at `before_ms` without one."""
    newest: Any = np.int64(_BEFORE_ALL)
    for i in range(len(quality)):
        own = before_ms if quality[i] & _BROKEN != 0 else time_ms[i]
        if own > newest:
            newest = own
        out[i] = newest


@kernel
def _newest(quality: Any, start: int, end: int) -> int:
    for i in range(end - 1, start - 1, -1):
        if quality[i] & _BROKEN == 0:
            return i
    return -1


@kernel
def _seconds(
    time_ms: Any, quality: Any, start: int, end: int, waiting: int, lowest: int, last: int, us: Any, place: Any
) -> int:
    """Fills `us` and `place` with each whole second from `lowest` up to `last` and its tick, -1 for the quote that
    waits for the second `waiting`, if that is not below 0; gives their count."""
    if lowest > last:
        return 0
    count = 0
    newest: Any = np.int64(lowest - 1)  # The newest row's second.
    if waiting >= 0 and waiting <= last:
        us[0] = waiting * 1_000_000
        place[0] = -1
        newest = np.int64(waiting)
        count = 1
    for i in range(start, end):
        if quality[i] & _BROKEN != 0:
            continue
        second = max((time_ms[i] + SECOND_MS - 1) // SECOND_MS, lowest)
        if second > last:
            break
        # Without a branch, and so written over and over: whether a tick is a second's first can't be foreseen.
        count += int(second > newest)
        newest = max(second, newest)
        us[count - 1] = newest * 1_000_000
        place[count - 1] = i
    return count


@kernel
def _telling(price: Any, waits: float, us: Any, place: Any, count: int) -> int:
    """Moves the rows that tell anything of a price to the front of `us` and `place`; gives their count. `waits`: the
    price of a row whose place is -1."""
    high, low = -np.inf, np.inf
    minute_us = np.int64(0)
    kept = 0
    last = -1  # The newest row that was kept: `kept` never runs ahead of the rows that are still to be read.
    for i in range(count):
        if us[i] >= minute_us:
            if last < i - 1:
                us[kept], place[kept] = us[i - 1], place[i - 1]
                kept += 1
            minute_us = (us[i] // MINUTE_US + 1) * MINUTE_US
        value = waits if place[i] < 0 else price[place[i]]
        if value > high or value < low or i >= count - 2:
            us[kept], place[kept] = us[i], place[i]
            kept += 1
            last = i
            high = max(high, value)
            low = min(low, value)
    return kept


@kernel
def extremes(bid: Any, ask: Any, quality: Any, start: int, end: int) -> Any:
    """(least bid, greatest bid, least ask, greatest ask) of the good ticks [start, end); infinite if there is none."""
    low_bid, high_bid, low_ask, high_ask = np.inf, -np.inf, np.inf, -np.inf
    for i in range(start, end):
        if quality[i] & _BROKEN == 0:
            low_bid = min(low_bid, bid[i])
            high_bid = max(high_bid, bid[i])
            low_ask = min(low_ask, ask[i])
            high_ask = max(high_ask, ask[i])
    return low_bid, high_bid, low_ask, high_ask
