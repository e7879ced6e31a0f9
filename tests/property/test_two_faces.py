"""One venue, two faces: the same requests on the same ticks give the laboratory and the terminal the same deals."""

from __future__ import annotations

import bisect
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.money import Quote
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from producers.terminal.module import Mt5Module
from producers.terminal.server import TradeServer
from schemas.configuration import MarginMode, PositionMode
from schemas.events import ListingSpec
from schemas.executions import Filled, PartiallyFilled
from streams.venue.lab import Venue
from streams.venue.model import VenueModel
from tests.property.test_venue import Scene, absolute, newest, scenes
from tests.unit.producers.terminal.trading import HandMarket, Symbol
from tests.unit.streams.venue.venues import BUY, EURUSD, LIMIT, MARKET, SELL, STOP, move, order, spec, take_back, venue

REASONS = {"EXPERT": 3, "SL": 4, "TP": 5, "SO": 6}
ENTRIES = {"IN": 0, "OUT": 1, "INOUT": 2}


def listing(scene: Scene) -> ListingSpec:
    rules = scene.rules
    return spec(
        stops_level=rules.stops_level, freeze_level=rules.freeze_level,
        commission_per_lot_side=rules.tenths_a_side / 10, swap_long=float(rules.swap_long),
        swap_short=float(rules.swap_short), margin_mode=MarginMode.CFD_LEVERAGE,
    )  # fmt: skip


class Laboratory:
    """The face that a backtest sees."""

    def __init__(self, scene: Scene, model: VenueModel) -> None:
        rules = scene.rules
        self.venue: Venue = venue(
            model,
            of=[listing(scene)],
            position_mode=PositionMode.NETTING if rules.netting else PositionMode.HEDGING,
            balance=Decimal(rules.balance) / 100,
            leverage=float(rules.leverage),
            margin_call_level=float(rules.call),
            stop_out_level=float(rules.out),
        )
        self.market = scene.market
        self.said: list[Any] = []

    @property
    def held(self) -> list[tuple[int, bool, int]]:
        return [(p.number, p.side is BUY, int(p.volume * 100)) for p in self.venue.positions]

    def ticks(self, start: int, end: int, last: Quote | None) -> None:
        index = start
        while self.venue.open and (index := self.venue.find(EURUSD, self.market, index, end)) < end:
            self.said += self.venue.apply(EURUSD, self.market, index)
            index += 1
        if last is not None:
            self.venue.quote(EURUSD, last)

    def ask(self, kind: str, at_us: int, no: int, a: dict[str, Any], last: Quote) -> None:
        if kind == "cancel":
            self.said += self.venue.cancel(at_us, take_back(no), last)
        elif kind == "modify":
            self.said += self.venue.modify(at_us, move(no, a["sl"], a["tp"], a["position"]), last)
        else:
            type = {"MARKET": MARKET, "LIMIT": LIMIT, "STOP": STOP}[a["type"]]
            request = order(
                no, BUY if a["buy"] else SELL, a["lots"] / 100, type, a["price"], position=a["position"],
                expires_ms=a["expires"], sl=a["sl"], tp=a["tp"],
            )  # fmt: skip
            self.said += self.venue.place(at_us, request, last)

    @property
    def deals(self) -> list[tuple[Any, ...]]:
        return [
            (
                d.order_no, d.position, d.time_ms, d.side is BUY, ENTRIES[d.entry], REASONS[d.reason], d.volume,
                d.price, float(d.commission), float(d.swap), float(d.profit),
            )
            for d in self.said
            if isinstance(d, Filled | PartiallyFilled)
        ]  # fmt: skip

    @property
    def money(self) -> tuple[float, ...]:
        return float(self.venue.balance), float(self.venue.equity), float(self.venue.margin)


