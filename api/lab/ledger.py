"""What a run did, gathered while it runs: trades with how far they went, equity, counts, digests."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from agents.money import Rates, exact, profit
from agents.signals import FAILED, KINDS
from api.lab.run import TRADE_DTYPE, Doubles, Longs
from schemas.events import Derived, ListingSpec, Side
from schemas.executions import DealEntry, OrderState
from schemas.identity import split_operator
from schemas.registry import decided_part, decision_bytes, encode, schemas
from schemas.trading import Decided, Denied, EquityMarked, ExitReason, Fill, OrderChanged, PnlAttributed, Submitted
from streams.backtest.quotes import Quotes, extremes
from streams.fold import Output
from streams.operators.marks import MARK_DTYPE, Marks

UNIT: Final = 10**8
"""Marks count money in parts of this."""


_KEPT: Final = (
    "trades", "decided", "bars", "signals", "refused", "signal_rows", "_held", "_orders", "_marks", "_failures",
    "_fills", "_streams", "_sums", "_exit_n", "_balance",
)  # fmt: skip


class Sum:
    """A digest of records in order, that can be kept and gone on from: each record's after the digest before it."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = bytes(32)

    def add(self, data: bytes) -> None:
        """The next record."""
        self.state = hashlib.sha256(self.state + data).digest()

    def hex(self) -> str:
        """The digest so far."""
        return self.state.hex()


@dataclass(slots=True)
class Held:
    """A position while it is open: `unit` is what a move of 1.0 in price makes, account's currency."""

    side: int
    price: float
    unit: float
    entry_n: int
    signal_seq: int
    lots: float
    risk: float
    low: float = np.inf
    high: float = -np.inf


