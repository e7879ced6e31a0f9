"""`bench desk`: entries a second of a journal through the desk, as its service reads and sends them."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from api.bench.lab_data import write_ticks
from api.bench.result import Report, Result
from api.bench.strategy_replay import both_agents, from_file, run_both
from api.lab.setup import ACCOUNT
from api.start import tell
from schemas.accept import Verdict
from schemas.chains import Chains
from schemas.executions import Command, CommandKind
from schemas.integrity import MAC_BYTES, ZERO_MAC, ZERO_NONCE
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.journal_codec import Head, encode_clock, encode_taken
from schemas.journal_columns import ClockRows, Entry, read_entry
from schemas.registry import decode, encode
from streams.backtest.journal import KEY_ID, KEYS, Journal
from streams.journal_reader import TOPIC, JournalReader
from streams.operators.desk import Desk
from streams.outputs import topic_of, value_of

GOAL: Final = 50e3
DAYS: Final = 2
ROUNDS: Final = 5
OTHERS: Final = tuple(f"{name}USD" for name in ("GBP", "AUD", "NZD", "CHF", "CAD", "SGD", "NOK"))
"""Listings that tick, beside the one that is traded."""
TICK_SHARE: Final = 0.5
"""The share of seconds in which each of them does."""
SECOND_US: Final = 1_000_000
COMMAND_EVERY: Final = 5_000
MARKS_EVERY: Final = 1_000
PARTITION: Final = 0
_KEY: Final = ACCOUNT.encode()


def run(days: int = DAYS, rounds: int = ROUNDS) -> Report:
    """Measures; what is decided is first held equal with a plain fold of the entries that fastavro reads."""
    tell(f"bench desk: a journal of {days} days")
    with tempfile.TemporaryDirectory(prefix="tickledger-bench-") as folder:
        values = journal(Path(folder), days)
    equal = plain_fold(values) == service_fold(values)
    best = min(_seconds(values) for _ in range(rounds))
    kinds = Counter(_what(value) for value in values)
    notes = [
        f"{len(values):,} entries of two agents' account: {', '.join(f'{n:,} {kind}' for kind, n in kinds.items())}; "
        f"a clock each second, with the quotes of those of {len(OTHERS) + 1} listings that ticked",
        "bytes to chain and MAC checked, read as columns, folded, outputs encoded and sealed; seconds of processor, "
        f"the best of {rounds} runs",
    ]
    result = Result("desk.entries_per_s", len(values) / best, "entries/s", GOAL)
    return Report("desk", equal, [result] if equal else [], notes)


def journal(folder: Path, days: int) -> list[bytes]:
    """The sealed entries of an account that both agents trade, as a sequencer writes them: a clock each second."""
    traded = from_file(write_ticks(folder, days)[0], folder / "cache")
    made = Journal(ACCOUNT)
    run_both(both_agents(traded), traded, desk=True, journal=made)
    writer = _Writer()
    for row in made:
        writer.take(read_entry(row.value))
    return writer.values


def plain_fold(values: Sequence[bytes]) -> str:
    """Digest of the outputs of a fold record by record, as fastavro reads them."""
    desk, digest = Desk(), hashlib.sha256()
    state = desk.initial(ACCOUNT)
    for value in values:
        entry = decode(value)
        assert isinstance(entry, JournalEntry)
        for record in desk.fold(state, entry):
            digest.update(topic_of(record).encode() + value_of(record, KEYS, KEYS.current))
    return digest.hexdigest() + desk.digest(state)


def service_fold(values: Sequence[bytes]) -> str:
    """The same as the service folds: through the reader that checks chain and MAC."""
    desk, digest = Desk(), hashlib.sha256()
    state = desk.initial(ACCOUNT)
    for topic, value in _outputs(desk, state, values):
        digest.update(topic.encode() + value)
    return digest.hexdigest() + desk.digest(state)


def _seconds(values: Sequence[bytes]) -> float:
    desk = Desk()
    state = desk.initial(ACCOUNT)
    start = time.process_time()
    for _ in _outputs(desk, state, values):
        pass
    return time.process_time() - start


def _outputs(desk: Desk, state: object, values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    reader = JournalReader(Chains(TOPIC, KEYS, (), {ACCOUNT: PARTITION}), KEYS, PARTITION)
    for offset, value in enumerate(values):
        judged = reader.judge(offset, _KEY, value)
        assert judged.verdict is Verdict.TAKE, judged.reason
        for record in desk.fold(state, judged.record):  # type: ignore[arg-type]
            yield topic_of(record), value_of(record, KEYS, KEYS.current)


def _what(value: bytes) -> str:
    entry = read_entry(value)
    return entry.stream.partition("/")[0] if entry.stream else entry.kind.lower()


class _Writer:
    """Writes a backtest's journal anew as a live one: its inputs at their times, and a clock at each whole second."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._prev = ZERO_MAC
        self._second_us = 0
        """The second that was clocked last."""
        self._rows: dict[int, tuple[int, int, float, float, int]] = {}
        """Of seconds to come, what the journal has of the traded listing: n, time, bid, ask, quality."""
        self._traded = ""
        self._random = np.random.default_rng(1)
        self._n = np.zeros(len(OTHERS), np.int64)
        self._points = np.full(len(OTHERS), 100_000, np.int64)
        self._commands = 0
        self._marks: dict[str, int] = {}

    def take(self, entry: Entry) -> None:
        """The next entry of the backtest's journal."""
        if entry.kind is EntryKind.CLOCK:
            self._keep(entry)
            return
        if self._second_us or entry.kind is EntryKind.INPUT:
            self._clock_to(entry.taken_us)
        if entry.kind is EntryKind.OPEN:
            # No link: the next entry follows what lay before it, which is nothing.
            opening = encode_taken(EntryKind.OPEN, self._head(), entry.taken_us, "", -1, b"", {})
            self.values.append(KEYS.seal(TOPIC, KEY_ID, opening))
            return
        self._marks[entry.stream] = entry.stream_seq
        self._input(entry.kind, entry.taken_us, entry.stream, entry.stream_seq, entry.input)

    def _keep(self, entry: Entry) -> None:
        clock = entry.clock
        assert clock is not None
        for i, us in enumerate(clock.us.tolist()):
            if clock.listing[i] >= 0:
                self._traded = clock.names[clock.listing[i]]
                quote = int(clock.n[i]), int(clock.time_ms[i]), float(clock.bid[i]), float(clock.ask[i])
                self._rows[us] = *quote, int(clock.quality[i])

    def _clock_to(self, us: int) -> None:
        """Clocks at all whole seconds up to `us`."""
        first = self._second_us or (us - SECOND_US) // SECOND_US * SECOND_US
        for second in range(first + SECOND_US, us + 1, SECOND_US):
            self._clock(second)
            self._second_us = second
            if len(self.values) % COMMAND_EVERY == 0:
                self._command(second + 1)

    def _clock(self, second: int) -> None:
        ticked = np.flatnonzero(self._random.random(len(OTHERS)) < TICK_SHARE)
        self._n[ticked] += self._random.integers(1, 20, len(ticked))
        self._points[ticked] += self._random.integers(-5, 6, len(ticked))
        bid = self._points[ticked] / 1e5
        rows = [
            (f"{self._feed}/{OTHERS[i]}", int(self._n[i]), second // 1000 - 200, float(price), float(price) + 1e-5, 0)
            for i, price in zip(ticked.tolist(), bid.tolist(), strict=True)
        ]
        if (own := self._rows.pop(second, None)) is not None:
            rows.append((self._traded, *own))
        self._put(_clock_value(self._head(), sorted(rows), second, self._marked()))

    @property
    def _feed(self) -> str:
        return self._traded.partition("/")[0] or "bench"

    def _command(self, taken_us: int) -> None:
        """One that changes nothing: the account is active."""
        self._commands += 1
        self._marks["commands"] = self._commands
        command = Command(
            epoch=1, nonce=ZERO_NONCE, seq=self._commands, account=ACCOUNT, written_us=taken_us,
            kind=CommandKind.RESUME, who="bench", why="to see whether it is", argument="", valid_until_us=0,
            key_id="", prev=ZERO_MAC, mac=ZERO_MAC,
        )  # fmt: skip
        self._input(EntryKind.INPUT, taken_us, "commands", self._commands, encode(command))

    def _input(self, kind: EntryKind, taken_us: int, stream: str, number: int, value: bytes) -> None:
        self._put(encode_taken(kind, self._head(), taken_us, stream, number, value, self._marked()))

    def _marked(self) -> dict[str, int] | None:
        return self._marks if len(self.values) % MARKS_EVERY == 0 else None

    def _head(self) -> Head:
        return Head(JournalSource.PAPER, ACCOUNT, 1, ZERO_NONCE, len(self.values), KEY_ID, self._prev)

    def _put(self, value: bytes) -> None:
        sealed = KEYS.seal(TOPIC, KEY_ID, value)
        self.values.append(sealed)
        self._prev = sealed[-MAC_BYTES:]


def _clock_value(
    head: Head, quotes: list[tuple[str, int, int, float, float, int]], second: int, marks: dict[str, int] | None
) -> bytes:
    """A CLOCK of one second; of each quote: listing, n, time, bid, ask, quality."""
    count = len(quotes)
    names, n, time_ms, bid, ask, quality = zip(*quotes, strict=True) if quotes else ((),) * 6
    rows = ClockRows(
        tuple(names), np.full(count, second, np.int64), np.arange(count, dtype=np.int32), np.array(n, np.int64),
        np.array(time_ms, np.int64), np.array(bid, np.float64), np.array(ask, np.float64),
        np.array(quality, np.int32), np.array(time_ms, np.int64),
    )  # fmt: skip
    return encode_clock(head, *rows, second, marks)
