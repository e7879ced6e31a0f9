"""A backtest for tests of reports and files: a moving-average cross on a seeded walk, with all its records."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from api.lab.run import TRADE_DTYPE, Chart, Run
from schemas.events import EntryType, OnOpposite, Side, Signal, SignalKind
from schemas.executions import DealEntry
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.registry import encode
from schemas.trading import (
    Decided,
    ExitReason,
    Fill,
    ModifyRequested,
    OrderPurpose,
    OrderType,
    PnlAttributed,
    PositionChanged,
    RiskDecision,
    Submitted,
)
from streams.backtest.journal import JournalRow
from streams.operators.bar_kernel import BAR_DTYPE

LISTING = "file/EURUSD"
START_MS = 1_704_060_000_000
"""2023-12-31 22:00 UTC, a Sunday: midnight by the server's clock."""
POINT = 1e-5
SPREAD = 8
MAC = bytes(16)


def make_run(
    *,
    bars: int = 6_000,
    minutes: int = 60,
    fast: int = 20,
    slow: int = 50,
    seed: int = 7,
    drift: float = 0.0,
    lots: float = 0.5,
    complete: bool = True,
    records: bool = True,
) -> Run:
    """A run over `bars` bars of `minutes` minutes, weekends left out; the same arguments give the same run."""
    table = walk(bars, minutes, seed, drift)
    close = table["close"]
    lines = {f"ema(close, {fast})": _ema(close, fast), f"ema(close, {slow})": _ema(close, slow)}
    maker = _Maker(table, minutes, lots)
    quick, calm = lines.values()
    _trade(maker, quick, calm, slow)
    start, timeframe = 10_000.0, "H1" if minutes == 60 else f"M{minutes}"
    at, balance, equity, margin = maker.curve(start)
    for name in lines:
        lines[name][:slow] = np.nan
    end_ms = int(table["time_ms"][-1]) + minutes * 60_000
    synthetic = bars * minutes * 4
    return Run(
        name="ema_cross",
        started="2026-11-24 20:15:03",
        strategy={
            "name": "ema_cross",
            "version": 1,
            "file": "ema_cross.py",
            "timeframe": timeframe,
            "parameters": {"fast": fast, "slow": slow, "k": 2.0},
            "program_sha256": "3f" * 32,
            "doc": "EMA cross; stop k ATR, reverse on the opposite cross.",
            "source": "from tickledger import Enter, Exit, Param, strategy\n…\n",
        },
        account={
            "currency": "USD",
            "digits": 2,
            "balance": "10000",
            "leverage": 100,
            "position_mode": "HEDGING",
            "sizing": "LOTS",
            "size": lots,
        },
        assumptions=[
            "Spec vantage-raw of 2026-11: 5 digits, contract 100,000, commission 3.00 USD a lot and side.",
            "The data has no ask: spread by hour from the spec's profile, 8 points on average.",
            "Orders arrive 120 ms after the decision; slippage 1 point against you.",
            "Bars are stamped at their open, by the server's clock Europe/Athens (found from the weekend gap).",
            "A stop inside an M1 bar fills at its own price; over a gap it fills at the open.",
        ],
        warnings=[
            "3 gaps of more than 10 minutes inside the sessions: 2024-03-28 14:02, 2024-07-04 17:30, 2024-11-05 09:11"
        ],
        data=[
            {
                "listing": LISTING,
                "format": "MT5 bars",
                "files": ["EURUSD_M1.csv"],
                "rows": bars * minutes,
                "ticks": synthetic,
                "from_ms": START_MS,
                "to_ms": end_ms,
                "zone": "Europe/Athens",
                "stamp": "open",
                "digits": 5,
                "gaps": 3,
                "real_share": 0.0,
                "spread": "profile",
                "broken": {"crossed": 2},
            }
        ],
        from_ms=START_MS,
        to_ms=end_ms,
        trades=maker.trades(),
        equity_ms=at,
        balance=balance,
        equity=equity,
        margin=margin,
        charts=[Chart(listing=LISTING, timeframe=timeframe, digits=5, bars=table, lines=lines)],
        signals={"ENTER": len(maker.rows) + 4, "EXIT": 0, "LEVELS": 0},
        refused={"spread above its limit": 3, "expired": 1},
        open_positions=1,
        decided=maker.decided if records else (),
        journal=maker.journal if records else (),
        digests={
            "signals": "aa" * 32,
            "orders": "bb" * 32,
            "fills": "cc" * 32,
            "risk": "dd" * 32,
            "portfolio": "ee" * 32,
        },
        seconds={"data": 0.42, "signals": 0.11, "account": 0.31},
        complete=complete,
        manifest={
            "strategy": {"name": "ema_cross", "parameters": {"fast": fast, "slow": slow}},
            "versions": {"tickledger": "0.1.0"},
        },
    )


