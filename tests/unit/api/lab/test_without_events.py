"""A run that keeps no events, as a sweep's, trades as one that keeps all, though its desk sees fewer rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.risk import limits_from_toml, no_limits
from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.run import Run
from api.lab.setup import ACCOUNT
from schemas.configuration import RiskLimits
from schemas.ticks import TickBlock
from streams.backtest.quotes import Quotes
from tests.unit.api.lab.market import TENTH, traded, walk

STRATEGY = '''\
from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import cross_above, cross_below, ema


@strategy(version=1, bars="M1", warmup=10)
def probe(b, fast=Param(3, 2, 100), slow=Param(8, 3, 400)):
    """Crosses of two averages."""
    f, s = ema(b.close, fast), ema(b.close, slow)
    plan = Exit({plan})
    yield Enter.long(cross_above(f, s), plan)
    yield Enter.short(cross_below(f, s), plan)
'''
PLANS = {
    "reversed": "stop=0.0012",
    "break-even": "stop=0.0010, target=0.0030, breakeven_at=0.3",
    "partial": "stop=0.0010, target=0.0020, partial=(0.4, 0.5)",
    "trailed": "stop=0.0010, trail_long=b.close - 0.0008, trail_short=b.close + 0.0008",
    "held for a while": "stop=0.0012, max_bars=7, cooldown=2",
}


def ran(path: Path, block: TickBlock, *, keep: bool, limits: RiskLimits | None = None, preset: str = "generic") -> Run:
    data = [traded(block, cuts=(3_000, 3_001, 9_000), preset=preset)]
    return run_backtest(Request(chosen=choose(str(path), {}), data=data, sized=TENTH, keep=keep, limits=limits))


def same(kept: Run, bare: Run) -> bool:
    return (
        kept.trades.tobytes() == bare.trades.tobytes()
        and all(np.array_equal(getattr(kept, name), getattr(bare, name)) for name in ("equity_ms", "balance", "equity"))
        and np.array_equal(kept.margin, bare.margin)
        and (kept.signals, kept.refused) == (bare.signals, bare.refused)
    )


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("seed", [1, 2])
def test_trades_and_equity_are_the_same_to_the_bit(tmp_path: Path, plan: str, seed: int) -> None:
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY.format(plan=plan), encoding="utf-8")
    block = walk(14_000, seed=seed)
    kept, bare = ran(path, block, keep=True), ran(path, block, keep=False)
    assert len(kept.trades) > 20
    assert same(kept, bare)


def test_a_limited_drawdown_is_reached_at_the_same_quote(tmp_path: Path) -> None:
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY.format(plan="stop=0.0012"), encoding="utf-8")
    block = walk(14_000, seed=3)
    limits = limits_from_toml({"max_drawdown": 0.0004, "drawdown_action": "FLATTEN"}, ACCOUNT)
    kept, bare = (ran(path, block, keep=keep, limits=limits) for keep in (True, False))
    assert "limit" in kept.trades["exit_reason"]
    assert same(kept, bare)


def test_an_entry_is_judged_by_the_same_peak(tmp_path: Path) -> None:
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY.format(plan="stop=0.0012"), encoding="utf-8")
    block = walk(14_000, seed=4)
    limits = replace(no_limits(ACCOUNT), max_positions=1)
    kept, bare = (ran(path, block, keep=keep, limits=limits) for keep in (True, False))
    assert same(kept, bare)


def test_a_desk_without_a_journal_gets_only_the_rows_that_tell_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[int] = []
    rows_of = Quotes.rows

    def counted(*arguments: int) -> object:
        rows = rows_of(*arguments)  # type: ignore[arg-type]
        handed.append(0 if rows is None else len(rows.us))
        return rows

    monkeypatch.setattr(Quotes, "rows", counted)
    path = tmp_path / "probe.py"
    path.write_text(STRATEGY.format(plan="stop=0.0012"), encoding="utf-8")
    block = walk(14_000, seed=1)
    ran(path, block, keep=True)
    every, handed[:] = sum(handed), []
    ran(path, block, keep=False)
    assert 0 < sum(handed) < every / 3
