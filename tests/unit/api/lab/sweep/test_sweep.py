"""A sweep: each set as its backtest, the same on one process or several, stopped and gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.command import Asked, in_range, traded_of
from api.lab.metrics import measure
from api.lab.run import Run
from api.lab.sweep import pool as pools
from api.lab.sweep.outcome import KEPT
from api.lab.sweep.pool import Inputs, Pool
from api.lab.sweep.prepared import Prepared, Task, prepare
from api.progress_line import ProgressLine
from infra.errors import BadFile, CannotWrite, MissingPart, Refused, SettingsError
from tests.unit.api.lab.sweep.asked import Bench

AXES = ("fast=3:9:3", "slow=12,20", "k=2")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def whole(bench: Bench) -> dict[str, Any]:
    done = bench.sweep("whole", *AXES)
    assert done.code == 0
    return {"answer": done.answer, "text": done.text, "folder": bench.folder / "whole"}


def lines(folder: Path) -> list[str]:
    return sorted((folder / "results.jsonl").read_text().splitlines())


def backtest(bench: Bench, values: dict[str, float], **options: Any) -> Run:
    """What `tickledger backtest` runs."""
    told = bench.options(**options)
    chosen = choose(str(bench.strategy), values)
    with ExitStack() as kept:
        found = traded_of(Asked(str(bench.strategy), (bench.data,), told), ProgressLine(), bench.folder, None, kept)
        data, from_ms = in_range(chosen, found, told)
        return run_backtest(Request(chosen=chosen, data=data, sized=told.sized(), from_ms=from_ms))


def test_each_set_is_its_backtest(bench: Bench, whole: dict[str, Any]) -> None:
    table = pl.read_parquet(whole["folder"] / "results.parquet")
    assert len(table) == 6
    for row in table.filter(pl.col("set").is_in([0, 3])).iter_rows(named=True):
        run = backtest(bench, {name: row[name] for name in ("fast", "slow", "k")})
        assert len(run.trades) > 10
        expected = measure(run)
        assert {key: row[key] for key in KEPT} == {key: expected[key] for key in KEPT}


def test_each_set_is_its_backtest_in_a_range_too(bench: Bench) -> None:
    told = {"from_": "2024-01-09T06:00", "to": "2024-01-09T20:00"}
    bench.sweep("ranged", "fast=3,4", options=told)
    row = pl.read_parquet(bench.folder / "ranged" / "results.parquet").row(1, named=True)
    assert row["days"] == 1
    expected = measure(backtest(bench, {"fast": 4}, **told))
    assert {key: row[key] for key in KEPT} == {key: expected[key] for key in KEPT}


def test_several_processes_give_what_one_gives(bench: Bench, whole: dict[str, Any]) -> None:
    bench.sweep("two", *AXES, jobs=2)
    assert lines(bench.folder / "two") == lines(whole["folder"])
    one, two = (pl.read_parquet(bench.folder / name / "results.parquet") for name in ("whole", "two"))
    assert one.equals(two)


def test_processes_that_read_for_themselves_give_the_same(bench: Bench, whole: dict[str, Any]) -> None:
    asked = Asked(str(bench.strategy), (bench.data,), bench.options())
    rows: list[str] = []
    with ExitStack() as kept:
        prepared = prepare(asked, ProgressLine(), bench.folder, None, kept)
        tasks = [Task(-1, 2 * at, {"fast": fast, "slow": 12, "k": 2.0}) for at, fast in enumerate((3, 6, 9))]
        pool = kept.enter_context(Pool(prepared, Inputs(asked, bench.folder, None), 2, fork=False))
        pool.run(tasks, lambda found: rows.extend(row.line() for row in found))
    assert sorted(rows) == [line for line in lines(whole["folder"]) if '"slow":12' in line]


def test_a_stopped_sweep_goes_on_to_the_same_answer(
    bench: Bench, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, row = 0, Prepared.row

    def stopped(self: Prepared, task: Task) -> Any:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return row(self, task)

    with monkeypatch.context() as patched:
        patched.setattr(Prepared, "row", stopped)
        done = bench.sweep("stopped", *AXES)
    folder = bench.folder / "stopped"
    assert done.code == 130
    assert not done.answer["complete"]
    assert f"go on with tickledger sweep --resume {folder}" in done.text
    assert "Partial: stopped after 3 of 6 sets" in (folder / "sweep.html").read_text()
    assert len(lines(folder)) == 3
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"stage":-1,"numb')
    again = bench.sweep("stopped", resume=True)
    assert again.code == 0
    assert lines(folder) == lines(whole["folder"])
    assert again.answer["best"] == whole["answer"]["best"]
    assert pl.read_parquet(folder / "results.parquet").equals(pl.read_parquet(whole["folder"] / "results.parquet"))


def test_a_process_that_ends_is_told_and_what_is_finished_is_kept(bench: Bench) -> None:
    class Ends(Prepared):
        def row(self, task: Task) -> Any:
            raise SystemExit(9)

    asked = Asked(str(bench.strategy), (bench.data,), bench.options())
    with ExitStack() as kept:
        found = traded_of(asked, ProgressLine(), bench.folder, None, kept)
        ends = Ends(choose(str(bench.strategy), {}), found, asked.options)
        tasks = [Task(-1, at, {"fast": 3 + at}) for at in range(4)]
        with (
            pytest.raises(pools.ServiceFailed, match=r"ended with code 9.*--resume goes on"),
            Pool(ends, Inputs(asked, None, None), 2, fork=True) as pool,
        ):
            pool.run(tasks, lambda _: None)


def test_the_answer_names_the_best_and_its_luck(whole: dict[str, Any]) -> None:
    answer = whole["answer"]
    json.dumps(answer, allow_nan=False)
    table = pl.read_parquet(whole["folder"] / "results.parquet")
    assert answer["best"]["metrics"]["sharpe"] == table["sharpe"].max()
    assert answer["luck"]["trials"] == 6
    assert (answer["sets"], answer["failed"]) == (6, 0)
    assert str(whole["folder"] / "sweep.html") in whole["text"]


def test_a_set_that_fails_is_a_row_with_its_reason(bench: Bench) -> None:
    answer = bench.sweep("failing", "fast=3,30", "slow=12").answer
    assert answer["failed"] == 1
    table = pl.read_parquet(bench.folder / "failing" / "results.parquet")
    assert "fast is not below slow" in table["failed"][1]
    assert table["failed"][0] is None
    assert any("1 of 2 sets failed" in warning for warning in answer["warnings"])


def test_a_class_that_raises_is_a_row_with_its_reason(bench: Bench) -> None:
    file = bench.folder / "raising.py"
    file.write_text(
        "from tickledger import BarStrategy, Param\n\n"
        "class Raising(BarStrategy):\n"
        '    version = 1\n    bars = "M5"\n    after = Param(3, 1, 10_000)\n\n'
        "    def start(self):\n        self.seen = 0\n\n"
        "    def on_bar(self, bar):\n        self.seen += 1\n"
        "        if self.seen > self.after:\n            raise ArithmeticError('too far')\n"
    )
    other = Bench.__new__(Bench)
    other.folder, other.strategy, other.data = bench.folder, file, bench.data
    other.sweep("raising", "after=5,9999")
    failed = pl.read_parquet(bench.folder / "raising" / "results.parquet")["failed"]
    assert "too far" in failed[0]
    assert failed[1] is None


def test_the_best_at_the_end_of_its_range_is_warned_of(bench: Bench, whole: dict[str, Any]) -> None:
    best = whole["answer"]["best"]["parameters"]["fast"]
    warned = any("that was tried: the true best may lie beyond it" in text for text in whole["answer"]["warnings"])
    assert warned == (best in (3, 9))
    ends = bench.sweep("ends", "k=0.5:0.9:0.2", by="net_profit").answer
    assert any("k = " in text and "may lie beyond it" in text for text in ends["warnings"]) == (
        ends["best"]["parameters"]["k"] in (0.5, 0.9)
    )


def test_few_trades_are_warned_of(bench: Bench) -> None:
    answer = bench.sweep("few", "slow=55,60", "fast=25").answer
    assert answer["best"]["metrics"]["trades"] < 30
    assert any(re.search(r"only \d+ trades", text) for text in answer["warnings"])


def test_sets_below_the_least_trades_are_not_chosen_unless_there_is_no_other(bench: Bench) -> None:
    answer = bench.sweep("least", "slow=12,60", "fast=5", min_trades=5_000).answer
    assert answer["best"] is not None
    assert any("no set has 5000 trades" in text for text in answer["warnings"])


def test_the_page_needs_no_network_and_has_the_sets(whole: dict[str, Any]) -> None:
    page = (whole["folder"] / "sweep.html").read_text()
    assert not re.search(r"""(src|href)=["']https?:""", page)
    assert "color-scheme" in page
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[0])
    assert data["rows"]["parameters"] == {"fast": [3, 3, 6, 6, 9, 9], "slow": [12, 20] * 3}
    assert len(data["rows"]["metrics"]["sharpe"]) == 6
    assert page.count("<tr>") == 1 + 6


