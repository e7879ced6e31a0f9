"""A gateway of one account at a simulated terminal in this process; its chain is kept in memory."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from infra.settings import TerminalSettings, TradeSettings
from producers.clocks import ServerClock
from producers.gateway.book import Book
from producers.gateway.gateway import FLOOR_S, Gateway
from producers.gateway.newest_ticks import Prevailing
from producers.gateway.spool import Spool
from producers.gateway.venue import Venue
from producers.terminal.account import TradeAccount
from producers.terminal.simulation import Simulation, in_process
from producers.terminal.ticks import Ticks
from schemas.configuration import AccountConfig, PositionMode
from schemas.events import Severity, Side
from schemas.executions import AccountOpen, Execution
from schemas.trading import CancelRequested, ExitReason, ModifyRequested, OrderPurpose, OrderType, Submitted
from tests.unit.streams.venue.venues import START_MS, account, order

LISTING = "t/EURUSD"
SECOND_US = 1_000_000
BUY, SELL = Side.LONG, Side.SHORT
SETTLE_S = 0.05
"""Short, since a test's market stands: then the settle time passes on the machine's clock."""


def falling(seconds: int = 600, step: float = 0.0001, start: float = 1.1000) -> Ticks:
    """A quote a second, a pip lower each time, with a spread of a point."""
    bid = np.round(start - step * np.arange(seconds), 5)
    time_ms = START_MS + 1_000 * np.arange(seconds, dtype=np.int64)
    return Ticks.of_quotes(time_ms, bid, np.round(bid + 0.00001, 5))


def flat(seconds: int = 600) -> Ticks:
    """A quote a second, always the same."""
    return falling(seconds, step=0.0)


class MemoryChain:
    """A chain in memory; `silent`: the log doesn't give anything back."""

    def __init__(self, clock: Any, since_ms: int, records: Iterable[Execution] = ()) -> None:
        self.book = Book()
        self.records: list[Any] = list(records)
        self.silent = False
        self._clock = clock
        opening: dict[str, Any] = {
            "epoch": 1,
            "nonce": b"",
            "seq": 0,
            "account": "a",
            "written_us": since_ms * 1000,
        }
        self.book.fold(AccountOpen(**opening, key_id="", prev=b"", mac=b""))
        for record in self.records:
            self.book.fold(record)

    def write(self, record: Execution) -> None:
        written = dataclasses.replace(record, written_us=self._clock.now_us())
        self.records.append(written)
        self.book.fold(written)

    def confirm(self, patience_s: float | None = None) -> bool:
        return not self.silent


class Told:
    """Alerts that were told."""

    def __init__(self) -> None:
        self.told: dict[tuple[str, str], str] = {}
        self.ever: list[tuple[str, str]] = []
        """Code and message of each, also of those that are over."""

    def tell(self, code: str, severity: Severity, about: str, message: str) -> None:
        if (code, about) not in self.told:
            self.told[code, about] = message
            self.ever.append((code, message))

    def over(self, code: str, about: str) -> None:
        self.told.pop((code, about), None)

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.told]


class MarketPrices:
    """The simulated market's own ticks, as if the log had them at once."""

    def __init__(self, ticks: Ticks) -> None:
        self.ticks = ticks
        self.known = True
        self.since = 0.0
        self.followed: list[str] = []

    def follow(self, listing: str) -> None:
        assert listing.startswith("t/")
        self.followed.append(listing)

    def at(self, listing: str, time_ms: int) -> Prevailing | None:
        index = int(np.searchsorted(self.ticks.time_ms, time_ms, "right")) - 1
        if index < 0 or not self.known:
            return None
        return Prevailing(index, float(self.ticks.bid[index]), float(self.ticks.ask[index]))

    def knows(self, listing: str, time_ms: int) -> bool:
        return self.known

    def since_s(self, listing: str) -> float:
        return self.since


