"""Live ticks of a real terminal for a simulated one: every tick of every symbol, once, as the recorder polls them.

A thread of its own asks the real terminal; the simulated one takes what has come whenever its time goes on, and is
never kept waiting. While the real terminal doesn't answer or has lost its trade server, the source says that it isn't
connected; it signs in again by itself, and then every tick of the meantime comes. Once the real terminal is logged in
to another account, or shows another clock than is set, nothing is taken from it until somebody starts anew. `trouble`
says all that is wrong.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infra import log
from infra.clock import Clock, Stopwatch
from infra.errors import Refused
from infra.settings import RecorderSettings
from producers.clocks import ServerClock
from producers.judge import AHEAD_MS, Judge
from producers.mt5 import COPY_TICKS_ALL, IPC_FAILURES, Mt5Quotes, TerminalError, failure, sign_in
from producers.recorder.connection import FIRST_DELAY_S, LONGEST_DELAY_S
from producers.recorder.listing import SWEEP_US, means_no_ticks
from producers.recorder.offset import ServerOffset
from producers.recorder.pinned import Source, source_of
from producers.recorder.polling import Cursor, Rows, rows_of_page
from producers.terminal.live_quotes import LiveTerminal
from producers.terminal.ticks import TickHistory, Ticks, in_order, joined
from schemas.ticks import TickSource
from schemas.times import iso_ms

SILENT_S: Final = 5.0
"""How long the real terminal may be silent before there is no connection."""
CONTEXT_S: Final = 3_600
"""How far before its first new tick a symbol's history goes back."""
_LOOK_S: Final = 1.0
_PAGES: Final = 8
_FAILING: Final = 3

Kept = Mapping[str, Sequence[Sequence[int]]]
"""By symbol the rows of the newest second that were told, as the polling has them."""

_logger = log.get(__name__)


class NotThatSource(Refused):
    """The real terminal isn't the one that it was, or its clock isn't the one that is set."""