def test_drawn_sets_are_run(bench: Bench) -> None:
    bench.sweep("drawn", "fast=3:20", "slow=21:60:1", random=3, seed=4)
    found = pl.read_parquet(bench.folder / "drawn" / "results.parquet")
    assert len(found) == 3
    assert found["fast"].is_between(3, 20).all()


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsgaii"])
def test_a_sampler_proposes_the_same_sets_again_and_goes_on(bench: Bench, sampler: str) -> None:
    told = {"optuna": 10, "sampler": sampler, "seed": 2}
    first = bench.sweep(f"{sampler}-1", "fast=3:10:1", "slow=20:60", "k=1:4", **told)
    folder = bench.folder / f"{sampler}-1"
    before = lines(folder)
    assert first.answer["sets"] == len(before) == 10
    (folder / "results.jsonl").write_text("\n".join((folder / "results.jsonl").read_text().splitlines()[:9]) + "\n")
    bench.sweep(f"{sampler}-1", resume=True)
    assert lines(folder) == before


def test_without_optuna_it_is_said_how_to_get_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPart, match=r"pip install 'tickledger\[optuna\]'"):
        bench.sweep("none", "fast=3:10", optuna=10)


@pytest.mark.parametrize(
    ("p", "plan", "said"),
    [
        (("fast=31,32",), {}, "fast = 31 is not between 2 and 30"),
        (("quick=1,2",), {}, "no parameter 'quick'"),
        (("fast=5",), {}, "no parameter of crossing has several values: name some, such as -p fast=2:30:5"),
        ((), {}, "no parameter of crossing has several values"),
        (("fast=3,4",), {"by": "luck"}, "chosen by one of sharpe"),
        (("fast=3,4",), {"random": 3, "optuna": 3}, "use one of them"),
        (("fast=3,4",), {"optuna": 3, "sampler": "best"}, "there are tpe, random, nsgaii"),
        (("fast=3,4",), {"min_trades": 0}, "without trades"),
        (("fast=3,4",), {"walk_forward": "6m"}, "such as 6m/1m"),
        (("fast=3,4",), {"walk_forward": "6m/1m"}, "ends before 6 months"),
        (("fast=3,4",), {"random": 0}, "--random 0"),
    ],
)
def test_what_can_not_be_run_is_refused_before_anything_is_written(
    bench: Bench, p: tuple[str, ...], plan: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        bench.sweep("never", *p, **plan)
    assert not (bench.folder / "never").exists()


def test_a_range_without_data_is_refused(bench: Bench) -> None:
    with pytest.raises(SettingsError, match="has no data in that range"):
        bench.sweep("never", "fast=3,4", options={"from_": "2020-01-01", "to": "2020-02-01"})
    assert not (bench.folder / "never").exists()


def test_a_folder_with_something_in_it_is_kept(bench: Bench, whole: dict[str, Any]) -> None:
    with pytest.raises(CannotWrite, match="--resume"):
        bench.sweep("whole", *AXES)


def test_nothing_but_the_folder_goes_with_resume(bench: Bench, whole: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="name it alone"):
        bench.sweep("whole", "fast=3,4", resume=True)
    with pytest.raises(BadFile, match="takes the folder of a sweep"):
        bench.sweep("nowhere", resume=True)


def test_a_strategy_that_changed_does_not_go_on(bench: Bench) -> None:
    bench.sweep("changed", "fast=3,4")
    before = bench.strategy.read_text()
    try:
        bench.strategy.write_text(before.replace("atr(b, 5)", "atr(b, 6)"))
        with pytest.raises(Refused, match="has changed since the sweep"):
            bench.sweep("changed", resume=True)
    finally:
        bench.strategy.write_text(before)


def test_a_spoilt_line_of_results_is_named(bench: Bench) -> None:
    bench.sweep("spoilt", "fast=3,4")
    (bench.folder / "spoilt" / "results.jsonl").write_text("{}\nnonsense\n")
    with pytest.raises(BadFile, match=r"results\.jsonl, line 1"):
        bench.sweep("spoilt", resume=True)


def test_ctrl_c_at_a_terminal_ends_all_processes_and_the_rest_is_run_later(bench: Bench) -> None:
    folder = bench.folder / "interrupted"
    command = [sys.executable, "-P", "-m", "api.cli", "sweep"]
    told = [
        str(bench.strategy), str(bench.data), "-p", "fast=2:9:1", "-p", "slow=10:40:1", "--spec", "generic", "--cache",
        str(bench.folder / "cache"), "--out", str(folder), "--jobs", "2", "--json",
    ]  # fmt: skip
    with subprocess.Popen(
        command + told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Whoever starts the tests in the background has them, and what they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        results = folder / "results.jsonl"
        while process.poll() is None and not (results.exists() and results.stat().st_size):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        out, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    answer = json.loads(out)
    assert not answer["complete"]
    assert 0 < answer["sets"] < answer["asked"] == 248
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
