"""Faults that the simulated terminal has on purpose: by a file, by chance, or told while it runs.

A file is TOML, one `[[fault]]` each (docs/terminal.md has every key):

    [[fault]]
    kind = "fail"                   # fail, hang, late, lost; disconnect; late_ticks, repeat, burst
    call = "order_send"             # of calls: which; "*" = all, "copy_*" by their beginning
    nth = 3                         # of calls: the third alone
    code = -10005
    text = "IPC timeout"

    [[fault]]
    kind = "disconnect"
    from = 2014-05-06T10:00:00Z     # market time
    until = 2014-05-06T10:05:00Z

Chance is drawn from the seed, the fault and a count: the same run has the same faults.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infra.errors import BadFile, Refused
from producers.terminal.failure import TerminalFailure
from producers.terminal.ticks import TickHistory, Ticks, joined

NEVER_US: Final = 2**62
_SECOND_US: Final = 1_000_000


class Kind(StrEnum):
    """What goes wrong."""

    FAIL = "fail"
    """The call isn't executed: None, and `last_error` is (code, text)."""
    HANG = "hang"
    """The call isn't executed and answers nothing for `seconds`."""
    LATE = "late"
    """The call is executed, its answer comes `seconds` later."""
    LOST = "lost"
    """The call is executed, its answer is lost: None, and `last_error` is (code, text)."""
    DISCONNECT = "disconnect"
    """The terminal has no line to its server: no ticks, no trading; afterwards all ticks are there."""
    LATE_TICKS = "late_ticks"
    """A share of ticks is in the history `seconds` of market time too late, behind others that came after it."""
    REPEAT = "repeat"
    """A share of ticks is in the history twice."""
    BURST = "burst"
    """`count` ticks more within the second from `from`."""