class Ledger:
    """The gatherer of one run. `keep`: whether all that was decided is kept, and its digests are made."""

    def __init__(self, specs: Mapping[str, ListingSpec], rates: Rates, keep: bool = True) -> None:
        self._specs, self._rates, self._keep = specs, rates, keep
        self.trades: list[tuple[Any, ...]] = []
        self.decided: list[Decided] = []
        self.bars: dict[str, list[Any]] = {}
        self.signals: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.signal_rows: dict[str, list[Any]] = {}
        self._held: dict[str, dict[int, Held]] = {listing: {} for listing in specs}
        self._orders: dict[int, Submitted] = {}
        self._marks: list[Marks] = []
        self._failures: list[str] = []
        self._fills: list[tuple[int, float, float]] = []
        self._streams: dict[tuple[str, str], Sum] = {}
        self._sums: dict[str, Sum] = {}
        self._exit_n: dict[int, int] = {}
        self._balance = 0.0

    def output(self, output: Output) -> None:
        """Takes what the operators made."""
        if output.topic == "bars":
            self.bars.setdefault(output.listing, []).append(output.columns)
            return
        kinds, counts = np.unique(output.columns["kind"], return_counts=True)
        for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True):
            self.signals[str(KINDS[kind])] += count
            if kind == FAILED:
                for row in output.columns[output.columns["kind"] == FAILED]:
                    instance, said = split_operator(output.operator)[0], row["message"].decode(errors="replace")
                    place = f"{output.listing} at tick {int(row['n']):,}"
                    self._failures.append(f"{instance} failed on {place} and said nothing after it: {said}")
        if self._keep:
            self.signal_rows.setdefault(output.listing, []).append(output.columns)

    def signalled(self, records: Sequence[Derived]) -> list[bytes | None]:
        """Takes the signals as records, and gives their encodings where they were needed."""
        if not self._keep:
            return [None] * len(records)
        values = list(map(encode, records))
        for record, value in zip(records, values, strict=True):
            stream = split_operator(record.operator)[0], record.listing
            digest = self._streams.get(stream)
            if digest is None:
                digest = self._streams[stream] = Sum()
            data = decided_part(value, record)
            digest.add(data)
        return list(values)

    def failures(self) -> list[str]:
        """What strategies raised, in words: each said nothing more of its listing from there on."""
        return list(self._failures)

    def decide(self, one: Decided | Marks) -> None:
        """Takes what the desk decided."""
        if isinstance(one, np.ndarray):
            self._marks.append(one)
            return
        kind = type(one)
        if kind is EquityMarked:
            raise TypeError("equity comes in columns")
        if self._keep:
            self.decided.append(one)
            value = decision_bytes(one)
            topic = self._sums.setdefault(schemas()[kind.__name__].topic, Sum())
            topic.add(value)
        take = _TAKEN.get(kind)
        if take is not None:
            take(self, one)

    def moved(self, quotes: Quotes, end: int) -> None:
        """Ticks from the cursor to `end` pass: open positions of the listing have seen their prices."""
        held = self._held[quotes.listing]
        if not held:
            return
        window = quotes.front
        assert window is not None
        block = window.block
        low_bid, high_bid, low_ask, high_ask = extremes(block.bid, block.ask, block.quality, quotes.at, end)
        for one in held.values():
            one.low = min(one.low, low_bid if one.side > 0 else low_ask)
            one.high = max(one.high, high_bid if one.side > 0 else high_ask)

    @property
    def open_positions(self) -> int:
        """Positions that are open now."""
        return sum(map(len, self._held.values()))

    def table(self) -> Any:
        """The trades: TRADE_DTYPE."""
        return np.array(self.trades, TRADE_DTYPE)

    def equity(self, start_ms: int, balance: float) -> tuple[Longs, Doubles, Doubles, Doubles]:
        """(time, balance, equity, margin) from the start on, at whole minutes and closings, ascending."""
        # As bytes: joining many arrays of records promotes their fields pair by pair.
        marks = np.frombuffer(b"".join([rows.tobytes() for rows in self._marks]), MARK_DTYPE)
        fills = np.array(self._fills, np.float64).reshape(-1, 3)
        time = np.concatenate(([start_ms], marks["minute_ms"], fills[:, 0].astype(np.int64)))
        columns = [
            np.concatenate(([start], marks[name] / UNIT, own))
            for name, start, own in (
                ("balance", balance, fills[:, 1]),
                ("equity", balance, fills[:, 2]),
                ("margin", 0.0, np.zeros(len(fills))),
            )
        ]
        order = np.argsort(time, kind="stable")
        return time[order], columns[0][order], columns[1][order], columns[2][order]

    def digests(self) -> dict[str, str]:
        """SHA-256 of the decision bytes by topic; `equity` of the marks' columns."""
        found = {topic: self._sums[topic].hex() for topic in sorted(self._sums)}
        signals = hashlib.sha256()
        for instance, listing in sorted(self._streams):
            signals.update(f"{instance} {listing} {self._streams[instance, listing].hex()}\n".encode())
        marks = hashlib.sha256()
        for rows in self._marks:
            marks.update(rows.tobytes())
        return found | {"signals": signals.hexdigest(), "equity": marks.hexdigest()}

    def dump(self) -> dict[str, Any]:
        """All that was gathered, to go on from."""
        return {name: getattr(self, name) for name in _KEPT}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Goes on from a dump."""
        for name in _KEPT:
            setattr(self, name, kept[name])

    def start(self, balance: Decimal) -> None:
        """The balance before the first trade."""
        self._balance = float(balance)

    def _submitted(self, order: Submitted) -> None:
        self._orders[order.order_no] = order

    def _denied(self, denied: Denied) -> None:
        self.refused[denied.code] += 1

    def _changed(self, change: OrderChanged) -> None:
        if change.state in (OrderState.REJECTED, OrderState.EXPIRED, OrderState.DENIED):
            self.refused[change.cause.partition(":")[0] or str(change.state).lower()] += 1

    def _filled(self, fill: Fill) -> None:
        positions = self._held[fill.listing]
        if fill.entry is not DealEntry.IN:
            self._exit_n[fill.position] = fill.n
            return
        spec = self._specs[fill.listing]
        unit = float(profit(spec, Side.LONG, fill.volume, 0.0, 1.0, self._rates))
        order = self._orders.get(fill.order_no)
        risk = np.nan
        if order is not None and order.sl is not None:
            decided = order.price
            if decided is None:
                decided = order.decision_ask if fill.side is Side.LONG else order.decision_bid
            risk = abs(decided - order.sl) * unit
        held = positions.get(fill.position)
        if held is None:
            sign = 1 if fill.side is Side.LONG else -1
            held = Held(sign, fill.price, unit, fill.n, fill.signal_seq, fill.volume, risk)
            positions[fill.position] = held
            held.low = held.high = fill.bid if sign > 0 else fill.ask
        else:
            whole = float(exact(held.lots) + exact(fill.volume))
            held.price = (held.price * held.lots + fill.price * fill.volume) / whole
            held.lots, held.unit, held.risk = whole, held.unit + unit, held.risk + risk

    def _closed(self, one: PnlAttributed) -> None:
        held = self._held[one.listing].get(one.position)
        mae = mfe = 0.0
        risk, entry_n, signal_seq = np.nan, -1, -1
        if held is not None:
            share = one.volume / held.lots if held.lots else 0.0
            worst, best = (held.low, held.high) if held.side > 0 else (held.high, held.low)
            mae = min((worst - held.price) * held.side * held.unit * share, 0.0)
            mfe = max((best - held.price) * held.side * held.unit * share, 0.0)
            risk, entry_n, signal_seq = held.risk * share, held.entry_n, held.signal_seq
            left = float(exact(held.lots) - exact(one.volume))
            if left <= 0.0:
                del self._held[one.listing][one.position]
            else:
                held.unit, held.risk, held.lots = held.unit * (1 - share), held.risk * (1 - share), left
        net = float(one.net)
        self._balance += net
        if not any(self._held.values()):
            self._fills.append((one.closed_us // 1000, self._balance, self._balance))
        self.trades.append(
            (
                one.opened_us // 1000,
                one.entry_price,
                one.closed_us // 1000,
                one.exit_price,
                1 if one.side is Side.LONG else -1,
                one.volume,
                net,
                float(one.net - one.commission - one.swap),
                float(-one.commission),
                float(one.swap),
                float(-one.spread),
                float(-one.slippage),
                mae,
                mfe,
                risk,
                one.order_no,
                one.position,
                entry_n,
                self._exit_n.get(one.position, -1),
                signal_seq,
                "end" if one.reason is ExitReason.UNKNOWN else str(one.reason).lower(),
                one.instance,
                one.listing,
            )
        )


_TAKEN: Final[Mapping[type, Callable[[Ledger, Any], None]]] = {
    Submitted: Ledger._submitted,
    Denied: Ledger._denied,
    OrderChanged: Ledger._changed,
    Fill: Ledger._filled,
    PnlAttributed: Ledger._closed,
}
"""What is gathered of each kind of record."""
