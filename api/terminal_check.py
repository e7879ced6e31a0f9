"""The terminal against the log: deals, open positions and balance of one account, at the end of a played day.

While a market is open a deal may be at the terminal and not on the log yet: compare once all stands still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from infra.account_log import read_account
from producers.mt5 import Mt5, TerminalError, TradeDeal, TradePosition
from schemas.chains import Position
from schemas.configuration import ORDERS_EACH, AccountConfig
from schemas.events import Side
from schemas.executions import Filled, PartiallyFilled
from schemas.integrity import KeyRing
from streams.operators.desk import DeskState
from streams.operators.desk.state import Position as Held
from streams.report import Problem, Report

_BUY, _SELL = 0, 1
"""MT5's types of deals that trade; others are deposits, fees and the like."""
_SIDES: Final = {_BUY: Side.LONG, _SELL: Side.SHORT}
_PRICES: Final = frozenset({"price", "sl", "tp"})
_END_OF_TIME: Final = 2**31 - 1

Deal = Filled | PartiallyFilled


class AccountLog(NamedTuple):
    """What the log has of an account: its config, its deals by number, and its desk's state after the last entry."""

    config: AccountConfig
    deals: dict[int, Deal]
    state: DeskState | None


def read_log(bootstrap: str, keys: KeyRing, config: AccountConfig, state: DeskState | None) -> AccountLog:
    """The account as it is on the log. Raises Unreachable."""
    records, _ = read_account(bootstrap, keys, "executions", config.account, config.partition)
    return AccountLog(config, {r.deal: r for r in records if isinstance(r, Deal)}, state)


def check_terminal(mt5: Mt5, log: AccountLog, report: Report) -> None:
    """Adds to `report` what the terminal has otherwise than the log, and how much was compared.

    Every trading deal since the log's first one, and every one with a number of the account's own, must be on the log
    with its volume, price and money, and the other way round; so must the open positions, with listing, side, volume,
    opening price, stop and target, and the balance. Prices are compared within the symbol's digits. What the terminal
    doesn't answer is unverifiable.
    """
    try:
        deals = _asked(mt5, "history_deals_get", mt5.history_deals_get(0, _END_OF_TIME))
        positions = _asked(mt5, "positions_get", mt5.positions_get())
        account = _asked(mt5, "account_info", mt5.account_info())
    except TerminalError as error:
        report.unverifiable.append(f"the terminal of {log.config.account}: {error}")
        return
    report.terminal = {"deals": 0, "positions": 0}
    _check_deals(log, deals, report)
    if log.state is None:
        report.unverifiable.append(f"positions of {log.config.account} at the terminal: its journal can't be folded")
        return
    _check_positions(log, log.state, positions, report)
    first = min(log.deals, default=2**63)
    moved = sum((_money(d.profit, log) for d in deals if d.type not in _SIDES and d.ticket > first), Decimal(0))
    expected, found = log.state.balance + moved, _money(account.balance, log)
    if expected != found:
        report.add(_problem(log, "the balance is another one", f"balance={expected}", f"balance={found}"))


def _check_deals(log: AccountLog, deals: Iterable[TradeDeal], report: Report) -> None:
    first, there = min(log.deals, default=2**63), set[int]()
    base = log.config.order_base
    for deal in deals:
        if deal.type not in _SIDES:
            continue
        there.add(deal.ticket)
        known = log.deals.get(deal.ticket)
        found = _shown(log, deal)
        if known is None:
            if deal.ticket > first or base < deal.magic <= base + ORDERS_EACH:
                report.add(_problem(log, f"deal {deal.ticket} of the terminal is not on executions", "", found))
            continue
        assert report.terminal is not None
        report.terminal["deals"] += 1
        expected = (
            f"position={known.position}, listing={known.listing}, side={known.side}, volume={known.volume}, "
            f"price={known.price}, profit={_rounded(known.profit, log)}, "
            f"commission={_rounded(known.commission, log)}, swap={_rounded(known.swap, log)}"
        )
        if expected != found:
            report.add(_problem(log, f"deal {deal.ticket} is another one at the terminal", expected, found))
    for number in sorted(set(log.deals) - there):
        report.add(_problem(log, f"deal {number} of executions is not at the terminal", f"deal={number}", ""))


def _check_positions(log: AccountLog, state: DeskState, positions: Iterable[TradePosition], report: Report) -> None:
    there = {p.identifier: p for p in positions}
    known = {number: p for number, p in state.positions.items() if p.volume}
    for number in sorted(set(there) | set(known)):
        if number not in known:
            found = _told(_of_terminal(log, there[number]))
            report.add(_problem(log, f"position {number} of the terminal is not in the journal", "", found))
            continue
        ours = _of_journal(known[number])
        if number not in there:
            report.add(_problem(log, f"position {number} of the journal is not at the terminal", _told(ours), ""))
            continue
        assert report.terminal is not None
        report.terminal["positions"] += 1
        theirs = _of_terminal(log, there[number])
        differing = [
            name
            for name in ours
            if ours[name] != theirs[name] and not _near(ours[name], theirs[name], known[number].digits, name)
        ]
        if differing:
            reason = f"position {number} is another one at the terminal: {', '.join(differing)}"
            report.add(_problem(log, reason, _told(ours), _told(theirs)))


def _told(position: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in position.items())


def _of_journal(held: Held) -> dict[str, Any]:
    return {
        "listing": held.listing, "side": held.side, "volume": float(held.volume), "price": held.price,
        "sl": held.sl or "none", "tp": held.tp or "none",
    }  # fmt: skip


def _of_terminal(log: AccountLog, found: TradePosition) -> dict[str, Any]:
    return {
        "listing": f"{log.config.feed}/{found.symbol}", "side": _SIDES.get(found.type), "volume": found.volume,
        "price": found.price_open, "sl": found.sl or "none", "tp": found.tp or "none",
    }  # fmt: skip


def _near(ours: Any, theirs: Any, digits: int, name: str) -> bool:
    """Whether they are prices no more than half a point apart: a mean of several deals has more digits than a terminal
    may show."""
    prices = name in _PRICES and isinstance(ours, float) and isinstance(theirs, float)
    return prices and abs(ours - theirs) < 0.501 * 10.0**-digits


def _shown(log: AccountLog, deal: TradeDeal) -> str:
    return (
        f"position={deal.position_id}, listing={log.config.feed}/{deal.symbol}, side={_SIDES[deal.type]}, "
        f"volume={deal.volume}, price={deal.price}, profit={_money(deal.profit, log)}, "
        f"commission={_money(deal.commission, log) + _money(deal.fee, log)}, swap={_money(deal.swap, log)}"
    )


def _asked(mt5: Mt5, name: str, answer: Any) -> Any:
    if answer is None:
        code, text = mt5.last_error()
        raise TerminalError(f"{name} gave nothing: {code}, {text}", code, text)
    return answer


def _money(value: float, log: AccountLog) -> Decimal:
    return _rounded(Decimal(repr(float(value))), log)


def _rounded(value: Decimal, log: AccountLog) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-log.config.currency_digits))


def _problem(log: AccountLog, reason: str, expected: str, found: str) -> Problem:
    return Problem(Position("executions", log.config.partition, -1), log.config.account, reason, expected, found)