class LiveSource:
    """Polls the symbols of one real terminal from `start` to `close`; every method is called by one thread."""

    def __init__(
        self,
        terminal: LiveTerminal,
        quotes: Mt5Quotes,
        source: Source,
        symbols: Sequence[str],
        clock: Clock,
        recorder: RecorderSettings,
        missing: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`quotes` is signed in; `source`: whose they are, from then on. `clock`: the machine's. `missing`: symbols
        that the real terminal hasn't, and why; those that aren't among `symbols` are left out."""
        self.source = source
        self._terminal, self._quotes, self._clock = terminal, quotes, clock
        self._poll_s, self._page = recorder.poll_ms / 1000, recorder.page
        self._clock_name = recorder.server_clock
        self._offset = ServerOffset(ServerClock(recorder.server_clock), 0, untold=True)
        self._symbols = tuple(symbols)
        self._polled: dict[str, _Polled] = {}
        self._arrived: deque[tuple[str, Ticks]] = deque()
        self._up = True
        self._down = ""
        self._left_out = tuple(
            f"{name} is left out until the next start: {why}" for name, why in missing.items() if name not in symbols
        )
        self._unread = {name: f"no quotes of {name}: {why}" for name, why in missing.items() if name in symbols}
        self._gaps: dict[str, str] = {}
        for told in (*self._left_out, *self._unread.values()):
            _logger.error("a symbol is missing", reason=told)
        self._silent = Stopwatch()
        self._looked = Stopwatch()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live quotes", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether quotes come: the real terminal has its server, and has answered in the last seconds."""
        return self._up and self._silent.seconds() < SILENT_S

    @property
    def trouble(self) -> tuple[str, ...]:
        """What is wrong, for a person: why no quotes come, symbols that can't be read, where ticks may be missing."""
        down = self._down
        if not down and not self.connected:
            down = f"the real terminal hasn't answered for {SILENT_S:g} s"
        line = (f"no quotes: {down}",) if down else ()
        return (*line, *self._left_out, *self._unread.copy().values(), *self._gaps.copy().values())

    def begin(self, histories: Mapping[str, TickHistory], kept: Kept) -> None:
        """Fills the histories with what is to be there before the first new tick. Raises TerminalError.

        `kept`: what was told before a restart; new is what came after it. Without, what comes from now on is new.
        """
        for symbol in self._symbols:
            rows = np.array(kept.get(symbol, ()), np.int64).reshape(-1, 6)
            now_ms = self._clock.now_us() // 1000
            if len(rows):
                newest_ms = now_ms + AHEAD_MS + self._offset.at(now_ms) * 1000
                cursor = Cursor.behind(rows, self._page, newest_ms, all_rows=True)
            else:
                cursor = Cursor(max(1, self._newest_second(symbol)), self._page)
            polled = self._polled[symbol] = _Polled(cursor)
            ticks = self._judged(polled, np.concatenate([self._before(symbol, cursor.second), rows]))
            histories[symbol].insert(in_order(ticks))
            histories[symbol].play(ticks.size)

    def start(self) -> None:
        """Polls from now on."""
        self._silent.restart()
        self._thread.start()

    def take(self) -> dict[str, Ticks]:
        """What has come since it was last asked, by symbol, in the order in which it came."""
        parts: dict[str, list[Ticks]] = {}
        while self._arrived:
            symbol, ticks = self._arrived.popleft()
            parts.setdefault(symbol, []).append(ticks)
        return {symbol: joined(own) for symbol, own in parts.items()}

    def close(self) -> None:
        """Ends the polling and leaves the real terminal."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(SILENT_S)
        self._quotes.shutdown()

    # -- the line ------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            try:
                if not self._up:
                    self._restore()
                if self._looked.seconds() >= _LOOK_S:
                    self._look()
                for symbol, polled in self._polled.items():
                    self._read_on(symbol, polled)
            except TerminalError as error:
                self._lose(f"{error}; correct it and start again" if error.final else str(error))
                if error.final:
                    return
                self._stop.wait(delay)
                delay = min(LONGEST_DELAY_S, delay * 2)
                continue
            except NotThatSource as error:
                self._lose(str(error))
                return
            delay = FIRST_DELAY_S
            self._stop.wait(self._poll_s)

    def _restore(self) -> None:
        self._check(source_of(sign_in(self._quotes, self._terminal.sign_in)))
        self._look()
        self._offset.forget()
        for symbol, polled in self._polled.items():
            self._quotes.symbol_select(symbol, True)
            polled.connected()
        self._silent.restart()
        self._up, self._down = True, ""
        _logger.info("quotes come again", terminal=str(self._terminal))

    def _look(self) -> None:
        info, account = self._quotes.terminal_info(), self._quotes.account_info()
        if info is None or account is None:
            raise failure(self._quotes, "the real terminal doesn't answer")
        self._check(source_of(account))
        if not info.connected:
            raise TerminalError("the real terminal has lost its trade server", IPC_FAILURES)
        self._looked.restart()
        self._silent.restart()

    def _check_account(self) -> None:
        account = self._quotes.account_info()
        if account is None:
            raise failure(self._quotes, "the real terminal doesn't answer")
        self._check(source_of(account))

    def _check(self, source: Source) -> None:
        if source != self.source:
            raise NotThatSource(
                f"the real terminal is logged in to {source}, and its ticks were those of {self.source}: log it in to "
                "that again and start anew, or trade on paper in another home"
            )

    def _lose(self, reason: str) -> None:
        if reason != self._down:
            _logger.warning("no quotes", reason=reason)
        self._up, self._down = False, reason

    # -- ticks ---------------------------------------------------------------------------------------------------------

    def _read_on(self, symbol: str, polled: _Polled) -> None:
        """All that the terminal has of the symbol by now, as far as one turn goes."""
        for _ in range(_PAGES):
            if self._stop.is_set() or self._read_page(symbol, polled):
                return

    def _read_page(self, symbol: str, polled: _Polled) -> bool:
        """Whether there is no more. Raises TerminalError if the line is down, NotThatSource if the clock differs."""
        asked_us = time.monotonic_ns() // 1000
        sweep = asked_us >= polled.sweep_us
        question = polled.cursor.ask(sweep)
        page = self._quotes.copy_ticks_from(symbol, question.second, question.rows, COPY_TICKS_ALL)
        if page is None or not len(page):
            if page is None and not means_no_ticks(*(found := self._quotes.last_error())):
                self._failed(symbol, polled, *found)
            self._silent.restart()
            return True
        self._silent.restart()
        polled.failures = 0
        self._unread.pop(symbol, None)
        now_ms = self._clock.now_us() // 1000
        cursor = copy(polled.cursor)
        fresh = cursor.take(page, question, now_ms + AHEAD_MS + self._offset.at(now_ms + AHEAD_MS) * 1000)
        if not fresh.vouched:
            # It may be another source's. If it is, nothing of it counts as taken.
            self._check_account()
        polled.cursor = cursor
        if fresh.complete and sweep:
            polled.sweep_us = asked_us + SWEEP_US
        if not fresh.vouched:
            self._note_gap(symbol, fresh.rows)
        if len(fresh.rows):
            if not polled.behind:
                self._hold_clock(symbol, int(fresh.rows[-1, 0]))
            self._arrived.append((symbol, self._judged(polled, fresh.rows)))
        polled.behind = not fresh.complete
        return fresh.complete

    def _failed(self, symbol: str, polled: _Polled, code: int, text: str) -> None:
        if code <= IPC_FAILURES:
            raise TerminalError(f"the real terminal doesn't answer: {text} ({code})", code, text)
        polled.failures += 1
        if polled.failures == _FAILING:
            self._unread[symbol] = (
                f"no quotes of {symbol}: the real terminal says {text} ({code}); see whether it is in its market "
                "watch, and whether the account may see it"
            )
            _logger.error("a symbol can't be read", reason=self._unread[symbol])
        self._quotes.symbol_select(symbol, True)

    def _note_gap(self, symbol: str, rows: Rows) -> None:
        stamp_ms = int(rows[0, 0])
        at = iso_ms(stamp_ms - self._offset.at(stamp_ms) * 1000)
        self._gaps[symbol] = (
            f"ticks of {symbol} may be missing before {at}: the real terminal has none of those that came before; the "
            "log can't mark it"
        )
        _logger.error("a gap", reason=self._gaps[symbol])

    def _hold_clock(self, symbol: str, newest_msc: int) -> None:
        """Ticks that have just come show what the server's clock is; another one than is set is never worked with."""
        steady_us = time.monotonic_ns() // 1000
        now_us = self._clock.now_us()
        self._offset.show(symbol, newest_msc, now_us, steady_us)
        found = self._offset.settle(len(self._polled), now_us, steady_us)
        if self._offset.correction_s:
            assert found is not None
            raise NotThatSource(
                f"the server's clock shows UTC{found.shown_s / 3600:+g} h, and recorder.server_clock = "
                f"{self._clock_name} says UTC{found.expected_s / 3600:+g} h: correct that setting, or this machine's "
                "clock, and start again"
            )

    def _judged(self, polled: _Polled, rows: Rows) -> Ticks:
        """Rows as ticks in UTC, with what the judge says of each."""
        now_us = self._clock.now_us()
        prices = rows.view(np.float64)
        offsets = self._offset.of(rows[:, 0], now_us // 1000) if len(rows) else np.empty(0, np.int64)
        ticks = Ticks(
            rows[:, 0] - offsets * 1000, prices[:, 1].copy(), prices[:, 2].copy(), prices[:, 3].copy(),
            prices[:, 4].copy(), rows[:, 5].astype(np.int32), np.zeros(len(rows), np.int32),
        )  # fmt: skip
        return ticks._replace(quality=polled.judge.judge(ticks, TickSource.LIVE, now_us))

    def _newest_second(self, symbol: str) -> int:
        tick = self._quotes.symbol_info_tick(symbol)
        now_ms = self._clock.now_us() // 1000
        return int(tick.time) if tick is not None and tick.time else now_ms // 1000 + self._offset.at(now_ms)

    def _before(self, symbol: str, second: int) -> Rows:
        """The rows of the hour before a second of the server's clock."""
        start = max(1, second - CONTEXT_S)
        page = self._quotes.copy_ticks_range(symbol, start, max(start, second), COPY_TICKS_ALL)
        if page is None:
            code, text = self._quotes.last_error()
            if code <= IPC_FAILURES:
                raise TerminalError(f"the real terminal doesn't answer: {text} ({code})", code, text)
            return np.empty((0, 6), np.int64)
        return rows_of_page(page[page["time_msc"] < second * 1000])


class _Polled:
    """How far one symbol is read."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.judge = Judge()
        self.failures = 0
        self.connected()

    def connected(self) -> None:
        """What comes next may be old: it shows no clock."""
        self.behind = True
        self.sweep_us = 0


def tail_rows(history: TickHistory, newest_ms: int) -> list[list[int]]:
    """The rows of a history's newest second, for a restart; `newest_ms`: UTC, what is later counts as one of them."""
    end = history.ticks.size
    sane = int(np.searchsorted(history.ticks.time_ms, newest_ms, "right"))
    if not end:
        return []
    stamps: NDArray[Any] = history.rows(max(0, sane - 1), max(1, sane))["time_msc"]
    start = history.at_or_after(int(stamps[0]) // 1000 * 1000)
    found: list[list[int]] = rows_of_page(history.rows(start, end)).tolist()
    return found
