"""What `tickledger backtest` does: choose, read, run, write, show."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from api.lab.choice import Chosen, choose, parsed_values
from api.lab.data import DataOptions, Ranged, Traded
from api.lab.options import LabOptions
from api.progress_line import ProgressLine
from api.start import time_option
from infra.cache_dir import cache_dir_of
from infra.errors import BadFile, FileUnreadable, Refused, SettingsError

FOREVER_MS: Final = 2**62


class Done(NamedTuple):
    """What a command says and its exit code."""

    text: str
    answer: dict[str, Any]
    code: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as it was asked for: what a manifest keeps."""

    strategy: str
    data: tuple[Path, ...]
    options: LabOptions

    def as_json(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy,
            "data": [str(path) for path in self.data],
            "options": self.options.as_json(),
        }


def run_command(
    strategy: str | None,
    data: Sequence[Path],
    options: LabOptions,
    out: Path | None,
    manifest: Path | None,
    resume: Path | None,
    check_lookahead: bool,
    home: Path | None,
    config: Path | None,
    started: float,
) -> Done:
    """Runs a backtest and writes its results. Raises TickledgerError."""
    from api.lab import checkpoint
    from api.lab.backtest import Request, run_backtest
    from api.lab.files import check_folder

    known: dict[str, Any] | None = None
    if manifest is not None or resume is not None:
        path = manifest if manifest is not None else Path(str(resume)) / "manifest.json"
        asked, known = from_manifest(path)
        if resume is not None:
            out = resume
    else:
        if strategy is None:
            raise SettingsError(
                "no strategy is named: tickledger backtest my.py EURUSD_M1.csv, or one that ships "
                "(tickledger strategies lists them)"
            )
        asked = Asked(strategy, tuple(data), options)
    options = asked.options
    folder = out if out is not None else _folder(asked.strategy)
    if resume is None:
        check_folder(folder)
    chosen = choose(asked.strategy, parsed_values(options.p or []))
    limits = limits_of(options)
    line = ProgressLine()
    with ExitStack() as kept:
        kept.callback(line.clear)
        read = time.perf_counter()
        traded = traded_of(asked, line, home, config, kept)
        if known is not None:
            _same_inputs(known, traded)
        if check_lookahead:
            return _lookahead(chosen, traded)
        check_limits_reach(options, limits, traded)
        ranged, from_ms = in_range(chosen, traded, options)
        total = sum(int(one.source.facts.get("ticks", 0)) for one in traded)
        request = Request(
            chosen=chosen,
            data=ranged,
            sized=options.sized(),
            limits=limits,
            from_ms=from_ms,
            options=asked.as_json(),
            resume=None if resume is None else checkpoint.read(resume, chosen.digest),
        )
        request.check()
        seconds = {"read": time.perf_counter() - read}
        since = time.perf_counter()

        shown = 0

        def progress(ticks: int) -> None:
            nonlocal shown
            if ticks != shown:
                shown = ticks
                rate = ticks / max(time.perf_counter() - since, 1e-9)
                of = f" of {total:,}" if total else ""
                line.show(f"running: {ticks:,}{of} ticks, {rate:,.0f} a second", last=ticks == total)

        run = run_backtest(request, progress)
    from api.lab.files import write_run
    from api.lab.screen import screen

    seconds |= run.seconds
    run = replace(run, seconds=seconds | {"until_report": time.perf_counter() - started})
    write_run(run, folder)
    took = time.perf_counter() - started
    answer = {
        "folder": str(folder),
        "report": str(folder / "report.html"),
        "trades": len(run.trades),
        "net_profit": float(run.trades["pnl"].sum()),
        "complete": run.complete,
        "digests": dict(run.digests),
        "refused": dict(run.refused),
        "warnings": list(run.warnings),
        "seconds": took,
    }
    failed = run.signals.get("FAILED", 0)
    answer["failed"] = bool(failed)
    code, told = 1 if failed else 0, screen(run, folder)
    if known is not None and manifest is not None:
        differ = [topic for topic, digest in known["digests"].items() if run.digests.get(topic) != digest]
        code = 1 if differ or failed else 0
        same = (
            "the same digests as the manifest"
            if not differ
            else f"other digests than the manifest: {', '.join(differ)}"
        )
        told, answer["differs"] = f"{told}\n{same}", differ
    if not run.complete:
        told += f"\nstopped: these results are partial; go on with tickledger backtest --resume {folder}"
        code = 130
    return Done(told, answer, code)