OF_CALLS: Final = frozenset({Kind.FAIL, Kind.HANG, Kind.LATE, Kind.LOST})
_OF_HISTORY: Final = frozenset({Kind.REPEAT, Kind.BURST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault and when it strikes."""

    kind: Kind
    call: str = "*"
    """Of calls: the name, with `*` for any characters."""
    nth: int = 0
    """Of calls: the n-th that matches alone, from 1; 0 = each."""
    share: float = 1.0
    """Of the calls or ticks that match: how many are struck."""
    times: int = 0
    """Of calls: how often at most; 0 = not limited."""
    code: int = -10_005
    text: str = "IPC timeout"
    seconds: float = 0.0
    """hang, late: of the machine. late_ticks: of the market."""
    symbol: str = ""
    """Of ticks: whose; "" = all symbols'."""
    count: int = 5_000
    """burst: ticks."""
    from_us: int = 0
    """Market time, UTC: from here on …"""
    until_us: int = NEVER_US
    """… and before here."""

    def at(self, us: int) -> bool:
        """Whether a market time is in its window."""
        return self.from_us <= us < self.until_us

    def of(self, symbol: str) -> bool:
        return self.symbol in ("", symbol)

    @classmethod
    def told(cls, told: Mapping[str, Any], place: str) -> Fault:
        """From the keys of a file or a control. Raises BadFile."""
        values = dict(told)
        for key in ("from", "until"):
            if key in values:
                values[f"{key}_us"] = _us(values.pop(key), f"{place}: {key}")
        known = {field.name: type(field.default) for field in fields(cls)}
        for key, value in values.items():
            if key not in known:
                raise BadFile(f"{place}: unknown key {key!r}: a fault has {', '.join(known)}, from, until")
            if key != "kind" and not isinstance(value, (int, float) if known[key] is float else known[key]):
                raise BadFile(f"{place}: {key} = {value!r}: it must be of the kind of {known[key].__name__}")
        try:
            values["kind"] = Kind(values.get("kind", ""))
        except ValueError:
            raise BadFile(f"{place}: kind = {told.get('kind')!r}: it is one of {', '.join(Kind)}") from None
        fault = cls(**values)
        if not 0 < fault.share <= 1 or fault.seconds < 0 or fault.nth < 0 or fault.times < 0 or fault.count < 1:
            raise BadFile(f"{place}: share is above 0 and at most 1, and no number is negative")
        return fault


class Faults:
    """All faults of a terminal, with what they have done so far."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 1) -> None:
        self.seed = seed
        self.faults: list[Fault] = []
        self._met: list[int] = []
        self._struck: list[int] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        self.faults.append(fault)
        self._met.append(0)
        self._struck.append(0)

    def clear(self) -> None:
        """No faults from now on; what has come into a history stays there."""
        told, self.faults, self._met, self._struck = self.faults, [], [], []
        for fault in told:
            if fault.kind in _OF_HISTORY:
                self.add(fault)

    def of_call(self, name: str, now_us: int) -> Fault | None:
        """The fault that strikes this call, if any does. Each call is to be asked for once."""
        found = None
        for index, fault in enumerate(self.faults):
            if fault.kind not in OF_CALLS or not fault.at(now_us) or not fnmatchcase(name, fault.call):
                continue
            self._met[index] += 1
            if found is not None or (fault.nth and self._met[index] != fault.nth):
                continue
            if fault.times and self._struck[index] >= fault.times:
                continue
            if fault.share < 1 and self._draw(index, self._met[index]) >= fault.share:
                continue
            self._struck[index] += 1
            found = fault
        return found

    # -- the line and what comes over it -------------------------------------------------------------------------------

    def cut_off_since(self, now_us: int) -> int | None:
        """Since when there is no line to the server, market time; None if there is one."""
        found = [fault.from_us for fault in self.faults if fault.kind is Kind.DISCONNECT and fault.at(now_us)]
        return min(found, default=None)

    def seen(self, history: TickHistory, now_us: int) -> int:
        """How many of a symbol's ticks the terminal knows of: less than have happened while the line is cut."""
        cut_us = self.cut_off_since(now_us)
        if cut_us is None:
            return history.played
        return min(history.played, int(np.searchsorted(history.ticks.time_ms, cut_us // 1000, "left")))

    def withheld(self, history: TickHistory, start: int, end: int, now_us: int) -> NDArray[np.bool_] | None:
        """Which of the ticks [start, end) are not in the history yet; None if all are."""
        late = [
            (index, fault)
            for index, fault in enumerate(self.faults)
            if fault.kind is Kind.LATE_TICKS and fault.of(history.symbol) and fault.from_us <= now_us
        ]
        if not late or start >= end:
            return None
        hidden = np.zeros(end - start, np.bool_)
        us = history.ticks.time_ms[start:end] * 1000
        for index, fault in late:
            window = (us >= fault.from_us) & (us < fault.until_us) & (us + int(fault.seconds * 1e6) > now_us)
            for place in np.flatnonzero(window).tolist():
                hidden[place] |= fault.share == 1 or self._draw(index, start + place) < fault.share
        return hidden if bool(hidden.any()) else None

    def shape(self, history: TickHistory, point: float, index: int) -> None:
        """Puts into a history what the fault adds to it: behind what has happened, the same at every start."""
        fault = self.faults[index]
        if fault.kind not in _OF_HISTORY or not fault.of(history.symbol):
            return
        rest = history.ticks.part(history.played, history.ticks.size)
        if fault.kind is Kind.BURST:
            more = _burst(fault, history, point, self.seed)
        else:
            us = rest.time_ms * 1000
            window = np.flatnonzero((us >= fault.from_us) & (us < fault.until_us))
            places = [p for p in window.tolist() if self._draw(index, history.played + p) < fault.share]
            more = rest.taken(np.array(places, np.int64))
        if more.size:
            history.replace_rest(joined([rest, more]))

    def shape_all(self, histories: Mapping[str, tuple[TickHistory, float]]) -> None:
        """`shape` of all faults and symbols, in the order in which they were told; for a market at its start."""
        for index in range(len(self.faults)):
            for history, point in histories.values():
                self.shape(history, point, index)

    # -- state ---------------------------------------------------------------------------------------------------------

    def kept(self) -> dict[str, Any]:
        """For a restart: JSON."""
        return {"faults": [asdict(fault) for fault in self.faults], "met": self._met, "struck": self._struck}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.faults = [Fault(**{**fault, "kind": Kind(fault["kind"])}) for fault in kept["faults"]]
        self._met, self._struck = list(kept["met"]), list(kept["struck"])

    def _draw(self, index: int, count: int) -> float:
        """Evenly from [0, 1)."""
        digest = blake2b(f"{self.seed}/{index}/{count}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") / 2**64


def earliest_us(kind: Kind, now_us: int) -> int:
    """From when on a fault can be that is told at a market time: a history that has happened isn't changed."""
    if kind in OF_CALLS:
        return 0
    return (now_us // 1000 + 1) * 1000 if kind in _OF_HISTORY else now_us


def failure(fault: Fault) -> TerminalFailure:
    """What the client sees of it."""
    return TerminalFailure(fault.code, fault.text)


def read_faults(path: Path) -> list[Fault]:
    """The faults of a file. Raises BadFile with the fault, the key and what it can be."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: can't be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadFile(f"{path}: is not TOML: {error}") from error
    if set(told) - {"fault"} or not isinstance(told.get("fault", []), list):
        raise BadFile(f"{path}: it has [[fault]] and nothing else, not {', '.join(sorted(set(told) - {'fault'}))}")
    return [Fault.told(one, f"{path}: fault {number}") for number, one in enumerate(told.get("fault", []), 1)]


def refuse_unshapeable(faults: Iterable[Fault]) -> None:
    """Raises Refused for faults that need ticks which are there from the start."""
    for fault in faults:
        if fault.kind in _OF_HISTORY:
            raise Refused(f"a fault {fault.kind} needs recorded ticks: synthetic ones are made as they happen")


def _us(value: object, place: str) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise BadFile(f"{place} = {value!r}: it must be a time with a zone, such as 2014-05-06T10:00:00Z")
    return int((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e6)


def _burst(fault: Fault, history: TickHistory, point: float, seed: int) -> Ticks:
    """Ticks of a second: a walk by points from the quote before it, and back."""
    ticks, first = history.ticks, fault.from_us // 1000
    before = int(np.searchsorted(ticks.time_ms, first, "left")) - 1
    if before < 0 or fault.until_us <= fault.from_us:
        return Ticks.of_quotes(np.empty(0, np.int64), np.empty(0), np.empty(0))
    draws = np.random.default_rng([seed, fault.from_us]).integers(-1, 2, fault.count)
    half = fault.count // 2
    walk = np.concatenate([draws[:half], -draws[:half][::-1], draws[2 * half :]])
    time_ms = first + np.arange(fault.count, dtype=np.int64) * 1000 // fault.count
    digits = max(0, round(-np.log10(point)))
    bid = np.round(ticks.bid[before] + np.cumsum(walk) * point, digits)
    return Ticks.of_quotes(time_ms, bid, np.round(bid + (ticks.ask[before] - ticks.bid[before]), digits))
