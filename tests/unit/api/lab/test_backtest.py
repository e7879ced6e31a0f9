"""A backtest: the same whatever the cut, the money to the cent, and its journal decides the same again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.lab.files import write_run
from api.lab.run import Run
from api.lab.setup import SizedBy
from api.lab.verify_run import verify_run
from infra.errors import SettingsError
from schemas.configuration import Sizing
from schemas.events import Side
from schemas.trading import Fill, PnlAttributed, Submitted
from tests.unit.api.lab.market import MONDAY_MS, quotes, run, traded, walk

CROSSING = """
from tickledger import Enter, Exit, strategy
from tickledger.ta import atr, cross_above, cross_below, ema, highest, lowest

@strategy(version=1, bars="M1")
def crossing(b):
    r = atr(b, 5)
    plan = Exit(stop=2 * r, target=5 * r, trail_long=highest(b.high, 5) - 3 * r, trail_short=lowest(b.low, 5) + 3 * r,
                breakeven_at=1.0, max_bars=30, partial=(1.5, 0.5))
    yield Enter.long(cross_above(ema(b.close, 3), ema(b.close, 8)), plan)
    yield Enter.short(cross_below(ema(b.close, 3), ema(b.close, 8)), plan)
"""

HOLD = """
from tickledger import Enter, Exit, strategy

@strategy(version=1, bars="M1", warmup=0)
def hold(b):
    yield Enter.long(b.close > 0, Exit(on_opposite="ignore"))
"""


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("strategy") / "crossing.py"
    path.write_text(CROSSING)
    return str(path)


@pytest.fixture(scope="module")
def whole(crossing: str) -> Run:
    return run(crossing, traded(walk(6_000)))


def test_it_trades(whole: Run) -> None:
    assert len(whole.trades) > 10
    assert len(set(whole.trades["exit_reason"])) > 2


@settings(deadline=None, max_examples=8)
@given(cuts=st.lists(st.integers(1, 5_999), max_size=30))
def test_the_cut_of_the_log_does_not_show(crossing: str, whole: Run, cuts: list[int]) -> None:
    again = run(crossing, traded(walk(6_000), cuts))
    assert again.digests == whole.digests
    assert (again.trades == whole.trades).all()
    assert [row.value for row in again.journal] == [row.value for row in whole.journal]


def test_every_tick_by_itself_gives_the_same(crossing: str) -> None:
    some = walk(1_500)
    assert run(crossing, traded(some, range(1, 1_500))).digests == run(crossing, traded(some)).digests


def test_the_balance_is_the_start_and_all_trades(whole: Run) -> None:
    assert whole.balance[-1] == pytest.approx(float(whole.start_balance) + whole.trades["pnl"].sum(), abs=1e-6)
    assert (np.diff(whole.equity_ms) >= 0).all()


def test_no_order_fills_on_a_tick_from_before_its_decision(whole: Run) -> None:
    decided = {one.order_no: one for one in whole.decided if isinstance(one, Submitted)}
    fills = [one for one in whole.decided if isinstance(one, Fill)]
    assert fills
    for fill in fills:
        assert fill.time_ms * 1000 >= decided[fill.order_no].taken_us - 1_000
        assert fill.n >= decided[fill.order_no].decision_n


def test_the_journal_decides_the_same_again(whole: Run, tmp_path: Path) -> None:
    write_run(whole, tmp_path / "run")
    found = verify_run(tmp_path / "run")
    assert found.differences == []
    assert found.entries == sum(1 for _ in whole.journal) - 1


def test_a_changed_byte_of_the_journal_is_named(whole: Run, tmp_path: Path) -> None:
    import polars as pl

    write_run(whole, tmp_path / "run")
    path = tmp_path / "run" / "events" / "journal.parquet"
    frame = pl.read_parquet(path)
    values = frame["value"].to_list()
    values[7] = values[7][:40] + bytes([values[7][40] ^ 1]) + values[7][41:]
    frame.with_columns(pl.Series("value", values)).write_parquet(path)
    assert "entry 7: its MAC is wrong" in verify_run(tmp_path / "run").differences[0]


def test_a_missing_entry_of_the_journal_is_named(whole: Run, tmp_path: Path) -> None:
    import polars as pl

    write_run(whole, tmp_path / "run")
    path = tmp_path / "run" / "events" / "journal.parquet"
    frame = pl.read_parquet(path)
    pl.concat([frame[:9], frame[10:]]).write_parquet(path)
    assert "doesn't follow" in verify_run(tmp_path / "run").differences[0]


def test_what_is_held_to_the_end_earns_what_the_quotes_say(tmp_path: Path) -> None:
    """Bought at the ask of the tick that closes the first bar, sold at the last bid; 0.1 lots are 10,000 euros."""
    path = tmp_path / "hold.py"
    path.write_text(HOLD)
    times = [MONDAY_MS + 15_000 * i for i in range(12)]
    bids = [round(1.1000 + i / 10_000, 5) for i in range(12)]
    asks = [round(bid + 0.0002, 5) for bid in bids]
    found = run(
        str(path),
        traded(quotes(times, bids, asks), overrides=("latency_ms=0", "commission_per_lot_side=3", "spread_points=0")),
    )
    (trade,) = found.trades
    assert (trade["entry_ms"], trade["entry_price"]) == (times[4], asks[4])
    assert (trade["exit_price"], trade["exit_reason"]) == (bids[-1], "end")
    assert trade["pnl"] == pytest.approx((bids[-1] - asks[4]) * 10_000 - 2 * 3 * 0.1, abs=1e-9)
    assert trade["mae"] == pytest.approx((bids[4] - asks[4]) * 10_000)
    assert trade["mfe"] == pytest.approx((bids[-1] - asks[4]) * 10_000)
    assert trade["commission"] == pytest.approx(0.6)


def test_a_run_without_a_trade_is_a_run(crossing: str, tmp_path: Path) -> None:
    found = run(crossing, traded(walk(40)))
    assert len(found.trades) == 0
    write_run(found, tmp_path / "run")
    assert verify_run(tmp_path / "run").differences == []


def test_a_second_listing_converts_what_the_first_earns(crossing: str) -> None:
    """EURGBP on an account in dollars: what it earns in pounds is worth the quotes of GBPUSD."""
    pounds = walk(6_000, 9)._replace(listing="test/GBPUSD")
    crossed = walk(6_000)._replace(listing="test/EURGBP")
    data = (traded(crossed), dataclasses.replace(traded(pounds), converts=True))
    found = run(crossing, *data, sized=SizedBy(Sizing.RISK, 0.005))
    assert set(found.trades["listing"]) == {"test/EURGBP"}
    assert len(found.trades) > 5
    assert "rate" not in " ".join(found.refused)
    closed = next(one for one in found.decided if isinstance(one, PnlAttributed))
    move = (closed.exit_price - closed.entry_price) * (1 if closed.side is Side.LONG else -1)
    in_pounds = move * closed.volume * 100_000
    assert float(closed.gross + closed.spread + closed.slippage) == pytest.approx(in_pounds * 1.1, rel=0.02, abs=0.02)


def test_money_that_nothing_converts_is_refused_with_the_ways_out(crossing: str) -> None:
    with pytest.raises(SettingsError, match=r"earns and costs GBP.* --convert.*--set rate_GBP="):
        run(crossing, traded(walk(100)._replace(listing="test/EURGBP")))
