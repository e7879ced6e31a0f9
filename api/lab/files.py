"""A run as a folder of files: the report, what it rests on, and every event, written at once or not at all."""

from __future__ import annotations

import errno
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from api.lab.events import write_events
from api.lab.metrics import METRICS, Value, measure
from api.lab.parquet_files import write_frame
from api.lab.report.page import report_page
from api.lab.run import Run
from infra.errors import CannotWrite

TRADE_COLUMNS: Final = (
    "entry_time", "entry_price", "exit_time", "exit_price", "side", "lots", "pnl", "commission", "swap", "spread_cost",
    "slippage_cost", "mae", "mfe", "exit_reason", "strategy", "listing",
)  # fmt: skip
"""Of trades.csv. Times ISO 8601 in UTC; side long or short; money in the account's currency, costs above 0 = paid."""

_EPOCH: Final = datetime(1970, 1, 1)
_MONEY_DIGITS: Final = 8


class Written(NamedTuple):
    """Where a run's files are."""

    folder: Path
    report: Path
    metrics: dict[str, Value]


def check_folder(folder: Path) -> None:
    """Raises CannotWrite, before the work is done, if `folder` can't become a run's folder.

    What may be there: nothing, an empty folder, or a run that was stopped before its end, which is replaced.
    """
    if folder.exists() and not (folder.is_dir() and (_is_stopped_run(folder) or not any(folder.iterdir()))):
        raise CannotWrite(f"{folder} is there already and is kept: name another folder with --out, or remove it first")
    above = next(path for path in folder.absolute().parents if path.exists())
    if not above.is_dir():
        raise CannotWrite(f"cannot make {folder}: {above} is a file, not a folder; name another one with --out")
    try:
        Path(tempfile.mkdtemp(prefix=".tickledger.", dir=above)).rmdir()
    except OSError as error:
        raise cannot_write(folder, error) from error


def write_run(run: Run, folder: Path) -> Written:
    """Writes report.html, report.json, manifest.json, trades.csv, equity.parquet and events/*.parquet of `run`.

    They are made in a temporary folder beside, which then takes the name of `folder`: nothing half-written is left
    under it. Raises CannotWrite (a full disk, no right to write, a folder that is not empty).
    """
    check_folder(folder)
    made: Path | None = None
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent))
        made.chmod(0o755)
        metrics = _write_all(run, made)
        before = None
        if folder.exists():
            before = folder.rename(made.with_name(f"{made.name}.before"))
        made.rename(folder)
        made = None
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
    return Written(folder, folder / "report.html", metrics)


def _is_stopped_run(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("complete") is False


def _write_all(run: Run, folder: Path) -> dict[str, Value]:
    metrics = measure(run)
    (folder / "trades.csv").write_text(trades_csv(run), encoding="utf-8", newline="")
    (folder / "report.json").write_text(_json(report_json(run, metrics)), encoding="utf-8")
    (folder / "manifest.json").write_text(_json(manifest_json(run)), encoding="utf-8")
    _write_equity(run, folder / "equity.parquet")
    if run.checkpoint:
        (folder / "checkpoint.bin").write_bytes(run.checkpoint)
    (folder / "events").mkdir()
    write_events(run, folder / "events")
    (folder / "report.html").write_text(report_page(run, metrics), encoding="utf-8")
    return metrics


def trades_csv(run: Run) -> str:
    """Every trade in the order of its exit, with a header, numbers in shortest round-trip form."""
    rows = [",".join(TRADE_COLUMNS)]
    trades = run.trades
    money = {n: np.round(trades[n], _MONEY_DIGITS).tolist() for n in TRADE_COLUMNS if n in (trades.dtype.names or ())
             and trades.dtype[n].kind == "f" and not n.endswith("price")}  # fmt: skip
    columns: list[Sequence[str]] = [
        [iso(t) for t in trades["entry_ms"].tolist()], [number(x) for x in trades["entry_price"].tolist()],
        [iso(t) for t in trades["exit_ms"].tolist()], [number(x) for x in trades["exit_price"].tolist()],
        ["long" if side > 0 else "short" for side in trades["side"].tolist()],
        *([number(x) for x in money[name]] for name in TRADE_COLUMNS[5:13]),
        *([quoted(text) for text in trades[name].tolist()] for name in TRADE_COLUMNS[13:]),
    ]  # fmt: skip
    rows += map(",".join, zip(*columns, strict=True))
    return "\n".join(rows) + "\n"


def report_json(run: Run, metrics: Mapping[str, Value]) -> dict[str, Any]:
    """The report's content but for its pictures, trades and events: each metric with name, unit, definition."""
    return {
        "name": run.name,
        "complete": run.complete,
        "started": run.started,
        "from": iso(run.from_ms),
        "to": iso(run.to_ms),
        "strategy": {key: value for key, value in run.strategy.items() if key != "source"},
        "account": dict(run.account),
        "metrics": {
            key: {
                "value": value,
                "unit": run.account["currency"] if METRICS[key].unit == "money" else METRICS[key].unit,
                "name": METRICS[key].name,
                "group": METRICS[key].group,
                "definition": METRICS[key].definition,
            }
            for key, value in metrics.items()
        },
        "signals": dict(run.signals),
        "refused": dict(run.refused),
        "open_positions": run.open_positions,
        "data": [dict(found) for found in run.data],
        "assumptions": list(run.assumptions),
        "warnings": list(run.warnings),
        "python_us_per_tick": run.python_us_per_tick,
        "seconds": dict(run.seconds),
        "digests": dict(run.digests),
    }


def manifest_json(run: Run) -> dict[str, Any]:
    """Enough to repeat the run, and the digests that it must give again."""
    return {**run.manifest, "complete": run.complete, "digests": dict(run.digests)}


def iso(time_ms: int) -> str:
    """2024-01-31T22:15:00.250Z."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds") + "Z"


def number(value: float) -> str:
    """Shortest form that reads back as the same double; empty for NaN."""
    if math.isnan(value):
        return ""
    return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def quoted(text: str) -> str:
    """A CSV field."""
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(c in text for c in ',"\r\n') else text


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """`value` in what JSON has: no NaN, paths and decimals as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _write_equity(run: Run, path: Path) -> None:
    import polars as pl

    columns = {"time_ms": run.equity_ms, "balance": run.balance, "equity": run.equity, "margin": run.margin}
    write_frame(pl.DataFrame(columns), path)


def cannot_write(folder: Path, error: OSError) -> CannotWrite:
    """The reason behind `error` in words, with the way out."""
    reasons = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the disk quota is used up: free some space",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "permission denied",
        errno.EPERM: "the system does not permit it",
        errno.ENAMETOOLONG: "the name is too long",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return CannotWrite(f"cannot write {folder}: {reason}, or name another folder with --out; nothing was written")
