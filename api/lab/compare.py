"""Two runs beside each other: where their events first differ, what differs in their inputs, and their metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from api.lab.events import TOPICS
from api.lab.metrics import shown
from infra.errors import BadFile, FileUnreadable

if TYPE_CHECKING:
    import polars as pl

FILES: Final = ("journal", *TOPICS)
"""Topics that are compared: what the account was given first, then what it decided."""
_NOT_DECIDED: Final = ("ref_no", "key_id", "mac")
"""Left out, as they are of decision bytes: they say where a record lies, not what was decided."""
_JOURNAL: Final = ("taken_us", "kind", "stream", "stream_seq")
SHOWN_INPUTS: Final = 3
"""Inputs that differ and are named to a person; of the rest the number."""
_IGNORED: Final = ("digests", "complete")
_ABSENT: Final = "(none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first event of a topic that differs: its number from 0, when, and of each field both values."""

    topic: str
    at: int
    taken_us: int | None
    record: str
    fields: Mapping[str, tuple[Any, Any]]
    counts: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of two runs: the first difference of each topic that has one, inputs that differ, metrics side by side."""

    names: tuple[str, str]
    folders: tuple[str, str]
    currency: str
    topics: Mapping[str, Difference | None]
    inputs: Mapping[str, tuple[Any, Any]]
    metrics: Mapping[str, tuple[float | None, float | None]]
    units: Mapping[str, tuple[str, str]]
    """Name and unit by key."""
    complete: tuple[bool, bool]

    @property
    def same(self) -> bool:
        """All events are the same."""
        return all(difference is None for difference in self.topics.values())

    @property
    def first(self) -> Difference | None:
        """The earliest difference of all topics."""
        found = [one for one in self.topics.values() if one is not None]
        return min(found, key=lambda one: (one.taken_us is None, one.taken_us or 0), default=None)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "same": self.same,
            "runs": [
                {"folder": f, "name": n, "complete": c}
                for f, n, c in zip(self.folders, self.names, self.complete, strict=True)
            ],
            "first": None if self.first is None else _difference_json(self.first),
            "topics": {name: None if one is None else _difference_json(one) for name, one in self.topics.items()},
            "inputs": {key: list(values) for key, values in self.inputs.items()},
            "metrics": {
                key: {
                    "name": self.units[key][0],
                    "unit": self.units[key][1],
                    "values": [a, b],
                    "difference": _less(a, b),
                }
                for key, (a, b) in self.metrics.items()
            },
        }

    def text(self) -> str:
        """For a person: the first difference, the inputs, then the metrics that differ."""
        lines = [f"A  {self.names[0]}  {self.folders[0]}", f"B  {self.names[1]}  {self.folders[1]}", ""]
        for name, complete in zip("AB", self.complete, strict=True):
            if not complete:
                lines.append(f"{name} was stopped before its end")
        if self.same:
            lines.append("All events are the same: " + ", ".join(self.topics))
        else:
            lines += _first_lines(self.first) if self.first is not None else []
            same = [name for name, one in self.topics.items() if one is None]
            others = [f"{name} from number {one.at:,}" for name, one in self.topics.items() if one is not None]
            lines += [f"Differ: {', '.join(others)}", *([f"The same: {', '.join(same)}"] if same else [])]
        lines += ["", *_input_lines(self.inputs), "", *self._metric_lines()]
        return "\n".join(lines)

    def _metric_lines(self) -> list[str]:
        rows = []
        for key, (a, b) in self.metrics.items():
            if a != b:
                name, unit = self.units[key]
                kind = "money" if unit == self.currency else unit
                rows.append((name, shown(a, kind), shown(b, kind), shown(_less(a, b), kind)))
        if not rows:
            return ["All metrics are the same"]
        head = ("Metric", "A", "B", "B - A")
        wide = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
        return [
            f"{row[0]:<{wide[0]}}  {row[1]:>{wide[1]}}  {row[2]:>{wide[2]}}  {row[3]:>{wide[3]}}"
            for row in [head, *rows]
        ]


def compare(folder_a: Path, folder_b: Path) -> Comparison:
    """Compares two runs' folders. Raises BadFile where one is not the folder of a run."""
    reports = _json(folder_a, "report.json"), _json(folder_b, "report.json")
    manifests = _json(folder_a, "manifest.json"), _json(folder_b, "manifest.json")
    values = tuple({key: one["value"] for key, one in report["metrics"].items()} for report in reports)
    keys = [*values[0], *(key for key in values[1] if key not in values[0])]
    described = {**reports[1]["metrics"], **reports[0]["metrics"]}
    return Comparison(
        names=(str(reports[0]["name"]), str(reports[1]["name"])),
        folders=(str(folder_a), str(folder_b)),
        currency=str(reports[0]["account"].get("currency", "")),
        topics={topic: first_difference(topic, folder_a, folder_b) for topic in FILES},
        inputs=inputs_that_differ(*manifests),
        metrics={key: (values[0].get(key), values[1].get(key)) for key in keys},
        units={key: (described[key]["name"], described[key]["unit"]) for key in keys},
        complete=(bool(reports[0]["complete"]), bool(reports[1]["complete"])),
    )