def traded_of(
    asked: Asked, line: ProgressLine, home: Path | None, config: Path | None, kept: ExitStack
) -> list[Traded]:
    """The listings of a run, from its files or the log."""
    from producers.clocks import ServerClock, parse_zone

    options = asked.options
    if options.server_clock is not None:
        ServerClock(options.server_clock)
    if not asked.data:
        from api.lab.log_data import from_log

        if not options.symbol:
            raise SettingsError(
                "neither a file nor --symbol is named: tickledger backtest STRATEGY EURUSD_M1.csv, "
                "or --symbol feed/SYMBOL to replay the log of the home"
            )
        return from_log(options.symbol, options.spec, options.set_ or [], home, config, kept)
    from api.lab.data import from_files

    if options.symbol is not None and len(options.symbol) > 1:
        raise SettingsError("with files there is one --symbol: give the files of each symbol names that tell it")
    cache = options.cache or cache_dir_of(home, config) / "ticks"
    told = DataOptions(
        symbol=options.symbol[0] if options.symbol else None,
        feed=options.feed,
        format=options.format_,
        zone=None if options.tz is None else parse_zone(options.tz),
        server_clock=options.server_clock,
        columns=options.columns,
        point_factor=options.point_factor,
        stamp=options.stamp,
    )

    def show(path: str, ticks: int) -> None:
        line.show(f"reading: {path}, {ticks:,} ticks")

    found = from_files(asked.data, told, options.spec, options.set_ or [], cache, show)
    if options.convert:
        pairs = from_files(options.convert, replace(told, symbol=None), options.spec, [], cache, show)
        there = {one.source.name for one in found}
        found += [replace(one, converts=True) for one in pairs if one.source.name not in there]
    return found


def in_range(chosen: Chosen, traded: Sequence[Traded], options: LabOptions) -> tuple[list[Traded], int]:
    """The data from `--from` on, with what comes before it for warm-up, up to `--to`; and from when signals count."""
    if options.from_ is None and options.to is None:
        return list(traded), -FOREVER_MS
    from_ms = -FOREVER_MS if options.from_ is None else time_option(options.from_, "--from")
    to_ms = FOREVER_MS if options.to is None else time_option(options.to, "--to")
    if from_ms >= to_ms:
        raise SettingsError(f"--from {options.from_} is not before --to {options.to}")
    for one in traded:
        starts, ends = int(one.source.facts["starts_ms"]), int(one.source.facts["ends_ms"])
        if to_ms <= starts or from_ms > ends:
            from schemas.times import iso_ms

            raise SettingsError(
                f"{one.source.name} has no data in that range: it has {iso_ms(starts)} to {iso_ms(ends)}"
            )
    program = chosen.graph or chosen.class_program
    bars = 0 if program is None else program.memory
    early = from_ms if from_ms == -FOREVER_MS else from_ms - bars * chosen.timeframe.ms * 7 // 5 - 3 * 86_400_000
    return [replace(one, source=Ranged(one.source, early, to_ms)) for one in traded], from_ms


def limits_of(options: LabOptions) -> Any:
    """The limits in `--limits`, or None. Raises BadFile, and BadAccount for limits that no account may have."""
    if options.limits is None:
        return None
    from api.accounts import limits_of as limits_in
    from api.lab.setup import ACCOUNT

    return limits_in(ACCOUNT, options.limits)


def check_limits_reach(options: LabOptions, limits: Any, traded: Sequence[Traded]) -> None:
    """Raises BadFile for the limits in `--limits` (None: there are none) if they are below the smallest order of all
    that is traded."""
    if limits is None:
        return
    from api.accounts import BadAccount, check_reach

    try:
        check_reach(limits, [one.listing for one in traded if not one.converts])
    except BadAccount as error:
        raise BadFile(f"{options.limits}: {error}") from error


def from_manifest(path: Path) -> tuple[Asked, dict[str, Any]]:
    """The run that a manifest describes. Raises BadFile."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        told = found["options"]
        options = LabOptions(**{name: _restored(name, value) for name, value in told["options"].items()})
        return Asked(told["strategy"], tuple(map(Path, told["data"])), options), found
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path}: is not the manifest of a backtest: {error}") from error


def _restored(name: str, value: Any) -> Any:
    if name == "convert":
        return [Path(one) for one in value]
    return Path(value) if name == "limits" else value


def _same_inputs(known: dict[str, Any], traded: Sequence[Traded]) -> None:
    now = [one for t in traded for one in t.source.inputs()]
    for before, one in zip(known["inputs"], now, strict=False):
        if before.get("sha256") != one.get("sha256"):
            raise Refused(
                f"{one.get('file')} is not what the manifest's run read: its hash is {str(one.get('sha256'))[:12]}…, "
                f"then {str(before.get('sha256'))[:12]}…"
            )
    if len(known["inputs"]) != len(now):
        raise Refused(f"the manifest's run read {len(known['inputs'])} inputs, and now there are {len(now)}")


def _lookahead(chosen: Chosen, traded: Sequence[Traded]) -> Done:
    from api.lab.lookahead import POINTS, looked_ahead

    told = looked_ahead(chosen, traded)
    if told is None:
        text = f"no look-ahead: with the future cut off and changed at {POINTS} moments {chosen.name} said the same"
        return Done(text, {"looks_ahead": False}, 0)
    return Done(f"{chosen.name}: {told}", {"looks_ahead": True, "difference": told}, 1)


def _folder(name: str) -> Path:
    stem = Path(name.partition(":")[0]).stem
    return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}"
