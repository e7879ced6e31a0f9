"""The recorder: one process that polls every symbol of a terminal and writes its ticks onto the log; it never trades.

Blocks are handed to one producer and read back by one consumer; nothing waits for the other. What is on the log is the
terminal's history, row by row, whenever this process is ended and whoever starts after it: the log says where to go on.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from infra.chain_follower import ChainStopped
from infra.clock import SystemClock, WaitingClock
from infra.errors import TickledgerError
from infra.log import get
from infra.marks import Mark
from infra.settings import Settings
from infra.tick_writer import TickClients
from producers.clocks import ServerClock
from producers.mt5 import IPC_FAILURES, Mt5, TerminalError
from producers.recorder.admission import Admission, Admitted
from producers.recorder.connection import FIRST_DELAY_S, LONGEST_DELAY_S, Line
from producers.recorder.listing import LOOK_BACK_S, MAX_WAITING, CallFailed, Now, RecordedListing
from producers.recorder.market_time import MarketTime
from producers.recorder.offset import Finding, ServerOffset
from producers.recorder.pacing import Pacing
from producers.recorder.reference import LiveReference
from producers.recorder.sessions import Hours
from producers.recorder.told import Told
from schemas.accept import Head
from schemas.events import Severity, SourceKind
from schemas.integrity import KeyRing
from schemas.times import iso_ms

_LOOK_S: Final = 1.0
"""Between two looks at the line to the server."""
_SYMBOLS_S: Final = 30.0
"""Between two looks at specifications, and at what wasn't recorded so far."""
_REFUSED_S: Final = 2.0
"""The same while a symbol is refused: its specification may be loading."""
_ANCHOR_S: Final = 60.0
_FIRST_ANCHOR_S: Final = 5.0
"""The first after a start: one that ends soon again leaves the next less to read."""
_PAGES: Final = 8
"""Pages of one symbol before others have their turn."""
_FAILING: Final = 3
"""Failed polls in a row from which on a symbol is told of and polled less often."""
_RETRY_S: Final = 5.0
_STARTING_S: Final = 5.0
_DRAIN_S: Final = 4.0
_WAIT_S: Final = 0.005
"""Longest wait at once: what comes back from the log is to be seen soon."""
_STUCK_S: Final = 10.0

_logger = get(__name__)


class _Round(NamedTuple):
    """A round of polls: all that it returned is on the log once these writers' links are."""

    start_us: int
    until: list[tuple[RecordedListing, int]]


