"""Signals of a program: order, warm-up, what isn't written, and what each field says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from agents.bar_signals import BarSignals, columns_of
from agents.expressions import COLUMNS
from agents.signals import ENTER, EXIT, IGNORE, LEVELS, LIMIT, LONG, MARKET, NONE, ON_OPPOSITE, SHORT, STOP
from schemas.events import OnOpposite
from streams.operators.bar_kernel import BAR_DTYPE
from tickledger import Enter, Exit, Flat, strategy
from tickledger.ta import sma, where

MINUTE_MS = 60_000


def bars(closes: list[float], **columns: list[float]) -> Any:
    """M5 bars of these closes; all prices of a bar are its close."""
    rows = np.zeros(len(closes), BAR_DTYPE)
    rows["time_ms"] = 1_399_200_000_000 + 5 * MINUTE_MS * np.arange(len(closes))
    rows["server_offset_s"] = 10_800
    for name in ("open", "high", "low", "close"):
        rows[name] = closes
    rows["ask_close"] = rows["close"] + 0.5
    rows["first_n"] = 10 * np.arange(len(closes))
    rows["last_n"] = rows["first_n"] + 7
    rows["proof_n"] = rows["first_n"] + 12
    rows["proof_ms"] = rows["time_ms"] + 5 * MINUTE_MS + 250
    for name, values in columns.items():
        rows[name] = values
    return rows


def signals(
    body: Any, closes: list[float], *, suspect: list[int] | None = None, warmup: int = 0, **columns: Any
) -> Any:
    """The rows that a strategy yielding `body(b)` gives."""

    @strategy(version=1, bars="M5", warmup=warmup)
    def given(b: Any) -> Iterator[Any]:
        yield from body(b)

    marks = np.zeros(len(closes), np.bool_)
    marks[suspect or []] = True
    work = BarSignals(given.program())
    return work.fold(work.initial(), bars(closes, **columns), marks)


def said(rows: Any) -> list[tuple[int, int, int]]:
    """(bar, kind, side) of each."""
    return [(int(r["n"] - 7) // 10, int(r["kind"]), int(r["side"])) for r in rows]


UP = [1.0, 2.0, 3.0, 2.0, 4.0]


def test_an_entry_carries_the_plan_and_counts_from_the_bars_end() -> None:
    plan = Exit(stop=0.25, target=0.75, breakeven_at=1.5, max_bars=3, on_opposite="close", cooldown="10m")
    (row,) = signals(lambda b: [Enter.long(b.close > 3.5, plan, valid_for="90s")], UP)
    assert row["time_ms"] == 1_399_200_000_000 + 25 * MINUTE_MS
    assert (row["proof_n"], row["proof_ms"]) == (52, 1_399_200_000_000 + 25 * MINUTE_MS + 250)
    assert (row["n"], row["from_n"], row["bid"], row["ask"]) == (47, 40, 4.0, 4.5)
    assert (row["kind"], row["side"], row["valid_for_ms"]) == (ENTER, LONG, 90_000)
    assert (row["stop_distance"], row["target_distance"], row["breakeven_at"]) == (0.25, 0.75, 1.5)
    assert (row["entry_type"], row["expires_ms"]) == (MARKET, 0)
    assert (row["max_hold_ms"], row["cooldown_ms"]) == (15 * MINUTE_MS, 10 * MINUTE_MS)
    assert ON_OPPOSITE[row["on_opposite"]] is OnOpposite.CLOSE
    assert np.isnan([row["trail_long"], row["trail_short"]]).all()


def test_a_pending_entry_carries_its_price_and_life_and_its_partial_exit() -> None:
    plan = Exit(stop=0.25, partial=(1.0, 0.4))
    (row,) = signals(lambda b: [Enter.limit("short", b.close > 3.5, plan, price=b.close + 0.5, expires="4h")], UP)
    assert (row["kind"], row["side"], row["entry_type"]) == (ENTER, SHORT, LIMIT)
    assert (row["price"], row["expires_ms"], row["valid_for_ms"]) == (4.5, 240 * MINUTE_MS, 60_000)
    assert (row["partial_at"], row["partial_share"]) == (1.0, 0.4)
    (row,) = signals(lambda b: [Enter.stop("long", b.close > 3.5, plan, price=4.25)], UP)
    assert (row["entry_type"], row["price"], row["expires_ms"]) == (STOP, 4.25, 0)


def test_a_pending_entry_without_a_finite_price_above_0_is_not_written() -> None:
    assert not len(signals(lambda b: [Enter.stop("long", b.close > 3.5, Exit(), price=b.close - 4.0)], UP))
    assert not len(signals(lambda b: [Enter.stop("long", b.close > 3.5, Exit(), price=b.close.lag(9))], UP))


def test_what_a_plan_leaves_out_is_none() -> None:
    (row,) = signals(lambda b: [Enter.short(b.close > 3.5, Exit())], UP)
    assert np.isnan([row[f] for f in ("stop_distance", "target_distance", "trail_long", "breakeven_at")]).all()
    assert (row["max_hold_ms"], row["cooldown_ms"], row["valid_for_ms"]) == (0, 0, 60_000)
    assert ON_OPPOSITE[row["on_opposite"]] is OnOpposite.REVERSE


def test_at_one_bar_exits_come_first_then_levels_then_the_entry() -> None:
    plan = Exit(stop=1.0, trail_long=None)
    rows = signals(
        lambda b: [
            Enter.long(b.close > 2.5, Exit(stop=1.0, trail_long=b.low - 1, trail_short=b.high + 1)),
            Flat(b.close > 3.5),
        ],
        UP,
    )
    assert plan.trail_long is None
    assert said(rows) == [
        (0, LEVELS, NONE),
        (1, LEVELS, NONE),
        (2, LEVELS, NONE),
        (2, ENTER, LONG),
        (3, LEVELS, NONE),
        (4, EXIT, LONG),
        (4, EXIT, SHORT),
        (4, LEVELS, NONE),
        (4, ENTER, LONG),
    ]
    assert rows["trail_long"][2:4].tolist() == [2.0, 2.0]
    assert rows["trail_short"][2:4].tolist() == [4.0, 4.0]
    exits = rows[rows["kind"] == EXIT]
    assert (exits["on_opposite"] == IGNORE).all()
    assert np.isnan(exits["trail_long"]).all()


def test_flats_may_be_of_one_side_and_are_said_once_a_bar() -> None:
    rows = signals(
        lambda b: [
            Enter.long(b.close > 99, Exit()),
            Flat(b.close > 2.5, side="short"),
            Flat(b.close > 3.5, side="short"),
        ],
        UP,
    )
    assert said(rows) == [(2, EXIT, SHORT), (4, EXIT, SHORT)]


def test_nothing_is_said_before_the_bar_of_the_warm_up() -> None:
    def body(b: Any) -> list[Any]:
        return [Enter.long(b.close > 0, Exit(stop=1.0, trail_long=b.low)), Flat(b.close > 0, side="long")]

    assert [bar for bar, _, _ in said(signals(body, UP, warmup=3))] == [3, 3, 3, 4, 4, 4]
    assert len(signals(body, UP, warmup=5)) == 0


def test_levels_wait_until_all_of_them_are_finite() -> None:
    def body(b: Any) -> list[Any]:
        return [Enter.long(b.close > 0, Exit(stop=1.0, trail_long=b.low, trail_short=sma(b.high, 3)))]

    assert said(signals(body, UP)) == [
        (n, kind, side) for n in (2, 3, 4) for kind, side in ((LEVELS, NONE), (ENTER, LONG))
    ]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_an_entry_without_a_usable_distance_is_not_written(bad: float) -> None:
    for name in ("stop", "target"):
        # The real volume serves as the distance.
        rows = signals(
            lambda b, name=name: [Enter.long(b.close > 0, Exit(**{name: b.real_volume}))],
            [1.0, 2.0],
            volume=[bad, 0.5],
        )
        assert said(rows) == [(1, ENTER, LONG)]


def test_no_entry_is_decided_on_a_suspect_tick_while_exits_and_levels_are() -> None:
    def body(b: Any) -> list[Any]:
        return [Enter.long(b.close > 0, Exit(stop=1.0, trail_long=b.low)), Flat(b.close > 3.5, side="short")]

    rows = signals(body, UP, suspect=[1, 4])
    assert [bar for bar, kind, _ in said(rows) if kind == ENTER] == [0, 2, 3]
    assert [bar for bar, kind, _ in said(rows) if kind == LEVELS] == [0, 1, 2, 3, 4]
    assert [bar for bar, kind, _ in said(rows) if kind == EXIT] == [4]


def test_entries_to_both_sides_at_one_bar_cancel_each_other() -> None:
    rows = signals(lambda b: [Enter.long(b.close > 1.5, Exit()), Enter.short(b.close < 3.5, Exit())], UP)
    assert said(rows) == [(0, ENTER, SHORT), (4, ENTER, LONG)]


def test_of_entries_to_one_side_the_first_that_can_be_written_counts() -> None:
    rows = signals(
        lambda b: [
            Enter.long(b.close > 1.5, Exit(stop=where(b.close > 2.5, 0.1, 0.0))),
            Enter.long(b.close > 0, Exit(stop=0.2)),
        ],
        UP,
    )
    assert rows["stop_distance"].tolist() == [0.2, 0.2, 0.1, 0.2, 0.1]


def test_a_graph_is_fed_with_the_bars_columns_and_the_servers_clock() -> None:
    rows = bars(
        [1.0, 2.0], ticks=[3, 4], volume=[0.5, 0.25], spread_min=[1, 2], spread_mean=[1.5, 2.5], spread_max=[2, 3]
    )
    found = dict(zip(COLUMNS, columns_of(rows).tolist(), strict=True))
    assert found["volume"] == [3, 4]
    assert found["real_volume"] == [0.5, 0.25]
    assert (found["spread"], found["spread_mean"], found["spread_max"]) == ([1, 2], [1.5, 2.5], [2, 3])
    assert found["ask_close"] == [1.5, 2.5]
    assert found["time"] == [1_399_210_800_000, 1_399_211_100_000]