class Terminal:
    """The face that a client of MetaTrader 5 sees, through the client module."""

    def __init__(self, scene: Scene, model: VenueModel) -> None:
        rules = scene.rules
        # Exchange execution: RETURN is allowed, as the laboratory has it.
        symbol = Symbol(listing(scene), trade_exemode=mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE)
        self.hand = HandMarket({EURUSD: symbol}, offset=0)
        netting = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING if rules.netting else mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        account = TradeAccount(
            balance=Decimal(rules.balance) / 100, leverage=rules.leverage, margin_mode=netting,
            margin_so_call=float(rules.call), margin_so_so=float(rules.out), limit_orders=0,
        )  # fmt: skip
        self.server = TradeServer(self.hand, account, model)
        self.first = self.server.engine.tickets
        self.market = scene.market
        self.mt5: Any = Mt5Module(self)
        self.mt5.initialize()

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        return True if name == "initialize" else getattr(self.server, name)(*args, **kwargs)

    @property
    def held(self) -> list[tuple[int, bool, int]]:
        return [(p.ticket, p.type == mt5.POSITION_TYPE_BUY, round(p.volume * 100)) for p in self.mt5.positions_get()]

    def ticks(self, start: int, end: int, last: Quote | None) -> None:
        if last is not None:
            self.hand.quotes[EURUSD] = last
        self.server.on_ticks(EURUSD, self.market, start, end)

    def ask(self, kind: str, at_us: int, no: int, a: dict[str, Any], last: Quote) -> None:
        self.hand.now = at_us
        levels = {} if kind == "cancel" else {"sl": a["sl"] or 0.0, "tp": a["tp"] or 0.0}
        pending = next((each for each in self.mt5.orders_get() if each.magic == no), None)
        if kind == "cancel":
            request = {"action": mt5.TRADE_ACTION_REMOVE, "order": 0 if pending is None else pending.ticket}
        elif kind == "modify" and a["position"]:
            request = {"action": mt5.TRADE_ACTION_SLTP, "position": a["position"], **levels}
        elif kind == "modify" and pending is not None:
            request = {
                "action": mt5.TRADE_ACTION_MODIFY, "order": pending.ticket, "price": pending.price_open,
                "type_time": pending.type_time, "expiration": pending.time_expiration, **levels,
            }  # fmt: skip
        elif kind == "modify":
            return
        else:
            type = {"MARKET": 0, "LIMIT": 2, "STOP": 4}[a["type"]] + (0 if a["buy"] else 1)
            request = {
                "action": mt5.TRADE_ACTION_PENDING if a["price"] else mt5.TRADE_ACTION_DEAL, "symbol": EURUSD,
                "magic": no, "type": type, "volume": a["lots"] / 100, "price": a["price"] or 0.0,
                "position": a["position"], "type_filling": mt5.ORDER_FILLING_RETURN,
                "type_time": mt5.ORDER_TIME_SPECIFIED if a["expires"] else mt5.ORDER_TIME_GTC,
                "expiration": a["expires"] // 1000, **levels,
            }  # fmt: skip
        assert self.mt5.order_send(request) is not None, self.mt5.last_error()

    @property
    def deals(self) -> list[tuple[Any, ...]]:
        return [
            (
                d.magic, d.position_id - self.first, d.time_msc, d.type == mt5.DEAL_TYPE_BUY, d.entry, d.reason,
                d.volume, d.price, d.commission, d.swap, d.profit,
            )
            for d in self.mt5.history_deals_get(0, 2**31 - 1)
            if d.type != mt5.DEAL_TYPE_BALANCE
        ]  # fmt: skip

    @property
    def money(self) -> tuple[float, ...]:
        account = self.mt5.account_info()
        return account.balance, account.equity, account.margin


def play(scene: Scene, face: Laboratory | Terminal, every: int) -> None:
    """All ticks, `every` so many at once, and the requests between them; time runs out at whole seconds only."""
    times, at = (scene.market.time_ms * 1000).tolist(), 0

    def passed(stop: int) -> None:
        nonlocal at
        while at < stop:
            end = min(at + every, stop)
            face.ticks(at, end, newest(scene.market, end))
            at = end

    for each in scene.asked:
        passed(bisect.bisect_right(times, each[0]))
        last = newest(scene.market, at)
        if last is None:
            continue
        kind, at_us, no, a = absolute(each, round(last.bid * 100_000), round(last.ask * 100_000), face.held)
        if a:
            a |= {name: None if a[name] is None else a[name] / 100_000 for name in ("sl", "tp", "price") if name in a}
            a["expires"] = -(-a.get("expires", 0) // 1000) * 1000
        face.ask(kind, at_us, no, a, last)
    passed(len(times))


@settings(max_examples=80, deadline=None)
@given(
    scenes(),
    st.sampled_from([0.0, 0.0, 0.4]),
    st.sampled_from([0.0, 3.0]),
    st.sampled_from([1, 7, 1000]),
)
def test_both_faces_make_the_same_deals(scene: Scene, share: float, jitter: float, every: int) -> None:
    model = VenueModel(
        slippage_points=float(scene.rules.slippage), slippage_jitter_points=jitter,
        max_deal_lots=scene.rules.largest / 100, partial_share=share, reject_share=share / 2, requote_share=share / 2,
    )  # fmt: skip
    laboratory, terminal = Laboratory(scene, model), Terminal(scene, model)
    play(scene, laboratory, 1_000)
    play(scene, terminal, every)
    assert terminal.deals == laboratory.deals
    assert terminal.money == laboratory.money
