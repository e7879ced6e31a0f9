"""Rows into ticks: put on UTC, made of bars where they are bars, looked at for what is wrong, appended."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from infra.errors import BadFile, Refused
from producers.cache import ColumnWriter
from producers.clocks import FileClock, ServerClock, clock_of
from producers.formats.bars import LONGEST_MS, PER_BAR, asks_of, bids_of, prices_of, spreads_of, times_of
from producers.formats.gaps import MINUTE_MS
from producers.formats.layouts import ASK_VALUES, BAR_PRICES
from producers.formats.names import Hint
from producers.formats.source import EST, Batch, FileNotes, ReadOptions, Source
from producers.listing_spec import DEFAULT_SERVER_CLOCK
from schemas.times import iso_ms

TOO_MANY: Final = 0.5
"""Share of ticks with bid above ask, or of bars with high below low, above which columns are taken for mixed up."""


class MoreDigits(Exception):
    """A later row has more digits than the asks of earlier ones were made with."""


class Building:
    """Puts batches on UTC, makes ticks of bars, looks for what is wrong, and appends."""

    def __init__(
        self, path: Path, source: Source, hint: Hint, options: ReadOptions, notes: FileNotes, writer: ColumnWriter
    ) -> None:
        self._path, self._source, self._hint, self._options = path, source, hint, options
        self._notes, self._writer = notes, writer
        self._server = ServerClock(options.server_clock or DEFAULT_SERVER_CLOCK)
        self._clock: FileClock | None = None
        self._last_wall: int | None = None
        self._last_utc = -(2**62)
        self._last_row: tuple[float, ...] = ()
        self._later = False
        self._told_digits = options.digits
        self._bad_bars = 0
        self._scale_digits = 0
        notes.bars = source.bars
        if source.bars and source.ask_side:
            raise BadFile(
                f"{path}: holds bars of asks; bars are read from bids: name the BID file of that range, alone or "
                "beside it"
            )

    def add(self, batch: Batch) -> None:
        """The next rows."""
        clock = self._clock_of(batch)
        notes = self._notes
        notes.digits = max(notes.digits, batch.digits)
        notes.skipped += batch.skipped
        wall, values = batch.wall_ms, batch.values
        if self._source.bars:
            self._measure(wall)
            wall, values = self._without_twins(wall, values)
            if not len(wall):
                return
        utc = wall if batch.is_utc else self._to_utc(clock, wall)
        back = np.flatnonzero(np.diff(utc, prepend=utc[:1] if notes.rows == 0 else self._last_utc) < 0)
        if len(back):
            self._backwards(back, utc, wall, batch)
        first = notes.rows == 0
        self._last_utc, self._last_wall = int(utc[-1]), int(wall[-1])
        notes.rows += len(utc)
        if self._source.bars:
            if notes.stamp == "":
                self._find_stamp(utc)
            if notes.stamp == "close":
                utc = utc - notes.bar_ms
        if first:
            notes.starts_ms = int(utc[0])
        notes.gaps.add(utc)
        if self._source.bars:
            self._bars(utc, values, batch)
        else:
            self._ticks(utc, values, batch)

    def finish(self) -> None:
        """All rows have come."""
        notes = self._notes
        notes.ticks = self._writer.ticks
        if notes.backwards and not self._source.bars:
            notes.warnings.append(
                f"{self._path}: {notes.backwards:,} rows lie before the row above them; the judge refuses such ticks"
            )
        if self._bad_bars:
            notes.warnings.append(
                f"{self._path}: {self._bad_bars:,} bars have a high or low that isn't their highest or lowest price"
            )
        if notes.second_passes:
            notes.warnings.append(
                f"{self._path}: {notes.second_passes:,} rows of hours that the clock shows twice are read as its "
                "second pass"
            )

    def _clock_of(self, batch: Batch) -> FileClock:
        if self._clock is None:
            self._clock, how = self._choose_clock(batch)
            self._notes.clock = [self._clock.name, how]
        return self._clock

    def _choose_clock(self, batch: Batch) -> tuple[FileClock, str]:
        said = self._source.clock
        if self._source.format == "lean":
            return (clock_of(UTC), "assumed") if self._options.clock is None else (self._options.clock, "told")
        if batch.is_utc:
            return FileClock("as each row tells", UTC), "by the rows"
        if self._options.clock is not None:
            return self._options.clock, "told"
        if said == "server":
            return self._server.wall, "told" if self._options.server_clock else "assumed"
        if said == "est":
            return FileClock("UTC-05:00, no summer time", EST), "by the format"
        if said == "utc":
            return FileClock("UTC", UTC), "by the format"
        if said == "rows":
            raise BadFile(
                f"{self._path}: its header says local time and its rows don't say which: tell it by --tz, such as "
                "--tz Europe/Zurich"
            )
        self._notes.warnings.append(
            f"{self._path}: nothing in it says which clock its times are on; UTC is assumed (--tz)"
        )
        return clock_of(UTC), "assumed"

    def _to_utc(self, clock: FileClock, wall: NDArray[np.int64]) -> NDArray[np.int64]:
        """UTC; an hour that the clock shows twice is its second pass from where its times start again."""
        utc = clock.to_utc_ms(wall)
        before = wall[:1] if self._last_wall is None else np.array([self._last_wall])
        back = np.flatnonzero(np.diff(wall, prepend=before) < 0).tolist()
        if self._later:
            back.insert(0, 0)
        if back:
            later = clock.later_pass_ms(wall)
            twice = later != utc
            for i in back:
                if not twice[i]:
                    continue
                rest = np.flatnonzero(~twice[i:])
                end = i + int(rest[0]) if len(rest) else len(wall)
                utc[i:end] = later[i:end]
                self._notes.second_passes += end - i
                self._later = end == len(wall)
            if self._later and not twice[-1]:
                self._later = False
        return utc

    def _backwards(
        self, back: NDArray[np.int64], utc: NDArray[np.int64], wall: NDArray[np.int64], batch: Batch
    ) -> None:
        i = int(back[0])
        before = self._last_utc if i == 0 else int(utc[i - 1])
        step = before - int(utc[i])
        about = f"about row {self._notes.rows + i + 1}"
        hour = 0 < step <= 3_600_000 and (self._source.bars or step > 1_800_000)
        if self._source.bars:
            why = (
                "an hour is there twice, as a clock with summer time shows it in autumn: tell the file's zone by --tz, "
                "such as --tz Europe/London"
                if hour
                else "the bars overlap: sort them, or name the files of each range by themselves"
            )
            raise BadFile(f"{self._path}, {about}: goes back from {iso_ms(before)} to {iso_ms(int(utc[i]))}: {why}")
        if hour and not self._notes.backwards:
            self._notes.warnings.append(
                f"{self._path}, {about}: goes back by {step // 60_000} minutes to {iso_ms(int(utc[i]))}: an hour may "
                "be there "
                "twice, as a clock with summer time shows it in autumn: tell the file's zone by --tz"
            )
        self._notes.backwards += len(back)

    def _measure(self, wall: NDArray[np.int64]) -> None:
        """The length of the bars, from the first rows."""
        notes = self._notes
        if notes.bar_ms:
            return
        steps = np.diff(wall)
        steps = steps[steps > 0]
        if len(steps):
            found, counts = np.unique(steps, return_counts=True)
            notes.bar_ms = int(found[np.argmax(counts)])
            if self._hint.bar_ms and notes.bar_ms != self._hint.bar_ms and int(found[0]) == self._hint.bar_ms:
                notes.bar_ms = self._hint.bar_ms
        else:
            notes.bar_ms = self._hint.bar_ms or MINUTE_MS
        if notes.bar_ms > LONGEST_MS:
            raise BadFile(
                f"{self._path}: its bars are {notes.bar_ms // MINUTE_MS} minutes long: above H1 they say too little "
                "of the "
                "path; export M1"
            )
        if notes.bar_ms % MINUTE_MS:
            raise BadFile(
                f"{self._path}: its bars are {notes.bar_ms / 1000:g} s long: whole minutes can be read; are its rows "
                "ticks?"
            )
        if self._hint.bar_ms and notes.bar_ms != self._hint.bar_ms:
            notes.warnings.append(
                f"{self._path}: its name says bars of {self._hint.bar_ms // MINUTE_MS} minutes, its rows are "
                f"{notes.bar_ms // MINUTE_MS} minutes apart; the rows are believed"
            )
        notes.gaps.step_ms = notes.bar_ms
        notes.stamp = self._options.stamp or self._source.stamp
        notes.stamp_from = "told" if self._options.stamp else "by the format" if self._source.stamp else ""

    def _without_twins(
        self, wall: NDArray[np.int64], values: dict[str, NDArray[np.float64]]
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
        """Bars without those that are there twice in a row, the same. Raises BadFile where two overlap."""
        table = np.stack([values[name] for name in ("open", "high", "low", "close")])
        before = -(2**62) if self._last_wall is None else self._last_wall
        steps = np.diff(wall, prepend=before)
        last = np.array(self._last_row or (np.nan,) * 4)[:, None]
        same = np.all(table == np.concatenate([last, table[:, :-1]], axis=1), axis=0) & (steps == 0)
        near = np.flatnonzero((steps >= 0) & (steps < self._notes.bar_ms) & ~same)
        if len(near):
            i = int(near[0])
            said = "there twice, with different prices" if steps[i] == 0 else "bars that overlap"
            raise BadFile(
                f"{self._path}, about row {self._notes.rows + i + 1}: {_wall_text(int(wall[i]))}: {said} (bars of "
                f"{self._notes.bar_ms // MINUTE_MS} minutes): the file may hold two symbols, timeframes or exports; "
                "part them"
            )
        self._last_row = tuple(table[:, -1].tolist())
        if same.any():
            self._notes.duplicates += int(same.sum())
            return wall[~same], {name: column[~same] for name, column in values.items()}
        return wall, values

    def _find_stamp(self, utc: NDArray[np.int64]) -> None:
        """Open or close: weeks begin at 17:00 New York with the first bar's open, and end with the last one's close."""
        notes, length = self._notes, self._notes.bar_ms
        server = utc + ServerClock("ny7").offsets_s(utc).astype(np.int64) * 1000
        wide = np.flatnonzero(np.diff(server) > 36 * 3_600_000)
        day = 86_400_000
        ends, begins = server[wide] % day, server[wide + 1] % day
        if length < LONGEST_MS and len(wide) and np.all(begins == length) and np.all(ends == 0):
            notes.stamp, notes.stamp_from = "close", "by where weeks begin and end"
        elif length < LONGEST_MS and len(wide) and np.all(begins == 0) and np.all(ends == day - length):
            notes.stamp, notes.stamp_from = "open", "by where weeks begin and end"
        else:
            notes.stamp, notes.stamp_from = "open", "assumed"
            notes.warnings.append(
                f"{self._path}: nothing in it says whether its times are the bars' opens or closes; opens are assumed "
                "(--stamp)"
            )

    def _ticks(self, utc: NDArray[np.int64], values: dict[str, NDArray[np.float64]], batch: Batch) -> None:
        bid, ask = values["bid"], values["ask"]
        notes = self._notes
        crossed = int(np.count_nonzero(ask < bid))
        notes.crossed += crossed
        known = np.isfinite(bid) & np.isfinite(ask) & (bid > 0) & (ask > 0)
        if crossed > TOO_MANY * len(bid) and len(bid) >= 10:
            raise BadFile(
                f"{self._path}, from line {batch.first_line}: bid is above ask in {crossed:,} of {len(bid):,} rows: "
                "the columns "
                f"are mixed up; tell them by --columns, with ask before bid"
            )
        if known.any():
            ratio = float(np.median(ask[known] / bid[known]))
            if not 0.8 < ratio < 1.25:
                raise BadFile(
                    f"{self._path}, from line {batch.first_line}: ask is {ratio:.3g} times bid: a column holds no "
                    "price; tell the "
                    "columns by --columns, such as --columns time,bid,ask,-"
                )
        flags = values.get("flags")
        self._writer.append(
            utc,
            bid,
            ask,
            _deals(values.get("last")),
            _deals(values.get("volume")),
            None if flags is None else _flags(flags),
        )
        notes.ends_ms = max(notes.ends_ms, int(utc.max()))

    def _bars(self, utc: NDArray[np.int64], values: dict[str, NDArray[np.float64]], batch: Batch) -> None:
        notes = self._notes
        ohlc = np.stack([values[name] for name in BAR_PRICES])
        own_asks = np.stack([values[name] for name in ASK_VALUES]) if ASK_VALUES[0] in values else None
        wrong = _out_of_range(ohlc) if own_asks is None else _out_of_range(ohlc) | _out_of_range(own_asks)
        bad = int(np.count_nonzero(wrong))
        if bad > 0.05 * len(utc) and len(utc) >= 10:
            raise BadFile(
                f"{self._path}, from line {batch.first_line}: the high is below, or the low above, another price in "
                f"{bad:,} of "
                f"{len(utc):,} bars: the columns are mixed up; tell them by --columns, such as "
                "--columns date,time,open,high,low,close,volume"
            )
        self._bad_bars += bad
        time_ms, bid = times_of(utc, notes.bar_ms), bids_of(ohlc)
        if own_asks is not None:
            self._with_asks(time_ms, bid, prices_of(own_asks, ohlc[3] >= ohlc[0]))
            return
        points = self._spreads(values.get("spread"), time_ms)
        digits = self._told_digits if self._told_digits is not None else notes.digits
        if self._scale_digits and digits > self._scale_digits and self._told_digits is None:
            raise MoreDigits(digits)
        self._scale_digits = digits
        self._writer.append(time_ms, bid, asks_of(bid, points, digits))
        notes.ends_ms = max(notes.ends_ms, int(time_ms[-1]))

    def _with_asks(self, time_ms: NDArray[np.int64], bid: NDArray[np.float64], ask: NDArray[np.float64]) -> None:
        """Ticks of bars that tell both sides."""
        crossed = int(np.count_nonzero(ask < bid))
        if crossed > TOO_MANY * len(bid):
            raise BadFile(
                f"{self._path}: bid is above ask in {crossed:,} of {len(bid):,} ticks made of its bars: bids "
                "and asks are mixed up"
            )
        self._notes.crossed += crossed
        self._writer.append(time_ms, bid, ask)
        self._notes.ends_ms = max(self._notes.ends_ms, int(time_ms[-1]))

    def _spreads(self, column: NDArray[np.float64] | None, time_ms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Points of each tick: the file's column, or what was told; never a zero that nobody said."""
        notes, told = self._notes, self._options.spread_points
        if notes.spread_from == "ask":
            has = column is not None and bool(np.any(column > 0))
            if has:
                notes.spread_from = "column"
            elif told is not None:
                notes.spread_from = "told"
            elif column is not None:
                notes.spread_from = "column"
                notes.warnings.append(
                    f"{self._path}: its spread column is 0 throughout the first {len(column):,} bars, so ask is bid; "
                    "tell a "
                    "spread by --spread-points if that isn't so"
                )
            else:
                raise Refused(
                    f"{self._path}: bars without ask or spread: say what the spread is, in points, by --spread-points "
                    "(or "
                    "a spec); nothing is free"
                )
        if notes.spread_from == "column" and column is not None:
            if bool(np.any(column < 0)):
                raise BadFile(
                    f"{self._path}: a spread below zero: a column holds something else; tell them by --columns"
                )
            return np.repeat(column, PER_BAR)
        assert told is not None
        server_ms = time_ms + self._server.offsets_s(time_ms).astype(np.int64) * 1000
        return spreads_of(told, server_ms)


def _out_of_range(ohlc: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of each bar, whether its high is below, or its low above, another price."""
    first, high, low, last = ohlc
    return np.asarray((high < np.maximum(first, last)) | (low > np.minimum(first, last)))


def _deals(column: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if column is None else np.where(np.isnan(column), 0.0, column)


def _flags(column: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.where(np.isfinite(column) & (np.abs(column) < 2**31), column, 0).astype(np.int32)


def _wall_text(wall_ms: int) -> str:
    return iso_ms(wall_ms).removesuffix("Z").replace("T", " ").removesuffix(".000")