class Room:
    """The terminal, the gateway and what it wrote. `restart` makes the gateway anew from its chain and the orders."""

    def __init__(
        self,
        home: Path,
        ticks: Ticks | None = None,
        *,
        position_mode: PositionMode = PositionMode.HEDGING,
        trade_account: TradeAccount | None = None,
        begin: bool = True,
        others: tuple[str, ...] = (),
        **terminal: Any,
    ) -> None:
        """`others`: symbols that there are beside EURUSD, whose quotes stay the same."""
        self.ticks = flat() if ticks is None else ticks
        mode: Literal["hedging", "netting"] = "netting" if position_mode is PositionMode.NETTING else "hedging"
        settings = TerminalSettings(latency_ms=0.0, position_mode=mode, **terminal)
        self.simulation: Simulation = in_process(
            {"EURUSD": self.ticks} | {name: flat() for name in others}, settings=settings, account=trade_account
        )
        self.control, self.clock = self.simulation.control, self.simulation.clock
        self.control.step(5 * SECOND_US)
        self.config: AccountConfig = account(position_mode=position_mode)
        self.trade = TradeSettings(account="a", settle_s=SETTLE_S, reconcile_s=0.02, poll_ms=10)
        self.settings = settings
        self.spool = Spool(home / "a.spool")
        self.prices = MarketPrices(self.ticks)
        self.orders: list[Any] = []
        self.chain = MemoryChain(self.clock, int(self.ticks.time_ms[0]))
        self.alarms = Told()
        self.mt5: Any = self.simulation.connect()
        self.mt5.initialize()
        if begin:
            self.restart()

    def restart(self) -> None:
        """A gateway that has nothing but the chain, the spool and `orders`."""
        self.chain = MemoryChain(self.clock, int(self.ticks.time_ms[0]), self.chain.records)
        self.alarms = Told()
        self.venue = Venue(self.simulation.connect(), self.settings, ServerClock("ny7"))
        self.venue.pin(self.venue.sign_in(), self.config)
        self.gateway = Gateway(
            self.config, self.trade, self.venue, self.chain, self.prices, self.alarms, self.clock, self.spool, _nothing
        )
        self.gateway.take_spooled()
        for request in self.orders:
            self.gateway.receive(request)
        self.gateway.begin()

    def ask(self, *requests: Any) -> None:
        """What the desk asks, in its order."""
        for request in requests:
            self.orders.append(request)
            self.gateway.receive(request)
        self.turns()

    def turns(self, least: int = 3, most: int = 400) -> None:
        """Turns until nothing waits, with whole reconciliations."""
        for count in range(most):
            self.gateway.turn()
            if count >= least and self.gateway.idle:
                return
            time.sleep(FLOOR_S)
        raise AssertionError("the gateway still has something to do")

    def step(self, seconds: float) -> None:
        """The market goes on, then the gateway looks."""
        self.control.step(int(seconds * SECOND_US))
        self.turns()

    @property
    def kinds(self) -> list[str]:
        """Names of the records of executions, in order."""
        return [type(record).__name__ for record in self.chain.records]

    def of(self, kind: type) -> list[Any]:
        """Records of a kind."""
        return [record for record in self.chain.records if isinstance(record, kind)]

    def terminal_deals(self) -> list[Any]:
        """All trading deals at the terminal."""
        return [deal for deal in self.mt5.history_deals_get(0, 2**31 - 1) if deal.type in (0, 1)]

    def close(self) -> None:
        self.simulation.close()


def entry(order_no: int, side: Side = BUY, volume: float = 0.1, **changed: Any) -> Submitted:
    """A market entry."""
    return order(order_no, side, volume, listing=LISTING, **changed)


def pending(order_no: int, type: OrderType, price: float, side: Side = BUY, **changed: Any) -> Submitted:
    """A limit or stop entry of 0.1 lots."""
    return order(order_no, side, 0.1, type, price, listing=LISTING, **changed)


def leave(order_no: int, position: int, side: Side = SELL, volume: float = 0.1) -> Submitted:
    """A market exit."""
    return order(
        order_no, side, volume, listing=LISTING, position=position, purpose=OrderPurpose.EXIT, reason=ExitReason.TIME
    )


def modify(order_no: int, position: int, sl: float | None, tp: float | None = None) -> ModifyRequested:
    return ModifyRequested(
        operator="desk@1", account="a", out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
        listing=LISTING, position=position, sl=sl, tp=tp, reason=ExitReason.NONE, key_id="", mac=bytes(16),
    )  # fmt: skip


def cancel(order_no: int) -> CancelRequested:
    return CancelRequested(
        operator="desk@1", account="a", out_seq=0, ref_no=1, taken_us=0, order_no=order_no, instance="i",
        listing=LISTING, reason=ExitReason.FLAT, key_id="", mac=bytes(16),
    )  # fmt: skip


def _nothing() -> None:
    """Beats for nobody."""