class Recorder:
    """Records until `stop` is set. `steady_us`: a clock in microseconds that nobody moves."""

    def __init__(
        self,
        mt5: Mt5,
        settings: Settings,
        bootstrap: str,
        keys: KeyRing,
        clock: WaitingClock,
        *,
        mark: Mark | None = None,
        stop: threading.Event,
        ready: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        """`mark`: set to how far everything is on the log. `ready`: told the listings, whenever they change."""
        self._mt5, self._settings, self._bootstrap, self._keys, self._clock = mt5, settings, bootstrap, keys, clock
        self._mark, self._stop, self._ready = mark, stop, ready
        self._clients = TickClients(bootstrap, keys)
        self._told = Told(self._clients.producer, clock)
        self._line = Line(mt5, settings, bootstrap, self._clients, self._told)
        self._time = MarketTime(clock, self._told.of_feed)
        self._model = ServerClock(settings.recorder.server_clock)
        self._offset = ServerOffset(self._model, 0, untold=True)
        self._reference = LiveReference(bootstrap, keys)
        self._hours = Hours(settings.recorder.sessions)
        self._unused: list[str] = []
        self._listings: dict[str, RecordedListing] = {}
        self._begins: dict[str, int] = {}
        """Second of the server's clock from which on a symbol is recorded, if nothing of it is on the log."""
        self._failed: dict[str, int] = {}
        self._failed_since: dict[str, str] = {}
        self._retry: dict[str, float] = {}
        self._refusals: dict[str, str] = {}
        self._refused_now: set[str] = set()
        self._rounds: deque[_Round] = deque()
        self._offset_now_s = 0
        self._confirmed, self._moved_at = 0, time.monotonic()
        self._stuck_since_us = 0
        self._steady = clock.now_us if not isinstance(clock, SystemClock) else lambda: time.monotonic_ns() // 1000

    def run(self) -> None:
        """Raises Fenced, SourceRefused, Refused, TerminalError (a refused login), Unreachable, DeliveryFailed."""
        try:
            admission = self._connect()
            if admission is not None:
                self._record(admission)
        finally:
            self._end()

    def heads(self) -> dict[str, Head]:
        """How far each listing is on the log."""
        return {recorded.listing: recorded.writer.written for recorded in list(self._listings.values())}

    # -- the line ------------------------------------------------------------------------------------------------------

    def _connect(self) -> Admission | None:
        """Until the terminal answers; None if the recorder is to end before."""
        delay, told, began = FIRST_DELAY_S, "", time.monotonic()
        since = iso_ms(self._clock.now_ms())
        while not self._stop.is_set():
            try:
                feed = self._line.open(self._offset_s)
            except TerminalError as error:
                if error.final:
                    self._told.alert("terminal_refused", "recorder", f"nothing is recorded: {error}")
                    raise
                # A stack that starts has its terminal in a moment.
                if str(error) != told and time.monotonic() - began > _STARTING_S:
                    told = str(error)
                    self._told.alert("terminal_unreachable", "recorder", f"nothing is recorded since {since}: {error}")
                    self._clients.producer.flush(1)
                self._stop.wait(delay)
                delay = min(LONGEST_DELAY_S, delay * 2)
                continue
            except TickledgerError as error:
                self._told.alert("source_refused", "recorder", str(error))
                raise
            return Admission(
                self._mt5, self._bootstrap, self._keys, self._clock, self._clients, self._reference, feed=feed,
                recorded=self._line.recorded_before, server_clock=self._settings.recorder.server_clock,
                hours=self._hours, refuse=self._refuse,
            )  # fmt: skip
        return None

    def _reconnect(self, error: TerminalError | CallFailed, since_us: int) -> None:
        """Until the line is up again. The log is followed meanwhile: another recorder may have taken over.

        `since_us`: when what failed was begun.
        """
        self._line.lost(str(error), self._offset_s(), since_us)
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            if self._line.restore(self._offset_s()):
                self._connected()
                return
            waited_until = time.monotonic() + delay
            while time.monotonic() < waited_until and not self._stop.is_set():
                self._follow(0.05)
            delay = min(LONGEST_DELAY_S, delay * 2)

    def _connected(self) -> None:
        now = self._now()
        self._offset.forget()
        for recorded in self._listings.values():
            self._mt5.symbol_select(recorded.symbol, True)
            recorded.connected(now)

    def _look(self) -> None:
        if self._line.look(self._offset_s()):
            self._connected()
        self._settle_offset()

    def _settle_offset(self) -> None:
        now = self._now()
        found = self._offset.settle(len(self._listings), now.us, now.steady_us)
        if found is not None:
            shown, expected = _hours(found.shown_s), _hours(found.expected_s)
            what, severity = _FINDINGS[found.finding]
            text = (
                f"feed {self._told.feed}: the server's clock shows UTC{shown} where UTC{expected} is expected: {what}"
            )
            self._told.alert("server_clock", self._told.feed, text, severity)
        offset_s = self._offset_s()
        if offset_s != self._offset_now_s:
            detail = f"UTC{_hours(self._offset_now_s)} to UTC{_hours(offset_s)}"
            self._told.event(SourceKind.OFFSET_CHANGED, offset_s, detail)
            self._offset_now_s = offset_s

    def _offset_s(self) -> int:
        return self._offset.at(self._clock.now_ms())

    # -- symbols -------------------------------------------------------------------------------------------------------

    def _admit(self, admission: Admission) -> None:
        """Specifications as they are now, and what is wanted and isn't recorded yet."""
        wanted = list(self._settings.recorder.symbols) or admission.watched()
        for symbol in wanted:
            if symbol not in self._begins:
                self._begins[symbol] = self._start_second(symbol)
        self._tell_unused(wanted)
        self._refused_now = set()
        specified = admission.specified(dict.fromkeys([*self._listings, *wanted]))
        opened = admission.open([symbol for symbol in specified if symbol not in self._listings])
        self._refusals = {symbol: text for symbol, text in self._refusals.items() if symbol in self._refused_now}
        if not self._listings:
            self._begin_offset(opened)
        for admitted in opened:
            self._line.server.newest_ms = max(self._line.server.newest_ms, admitted.tail.newest_ms)
            symbol, writer, tail = admitted
            self._listings[symbol] = RecordedListing(
                symbol, writer, tail, self._offset, self._reference, self._line.server,
                page=self._settings.recorder.page, start_second=self._begins[symbol], now=self._now(),
            )  # fmt: skip
        # Blocks of one partition go to the broker together, if they are written one right after the other.
        self._listings = dict(sorted(self._listings.items(), key=lambda one: one[1].writer.partition))
        if opened:
            self._ready([recorded.listing for recorded in self._listings.values()])

    def _tell_unused(self, wanted: list[str]) -> None:
        unused = self._hours.unused(wanted)
        if unused and unused != self._unused:
            message = (
                f"recorder.sessions has hours for {', '.join(unused)}, which isn't recorded: correct the name to what "
                "the market watch has, or add the symbol there"
            )
            self._told.of_feed("sessions_unused", message, Severity.WARNING)
        self._unused = unused

    def _begin_offset(self, opened: list[Admitted]) -> None:
        """The correction of the feed's newest block holds on."""
        last = max((a.tail.last for a in opened if a.tail.last is not None), key=lambda b: b.received_us, default=None)
        if last is not None:
            at_ms = int(last.time_ms[-1]) if last.size else last.watermark_ms
            model_s = ServerOffset(self._model, 0, untold=False).at(at_ms)
            self._offset = ServerOffset(self._model, last.server_offset_s - model_s, untold=False)
        self._offset_now_s = self._offset_s()

    def _start_second(self, symbol: str) -> int:
        tick = self._mt5.symbol_info_tick(symbol)
        newest_s = int(tick.time) if tick is not None and tick.time else 0
        return max(1, (newest_s or self._clock.now_ms() // 1000 + self._offset_s()) - LOOK_BACK_S)

    def _refuse(self, symbol: str, error: TickledgerError) -> None:
        """Tells once why a symbol isn't recorded; one that is recorded goes on with what is known of it."""
        self._refused_now.add(symbol)
        if self._refusals.get(symbol) != str(error):
            self._refusals[symbol] = str(error)
            self._told.alert("symbol_refused", f"{self._told.feed}/{symbol}", str(error))

    # -- recording -----------------------------------------------------------------------------------------------------

    def _record(self, admission: Admission) -> None:
        look_at = symbols_at = 0.0
        anchor_at = time.monotonic() + _FIRST_ANCHOR_S
        while not self._stop.is_set():
            start_us, wall, whole = self._clock.now_us(), time.monotonic(), True
            self._time.look()
            try:
                if wall >= symbols_at:
                    self._admit(admission)
                    symbols_at = time.monotonic() + (_REFUSED_S if self._refusals else _SYMBOLS_S)
                if wall >= look_at or not self._line.server.connected:
                    # A terminal that comes back may be another account's.
                    self._look()
                    look_at = time.monotonic() + _LOOK_S
                else:
                    self._line.check()
                self._reference.read_on()
                whole = self._round(start_us)
            except TerminalError as error:
                if error.final:
                    raise
                self._reconnect(error, start_us)
                whole = False
            if wall >= anchor_at:
                self._anchor()
                anchor_at = wall + _ANCHOR_S
            # A market that stands may wait for what a failed poll left out.
            self._wait(start_us + self._settings.recorder.poll_ms * 1000, _LOOK_S if whole else _WAIT_S)

    def _round(self, start_us: int) -> bool:
        """One poll of each listing; whether all are read to their end. How far the log is by then is marked later."""
        written: list[tuple[RecordedListing, int]] = []
        whole, partition = True, -1
        listings = list(self._listings.values())
        pacing = Pacing(self._clock, start_us, self._settings.recorder.poll_ms * 1000, len(listings))
        for place, recorded in enumerate(listings):
            if recorded.writer.partition != partition:
                # Blocks of one partition go to the broker together.
                pacing.wait(place)
                partition = recorded.writer.partition
            before = recorded.writer.head.seq
            whole &= self._poll(recorded)
            if recorded.writer.head.seq > before:
                written.append((recorded, recorded.writer.head.seq))
        if whole:
            self._time.settle({recorded.listing for recorded in self._listings.values()})
            self._rounds.append(_Round(start_us, written))
        self._follow(0)
        return whole

    def _poll(self, recorded: RecordedListing) -> bool:
        """Whether all that the terminal had is written, or the symbol is one that nobody waits for."""
        symbol = recorded.symbol
        if time.monotonic() < self._retry.get(symbol, 0.0):
            return True
        for _ in range(_PAGES):
            if recorded.writer.on_their_way > MAX_WAITING:
                return False
            try:
                polled = recorded.poll(self._mt5, self._now, self._line.check)
            except CallFailed as error:
                if error.code <= IPC_FAILURES:
                    raise TerminalError(f"the terminal doesn't answer: {error}", error.code, error.text) from error
                return self._count_failure(recorded, error)
            except ChainStopped as error:
                self._drop(recorded, error)
                return True
            if polled.gap:
                self._told.event(SourceKind.GAP, self._offset_s(), polled.gap, recorded.listing, recorded.first_n)
                self._told.alert("gap", recorded.listing, f"{recorded.listing}: {polled.gap}: ticks may be missing")
            if self._failed.pop(symbol, 0) >= _FAILING:
                message = f"{recorded.listing} is read again; it wasn't since {self._failed_since[symbol]}"
                self._told.alert("symbol_back", recorded.listing, message, Severity.INFO)
            if polled.shown_msc:
                now = self._now()
                self._offset.show(symbol, polled.shown_msc, now.us, now.steady_us)
                offset_ms = self._offset.at(now.us // 1000) * 1000
                self._time.ticked(recorded.listing, (polled.shown_msc - offset_ms) * 1000, now.us)
            if polled.complete:
                return True
        return False

    def _count_failure(self, recorded: RecordedListing, error: CallFailed) -> bool:
        count = self._failed[recorded.symbol] = self._failed.get(recorded.symbol, 0) + 1
        if count == 1:
            self._failed_since[recorded.symbol] = iso_ms(self._clock.now_ms())
        if count < _FAILING:
            return False
        if count == _FAILING:
            message = (
                f"{recorded.listing} isn't read since {self._failed_since[recorded.symbol]}: the terminal says "
                f"{error}; it is tried again every {_RETRY_S:.0f} s. See whether the symbol is still in the market "
                "watch, and whether the account may see it"
            )
            self._told.alert("symbol_failing", recorded.listing, message)
        self._mt5.symbol_select(recorded.symbol, True)
        self._retry[recorded.symbol] = time.monotonic() + _RETRY_S
        return True

    def _drop(self, recorded: RecordedListing, error: ChainStopped) -> None:
        recorded.writer.close()
        del self._listings[recorded.symbol]
        self._refuse(recorded.symbol, error)

    # -- the log -------------------------------------------------------------------------------------------------------

    def _follow(self, timeout: float) -> None:
        """Reads back what is on the log, and marks how far it is. Raises Fenced if another recorder took over."""
        self._clients.poll(timeout)
        for recorded in list(self._listings.values()):
            try:
                recorded.writer.check()
            except ChainStopped as error:
                self._drop(recorded, error)
        self._notice_stuck()
        reached = 0
        while self._rounds and all(_is_done(r.writer.written, seq) for r, seq in self._rounds[0].until):
            reached = self._rounds.popleft().start_us
        if reached and self._mark is not None:
            self._mark.set(reached)

    def _notice_stuck(self) -> None:
        """Tells when the broker gives nothing back, and once it does again since when it hadn't."""
        confirmed = sum(recorded.writer.written.seq for recorded in self._listings.values())
        waiting = any(recorded.writer.on_their_way for recorded in self._listings.values())
        if confirmed != self._confirmed or not waiting:
            if self._stuck_since_us:
                message = f"the log takes ticks again; it took none since {iso_ms(self._stuck_since_us // 1000)}"
                self._told.alert("log_back", self._told.feed, message, Severity.WARNING)
            self._confirmed, self._moved_at, self._stuck_since_us = confirmed, time.monotonic(), 0
        elif not self._stuck_since_us and time.monotonic() - self._moved_at > _STUCK_S:
            self._stuck_since_us = self._clock.now_us() - int(_STUCK_S * 1e6)
            message = (
                f"the broker has taken nothing for {_STUCK_S:.0f} s: see whether it runs; the terminal keeps its ticks"
            )
            _logger.error("log stands still", feed=self._told.feed, reason=message)

    def _wait(self, until_us: int, longest_s: float) -> None:
        """Until the clock is there, or so long, following the log."""
        until = time.monotonic() + longest_s
        while not self._stop.is_set() and time.monotonic() < until:
            left_s = self._clock.wait_s(until_us)
            if left_s <= 0:
                return
            self._follow(min(left_s, _WAIT_S))

    def _anchor(self) -> None:
        for recorded in self._listings.values():
            recorded.writer.anchor()

    def _end(self) -> None:
        """Everything handed over gets on the log, if that goes within a few seconds."""
        until = time.monotonic() + _DRAIN_S
        try:
            while any(r.writer.on_their_way for r in self._listings.values()) and time.monotonic() < until:
                self._follow(0.05)
            self._anchor()
        except TickledgerError as error:
            _logger.warning("ends without having drained", reason=str(error))
        self._clients.close()
        self._reference.close()
        self._mt5.shutdown()

    def _now(self) -> Now:
        return Now(self._clock.now_us(), self._steady())


def _is_done(written: Head, seq: int) -> bool:
    """Whether a link needs no more waiting for: it is on the log, or its chain stands still."""
    return bool(written.stopped) or written.seq >= seq


def _hours(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


_FINDINGS: Final = {
    Finding.CHANGED: (
        "ticks are put on UTC by what it shows from here on; set recorder.server_clock to what it is",
        Severity.WARNING,
    ),
    Finding.CLOCK_MOVED: (
        "this machine's clock was moved, so quotes look old or early and no entry is decided on them; put it right",
        Severity.CRITICAL,
    ),
    Finding.CONTRADICTION: (
        "either this machine's clock is wrong, or the broker has changed its own; quotes look old or early, and no "
        "entry is decided on them until the clock, or recorder.server_clock, is put right",
        Severity.CRITICAL,
    ),
}