def first_difference(topic: str, folder_a: Path, folder_b: Path) -> Difference | None:
    """The first record of `topic` that isn't in both; None if there is none."""
    a, b = _events(folder_a, topic), _events(folder_b, topic)
    shared = min(len(a), len(b))
    columns = [name for name in a.columns if name in b.columns]
    at = shared
    for name in columns:
        differ = a[name][:shared].ne_missing(b[name][:shared])
        first = differ.arg_max()
        if first is not None and first < at and differ[first]:
            at = first
    if at == shared and len(a) == len(b):
        return None
    rows = [frame.row(at, named=True) if at < len(frame) else {} for frame in (a, b)]
    fields = {
        name: (rows[0].get(name, _ABSENT), rows[1].get(name, _ABSENT))
        for name in [*rows[0], *(name for name in rows[1] if name not in rows[0])]
        if not _same(rows[0].get(name, _ABSENT), rows[1].get(name, _ABSENT))
    }
    times = [row["taken_us"] for row in rows if "taken_us" in row]
    record = next((str(row.get("record") or row.get("kind")) for row in rows if row), "")
    return Difference(
        topic=topic, at=at, taken_us=min(times, default=None), record=record, fields=fields, counts=(len(a), len(b))
    )  # fmt: skip


def inputs_that_differ(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What the manifests say differently, by path, results left out."""
    left, right = dict(_leaves(a)), dict(_leaves(b))
    return {
        key: (left.get(key, _ABSENT), right.get(key, _ABSENT))
        for key in [*left, *(key for key in right if key not in left)]
        if left.get(key, _ABSENT) != right.get(key, _ABSENT)
    }


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if path or key not in _IGNORED:
                yield from _leaves(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _leaves(one, f"{path}[{i}]")
    else:
        yield path, value


def _events(folder: Path, topic: str) -> pl.DataFrame:
    import polars as pl

    path = folder / "events" / f"{topic}.parquet"
    try:
        if topic == "journal":
            # The value has MAC and links of its chain: what was taken, in which order and when, is beside it.
            return pl.read_parquet(path, columns=list(_JOURNAL))
        return pl.read_parquet(path).drop(_NOT_DECIDED, strict=False)
    except FileNotFoundError as error:
        raise FileUnreadable(f"{path} is not there: {folder} is not a whole run's folder") from error
    except pl.exceptions.PolarsError as error:
        raise BadFile(f"{path} cannot be read: {error}") from error


def _json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileUnreadable(f"{path} is not there: name the folder that a backtest wrote") from error
    except (OSError, ValueError) as error:
        raise BadFile(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadFile(f"{path} is not what a backtest writes")
    return found


def _first_lines(one: Difference) -> list[str]:
    from schemas.times import iso_ms

    when = "" if one.taken_us is None else f" at {iso_ms(one.taken_us // 1000)}"
    a, b = one.counts
    lines = [f"First difference: {one.topic}, number {one.at:,} ({one.record}){when}; A has {a:,}, B {b:,}"]
    wide = max((len(name) for name in one.fields), default=0)
    return lines + [f"  {name:<{wide}}  A {_brief(a)}   B {_brief(b)}" for name, (a, b) in one.fields.items()]


def _input_lines(inputs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    if not inputs:
        return ["Inputs are the same"]
    first = dict(islice(inputs.items(), SHOWN_INPUTS))
    wide = max(map(len, first))
    left = len(inputs) - len(first)
    return [
        "Inputs that differ",
        *(f"  {name:<{wide}}  A {_brief(a)}   B {_brief(b)}" for name, (a, b) in first.items()),
        *([f"  and {left:,} more (all by --json)"] if left else []),
    ]


def _difference_json(one: Difference) -> dict[str, Any]:
    return {
        "topic": one.topic, "at": one.at, "taken_us": one.taken_us, "record": one.record, "counts": list(one.counts),
        "fields": {name: [_plain(a), _plain(b)] for name, (a, b) in one.fields.items()},
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and a != a and b != b) or repr(a) == repr(b)


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 34 else f"{text[:33]}…"


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else b - a