def walk(bars: int, minutes: int, seed: int, drift: float) -> np.ndarray[Any, np.dtype[np.void]]:
    """Bars of a random walk with trends and quiet nights, by a server clock of UTC+2."""
    rng = np.random.default_rng(seed)
    week = 5 * 24 * 60 // minutes
    index = np.arange(bars)
    open_ms = START_MS + (index // week * 7 * 24 * 60 + index % week * minutes) * 60_000
    hour = (open_ms // 3_600_000 + 2) % 24
    size = 1.1e-4 * np.sqrt(minutes) * (0.5 + 0.9 * np.exp(-(((hour - 15) / 5.0) ** 2)))
    trend = np.repeat(rng.normal(0, 0.12, bars // 90 + 1), 90)[:bars] + drift
    close = 1.10 + np.cumsum((rng.standard_normal(bars) + trend) * size)
    first = np.concatenate(([1.10], close[:-1])) + rng.normal(0, 1e-5, bars)
    high = np.maximum(first, close) + np.abs(rng.normal(0, 0.6, bars)) * size
    low = np.minimum(first, close) - np.abs(rng.normal(0, 0.6, bars)) * size
    table = np.zeros(bars, BAR_DTYPE)
    table["time_ms"], table["server_offset_s"] = open_ms, 7_200
    for name, values in (("open", first), ("high", high), ("low", low), ("close", close)):
        table[name] = values.round(5)
    table["ask_close"] = (table["close"] + SPREAD * POINT).round(5)
    table["ticks"], table["spread_mean"], table["complete"] = 4 * minutes, SPREAD, 1
    table["first_n"] = index * 4 * minutes
    table["last_n"] = table["proof_n"] = table["first_n"] + 4 * minutes - 1
    return table


@dataclass
class _Maker:
    """Turns entries and exits into everything that a run has of them."""

    bars: np.ndarray[Any, np.dtype[np.void]]
    minutes: int
    lots: float
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    spans: list[tuple[int, int, int, float]] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    journal: list[JournalRow] = field(default_factory=list)

    def trade(self, i: int, j: int, side: int, stop: float, price_out: float, reason: ExitReason) -> None:
        """Entered at bar i's end, left during bar j; stop is a distance."""
        bars, k = self.bars, len(self.rows)
        worth = self.lots * 100_000
        entry_ms = int(bars["time_ms"][i]) + self.minutes * 60_000 + 1_120
        exit_ms = int(bars["time_ms"][j]) + self.minutes * 30_000
        price_in = round(float(bars["close"][i]) + (SPREAD * POINT if side > 0 else 0.0) + side * POINT, 5)
        price_out = round(price_out + (0 if side > 0 else SPREAD * POINT), 5)
        gross = round((price_out - price_in) * side * worth, 2)
        commission = round(6.0 * self.lots, 2)
        nights = (exit_ms + 7_200_000) // 86_400_000 - (entry_ms + 7_200_000) // 86_400_000
        swap = round(nights * self.lots * (4.1 if side > 0 else -1.2), 2)
        inside = bars[i + 1 : j + 1]
        best = max(float(inside["high"].max()) - price_in if side > 0 else price_in - float(inside["low"].min()), 0.0)
        worst = min(float(inside["low"].min()) - price_in if side > 0 else price_in - float(inside["high"].max()), 0.0)
        if reason in (ExitReason.STOP, ExitReason.TRAIL):
            worst = max(worst, -stop * 1.02)
        spread, slip = round(SPREAD * POINT * worth, 2), round(POINT * worth, 2)
        entry_n, exit_n = int(bars["proof_n"][i]) + 1, int(bars["first_n"][j]) + 2
        net = gross - commission - swap
        self.rows.append(
            (
                entry_ms,
                price_in,
                exit_ms,
                price_out,
                side,
                self.lots,
                round(net, 2),
                gross,
                commission,
                swap,
                spread,
                slip,
                round(worst * worth, 2),
                round(best * worth, 2),
                round(stop * worth, 2),
                1_000 + 2 * k,
                500 + k,
                entry_n,
                exit_n,
                k,
                reason.value,
                "ema_cross",
                LISTING,
            )
        )
        self.spans.append((i, j, side, price_in))
        self._records(k, i, self.rows[-1], stop)

    def trades(self) -> np.ndarray[Any, np.dtype[np.void]]:
        return np.array(self.rows, TRADE_DTYPE)

    def curve(self, start: float) -> tuple[Any, Any, Any, Any]:
        """Equity at each bar's end while something is open, and at each exit."""
        worth = self.lots * 100_000
        at, balance, equity, margin = [], [], [], []
        cash = start
        for row, (i, j, side, price) in zip(self.rows, self.spans, strict=True):
            inside = self.bars[i + 1 : j]
            floating = (inside["close"] - price) * side * worth
            at.append(np.concatenate((inside["time_ms"] + self.minutes * 60_000, [row[2]])))
            balance.append(np.concatenate((np.full(len(inside), cash), [cash + row[6]])))
            equity.append(np.concatenate((cash + floating.round(2), [cash + row[6]])))
            margin.append(np.concatenate((np.full(len(inside), worth * price / 100), [0.0])))
            cash += row[6]
        if not at:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0)
        return np.concatenate(at), np.concatenate(balance), np.concatenate(equity), np.concatenate(margin)

    def _records(self, k: int, i: int, row: tuple[Any, ...], stop: float) -> None:
        entry_ms, price_in, exit_ms, price_out, side = row[:5]
        word = Side.LONG if side > 0 else Side.SHORT
        other = Side.SHORT if side > 0 else Side.LONG
        order, position, entry_n, exit_n = row[15:19]
        bid, ask = float(self.bars["close"][i]), float(self.bars["ask_close"][i])
        signal_ms = entry_ms - 1_120
        decided_us = (signal_ms + 1_000) * 1_000
        reason = ExitReason(row[20])
        cause: dict[str, Any] = {"signal_operator": "ema_cross@4", "signal_listing": LISTING, "signal_seq": k}
        seq = iter(range(k * 4, k * 4 + 4))

        def us(**more: Any) -> dict[str, Any]:
            return {
                "operator": "desk@1",
                "account": "backtest",
                "ref_no": 4,
                "instance": "ema_cross",
                "listing": LISTING,
                **more,
            }

        signal = Signal(
            operator="ema_cross@4",
            listing=LISTING,
            out_seq=k,
            ref_no=4,
            kind=SignalKind.ENTER,
            side=word,
            time_ms=signal_ms,
            n=entry_n - 1,
            from_n=0,
            bid=bid,
            ask=ask,
            valid_for_ms=60_000,
            entry_type=EntryType.MARKET,
            stop_distance=stop,
            max_hold_ms=0,
            on_opposite=OnOpposite.REVERSE,
            cooldown_ms=0,
            strength=0.0,
            model="",
            message="",
            key_id="",
            mac=MAC,
        )
        self.journal.append(entry(len(self.journal), decided_us, f"signals/ema_cross@4/{LISTING}", k, encode(signal)))
        self.decided += [
            RiskDecision(
                **us(out_seq=k, taken_us=decided_us),
                **cause,
                side=word,
                asked=row[5],
                allowed=row[5],
                verdict="PASS",
                checks=("volume", "stops level", "spread", "margin level", "open positions"),
                limits=(100.0, 0.0, 20.0, float("nan"), 5.0),
                measured=(row[5], round(stop / POINT, 1), float(SPREAD), 1843.2, 0.0),
                units=("lots", "points", "points", "%", "positions"),
                verdicts=("PASS", "PASS", "PASS", "NONE", "PASS"),
                equity=Decimal("10000"),
                margin=Decimal(0),
            ),
            Submitted(
                **us(out_seq=next(seq), taken_us=decided_us),
                **cause,
                order_no=order,
                purpose=OrderPurpose.ENTRY,
                type=OrderType.MARKET,
                side=word,
                volume=row[5],
                sl=round(price_in - side * stop, 5),
                position=0,
                valid_until_us=decided_us + 60_000_000,
                expires_ms=0,
                reason=ExitReason.NONE,
                retry=0,
                decision_n=entry_n - 1,
                decision_bid=bid,
                decision_ask=ask,
                key_id="",
                mac=MAC,
            ),
            _fill(
                us(out_seq=2 * k, taken_us=entry_ms * 1_000),
                cause,
                order,
                position,
                word,
                DealEntry.IN,
                ExitReason.NONE,
                row,
                price_in,
                entry_ms,
                entry_n,
            ),
            ModifyRequested(
                **us(out_seq=next(seq), taken_us=entry_ms * 1_000 + 1),
                order_no=order,
                position=position,
                sl=round(price_in - side * stop, 5),
                reason=ExitReason.STOP,
                key_id="",
                mac=MAC,
            ),
            PositionChanged(
                **us(out_seq=3 * k, taken_us=entry_ms * 1_000),
                position=position,
                order_no=order,
                side=word,
                volume=row[5],
                price=price_in,
                realized=Decimal(0),
                opened_us=entry_ms * 1_000,
                cause="fill",
            ),
            _fill(
                us(out_seq=2 * k + 1, taken_us=exit_ms * 1_000),
                cause,
                order,
                position,
                other,
                DealEntry.OUT,
                reason,
                row,
                price_out,
                exit_ms,
                exit_n,
            ),
            PositionChanged(
                **us(out_seq=3 * k + 1, taken_us=exit_ms * 1_000),
                position=position,
                order_no=order,
                side=word,
                volume=0.0,
                price=price_in,
                realized=Decimal(str(row[7])),
                opened_us=entry_ms * 1_000,
                cause="fill",
            ),
            PnlAttributed(
                **us(out_seq=3 * k + 2, taken_us=exit_ms * 1_000),
                order_no=order,
                position=position,
                side=word,
                volume=row[5],
                opened_us=entry_ms * 1_000,
                closed_us=exit_ms * 1_000,
                entry_price=price_in,
                exit_price=price_out,
                reason=reason,
                gross=Decimal(str(round(row[7] + row[10] + row[11], 2))),
                spread=-Decimal(str(row[10])),
                slippage=-Decimal(str(row[11])),
                commission=-Decimal(str(row[8])),
                swap=-Decimal(str(row[9])),
                net=Decimal(str(row[6])),
            ),
        ]


def entry(seq: int, taken_us: int, stream: str, stream_seq: int, value: bytes) -> JournalRow:
    """An entry of the journal that carries `value`."""
    made = JournalEntry(
        kind=EntryKind.INPUT,
        source=JournalSource.BACKTEST,
        account="backtest",
        epoch=1,
        nonce=bytes(8),
        seq=seq,
        taken_us=taken_us,
        stream=stream,
        stream_seq=stream_seq,
        input=value,
        clock_names=(),
        clock_us=(),
        clock_listing=(),
        clock_n=(),
        clock_time_ms=(),
        clock_bid=(),
        clock_ask=(),
        clock_quality=(),
        clock_watermark_ms=(),
        mark_streams=(),
        mark_seqs=(),
        key_id="",
        prev=MAC,
        mac=MAC,
    )
    return JournalRow(seq, taken_us, "INPUT", stream, stream_seq, encode(made))


def _fill(
    us: dict[str, Any],
    cause: dict[str, Any],
    order: int,
    position: int,
    side: Side,
    kind: DealEntry,
    reason: ExitReason,
    row: tuple[Any, ...],
    price: float,
    time_ms: int,
    n: int,
) -> Fill:
    half = Decimal(str(row[10])) / 2
    return Fill(
        **us,
        **cause,
        order_no=order,
        deal=2 * position + (kind is DealEntry.OUT),
        position=position,
        side=side,
        entry=kind,
        reason=reason,
        volume=row[5],
        price=price,
        time_ms=time_ms,
        n=n,
        bid=price,
        ask=round(price + SPREAD * POINT, 5),
        decision_price=round(price - POINT, 5),
        slippage_points=1.0,
        spread_points=float(SPREAD),
        commission=-Decimal(str(row[8])) / 2,
        swap=Decimal(0) if kind is DealEntry.IN else -Decimal(str(row[9])),
        profit=Decimal(0) if kind is DealEntry.IN else Decimal(str(row[7])),
        spread_cost=half,
        slippage_cost=Decimal(str(row[11])) / 2,
    )


def _ema(x: Any, n: int) -> Any:
    found, value = np.empty(len(x)), float(x[0])
    for i, one in enumerate(x.tolist()):
        value += 2.0 / (n + 1) * (one - value)
        found[i] = value
    return found


def _trade(maker: _Maker, fast: Any, slow: Any, warm: int) -> None:
    bars = maker.bars
    above = fast > slow
    crossed = [i for i in (np.flatnonzero(above[1:] != above[:-1]) + 1).tolist() if i >= warm]
    wide = np.convolve(bars["high"] - bars["low"], np.full(14, 1 / 14))[: len(bars)]
    for i, after in zip(crossed, [*crossed, len(bars) - 1][1:], strict=True):
        side = 1 if above[i] else -1
        stop = round(2.5 * float(wide[i]), 5)
        level = float(bars["close"][i]) - side * stop
        reached = bars["low"][i + 1 : after + 1] <= level if side > 0 else bars["high"][i + 1 : after + 1] >= level
        at = np.flatnonzero(reached)
        if after <= i + 1:
            continue
        if len(at):
            maker.trade(i, i + 1 + int(at[0]), side, stop, level, ExitReason.STOP)
        else:
            reason = ExitReason.END if after == len(bars) - 1 else ExitReason.OPPOSITE
            maker.trade(i, after, side, stop, float(bars["close"][after]), reason)
