"""The audit walk of every trade: from its fills to order, risk decision with its checks, signal and ticks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import fastavro

from api.lab.run import Run
from schemas.executions import DealEntry
from schemas.registry import PREFIX_BYTES, schemas
from schemas.trading import Fill, ModifyRequested, RiskDecision, Submitted

SIGNALS: Final = "signals"


def audit_walks(run: Run) -> list[dict[str, Any]]:
    """A walk for each trade, in the order of the trades; what isn't known is left out. Empty without records."""
    if not run.decided:
        return []
    fills: dict[int, list[Fill]] = {}
    orders: dict[int, Submitted] = {}
    stops: dict[int, list[ModifyRequested]] = {}
    risks: dict[tuple[str, str, int], RiskDecision] = {}
    for record in run.decided:
        if isinstance(record, Fill):
            fills.setdefault(record.position, []).append(record)
        elif isinstance(record, Submitted):
            orders[record.order_no] = record
        elif isinstance(record, ModifyRequested):
            stops.setdefault(record.position, []).append(record)
        elif isinstance(record, RiskDecision):
            risks[_cause(record)] = record
    signals = dict(_signals(run, {_cause(order) for order in orders.values()}))
    walks = []
    for position, exit_ms, order_no in _of(run, "position", "exit_ms", "order_no"):
        walk: dict[str, Any] = {}
        order = orders.get(order_no)
        deals = fills.get(position, [])
        walk["fills"] = [_fill(deal) for deal in deals if deal.entry is DealEntry.IN or deal.time_ms == exit_ms]
        # A stop or target filled at the venue names the opening order: it has no order of its own.
        out = [d.order_no for d in deals if d.time_ms == exit_ms and d.order_no != order_no and d.order_no in orders]
        if order is not None:
            walk["order"] = _order(order)
            risk, signal = risks.get(_cause(order)), signals.get(_cause(order))
            if risk is not None:
                walk["risk"] = _risk(risk)
            if signal is not None:
                walk["signal"] = _signal(signal)
        if out:
            walk["closing"] = _order(orders[out[0]])
        walk["stops"] = [[change.taken_us // 1000, change.sl, change.tp] for change in stops.get(position, [])]
        walks.append(walk)
    return walks


def _of(run: Run, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(run.trades[name].tolist() for name in names), strict=True)


def _cause(record: Submitted | RiskDecision) -> tuple[str, str, int]:
    return record.signal_operator, record.signal_listing, record.signal_seq


def _signals(run: Run, wanted: set[tuple[str, str, int]]) -> Iterator[tuple[tuple[str, str, int], dict[str, Any]]]:
    """The wanted signals, from the journal's entries that took them in."""
    numbers = {number for _, _, number in wanted}
    for row in run.journal:
        if row.stream_seq in numbers and row.stream.startswith(SIGNALS):
            signal = _read("Signal", _read("JournalEntry", row.value)["input"])
            key = (signal["operator"], signal["listing"], signal["out_seq"])
            if key in wanted:
                yield key, signal


def _read(name: str, value: bytes) -> dict[str, Any]:
    """A record that this process wrote, as its fields: there is nothing to check."""
    found: Any = fastavro.schemaless_reader(BytesIO(value[PREFIX_BYTES:]), schemas()[name].parsed, None)
    return dict(found)


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "entry": fill.entry.value,
        "side": fill.side.value,
        "order": fill.order_no,
        "deal": fill.deal,
        "ms": fill.time_ms,
        "n": fill.n,
        "price": fill.price,
        "bid": fill.bid,
        "ask": fill.ask,
        "decided": fill.decision_price,
        "slippage": round(fill.slippage_points, 3),
        "spread": round(fill.spread_points, 3),
        "lots": fill.volume,
        "commission": float(fill.commission),
        "swap": float(fill.swap),
        "profit": float(fill.profit),
        "reason": fill.reason.value,
    }


def _order(order: Submitted) -> dict[str, Any]:
    return {
        "no": order.order_no,
        "us": order.taken_us,
        "type": order.type.value,
        "side": order.side.value,
        "lots": order.volume,
        "price": order.price,
        "sl": order.sl,
        "tp": order.tp,
        "n": order.decision_n,
        "bid": order.decision_bid,
        "ask": order.decision_ask,
        "reason": order.reason.value,
        "retry": order.retry,
        "until": order.valid_until_us,
    }


def _risk(risk: RiskDecision) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return value if math.isfinite(value) else None

    checks = zip(risk.checks, risk.limits, risk.measured, risk.units, risk.verdicts, strict=True)
    return {
        "us": risk.taken_us,
        "asked": risk.asked,
        "allowed": risk.allowed,
        "verdict": risk.verdict,
        "equity": float(risk.equity),
        "margin": float(risk.margin),
        "checks": [
            [name, known(limit), known(measured), unit, verdict] for name, limit, measured, unit, verdict in checks
        ],
    }


def _signal(signal: dict[str, Any]) -> dict[str, Any]:
    return {
        "operator": signal["operator"],
        "seq": signal["out_seq"],
        "ref": signal["ref_no"],
        "ms": signal["time_ms"],
        "n": signal["n"],
        "from": signal["from_n"],
        "bid": signal["bid"],
        "ask": signal["ask"],
        "stop": signal["stop_distance"],
        "target": signal["target_distance"],
        "strength": signal["strength"],
        "model": signal["model"],
    }
