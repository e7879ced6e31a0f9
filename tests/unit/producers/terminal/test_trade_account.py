"""The account, its positions and its history as a client of MetaTrader 5 sees them, tick by tick."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from agents.money import Quote
from infra.errors import BadFile
from producers.terminal import constants as mt5
from producers.terminal.account import TradeAccount
from schemas.configuration import SwapMode
from streams.venue.watch import Market as Columns
from tests.unit.producers.terminal.trading import EURGBP, EURUSD, OFFSET_S, Desk, Symbol
from tests.unit.streams.venue.venues import PATH, START_MS, spec

NOW_S = START_MS // 1000 + OFFSET_S
SELL = mt5.ORDER_TYPE_SELL
EVER = 0, 2**31 - 1


def test_a_fresh_account_has_its_balance_as_its_first_deal() -> None:
    desk = Desk(balance=Decimal("2500.50"), currency="EUR", login=77, name="N", server="S", company="C")
    info = desk.mt5.account_info()
    assert (info.balance, info.equity, info.margin_free, info.margin, info.margin_level) == (
        2500.5, 2500.5, 2500.5, 0.0, 0.0,
    )  # fmt: skip
    assert (info.login, info.currency, info.name, info.server, info.company) == (77, "EUR", "N", "S", "C")
    assert (info.trade_mode, info.margin_mode, info.leverage) == (0, mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING, 100)
    (deal,) = desk.mt5.history_deals_get(*EVER)
    assert (deal.type, deal.profit, deal.time, deal.symbol) == (mt5.DEAL_TYPE_BALANCE, 2500.5, NOW_S, "")
    assert desk.mt5.history_deals_get(NOW_S, NOW_S) == (deal,)
    assert desk.mt5.history_deals_get(NOW_S + 1, NOW_S + 9) == ()
    assert (desk.mt5.positions_get(), desk.mt5.orders_get(), desk.mt5.history_orders_get(*EVER)) == ((), (), ())
    assert desk.mt5.last_error() == (1, "Success")


def test_equity_follows_the_quotes() -> None:
    desk = Desk()
    desk.send(volume=1.0)
    desk.tick(1.0900, 1.0901)
    info = desk.mt5.account_info()
    assert (info.balance, info.profit, info.equity) == (10_000.0, -1010.0, 8_990.0)
    assert (info.margin, info.margin_free, info.margin_level) == (1100.1, 7889.9, 817.2)
    assert desk.mt5.positions_get()[0].price_current == 1.09


def test_commission_is_on_the_deals_and_the_realized_result_is_their_sum() -> None:
    desk = Desk(Symbol(spec(EURUSD, commission_per_lot_side=3.5)))
    opened = desk.send(volume=1.0)
    desk.tick(1.1020, 1.1021)
    assert desk.mt5.positions_get()[0].profit == 190.0
    desk.send(type=SELL, volume=1.0, position=opened.order)
    both = desk.mt5.history_deals_get(position=opened.order)
    assert [(d.entry, d.commission, d.profit, d.swap, d.fee) for d in both] == [
        (0, -3.5, 0.0, 0.0, 0.0), (1, -3.5, 190.0, 0.0, 0.0),
    ]  # fmt: skip
    assert desk.mt5.account_info().balance == 10_000.0 + 190.0 - 7.0


def test_swap_is_charged_at_midnight_of_the_servers_clock_and_booked_with_the_closing_deal() -> None:
    desk = Desk(Symbol(spec(EURUSD, swap_mode=SwapMode.POINTS, swap_long=-7.0)))
    opened = desk.send(volume=1.0)
    midnight_s = (NOW_S // 86_400 + 1) * 86_400
    desk.tick(1.1, 1.1001, after_s=midnight_s - NOW_S - 1)
    assert desk.mt5.positions_get()[0].swap == 0.0
    desk.tick(1.1, 1.1001)
    assert desk.mt5.positions_get()[0].swap == -21.0  # Wednesday's night counts three.
    desk.send(type=SELL, volume=1.0, position=opened.order)
    assert [deal.swap for deal in desk.mt5.history_deals_get(position=opened.order)] == [0.0, -21.0]


@pytest.mark.parametrize(
    ("bid", "reason", "comment", "profit"),
    [(1.0890, 4, "[sl 1.09000]", -111.0), (1.1210, 5, "[tp 1.12000]", 209.0)],
    ids=["stop", "target"],
)
def test_a_stop_and_a_target_act_at_the_triggering_tick_and_leave_an_order_of_their_own(
    bid: float, reason: int, comment: str, profit: float
) -> None:
    desk = Desk()
    opened = desk.send(sl=1.09, tp=1.12)
    desk.tick(1.0999, 1.1)
    desk.tick(bid, bid + 0.0001)
    entry, out = desk.mt5.history_deals_get(position=opened.order)
    assert (out.reason, out.comment, out.price, out.profit, out.entry) == (reason, comment, bid, profit, 1)
    assert (out.type, out.magic, out.time, out.position_id) == (mt5.DEAL_TYPE_SELL, 7, NOW_S + 2, opened.order)
    assert (entry.reason, entry.comment, entry.order) == (mt5.DEAL_REASON_EXPERT, "tl7", opened.order)
    (order,) = desk.mt5.history_orders_get(ticket=out.order)
    assert (order.reason, order.type, order.state, order.position_id) == (reason, SELL, 4, opened.order)
    assert desk.mt5.positions_get() == ()


def test_the_comment_of_a_stop_is_the_level_that_was_asked_for_last() -> None:
    desk = Desk()
    opened = desk.send(sl=1.09)
    desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.0950049)
    again = Desk()
    again.market.now, again.market.quotes = desk.market.now, dict(desk.market.quotes)
    again.server.load(desk.server.dump())
    for one in (desk, again):
        one.tick(1.0940, 1.0941)
        assert (one.deals()[-1].price, one.deals()[-1].comment) == (1.094, "[sl 1.09500]")


def test_an_order_that_a_path_fills_and_stops_within_a_tick_is_stopped_at_its_own_level() -> None:
    desk = Desk()
    desk.pend(1.09, sl=1.085)
    desk.tick(1.08, 1.0801, quality=PATH)
    entry, out = desk.deals()
    assert (entry.price, out.price, out.comment) == (1.09, 1.085, "[sl 1.08500]")


def test_on_a_netting_account_the_levels_are_those_of_the_newest_order_that_has_them() -> None:
    desk = Desk(margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    desk.send(sl=1.08, tp=1.2)
    desk.pend(1.095, sl=1.085)
    desk.tick(1.07, 1.0701, quality=PATH)
    assert [deal.comment for deal in desk.deals()] == ["tl7", "tl7", "[sl 1.08500]"]
    desk.tick(1.1, 1.1001)
    desk.send(sl=1.09)
    turned = desk.send(type=SELL, volume=0.2)
    desk.send(action=mt5.TRADE_ACTION_SLTP, position=turned.order, sl=1.11)
    desk.tick(1.1109, 1.1110)
    assert desk.deals()[-1].comment == "[sl 1.11000]"


def test_a_stop_out_closes_the_largest_loss_first_with_its_reason() -> None:
    desk = Desk(balance=Decimal(1_000))
    small, large = desk.send(volume=0.1), desk.send(volume=0.5)
    desk.tick(1.0872, 1.0873)
    assert [p.ticket for p in desk.mt5.positions_get()] == [small.order]
    deal = desk.deals()[-1]
    assert (deal.reason, deal.position_id, deal.comment) == (mt5.DEAL_REASON_SO, large.order, "[so 1.08720]")
    assert desk.mt5.history_orders_get(ticket=deal.order)[0].reason == mt5.ORDER_REASON_SO


def test_a_stop_on_a_path_between_bars_acts_at_its_own_price() -> None:
    desk = Desk()
    desk.send(sl=1.09)
    desk.tick(1.08, 1.0801, quality=PATH)
    assert desk.deals()[-1].price == 1.09


def test_broken_ticks_do_nothing() -> None:
    desk = Desk()
    desk.send(sl=1.09)
    desk.market.quotes[EURUSD] = Quote(1.1, 1.1001, 0)
    columns = Columns(
        1, OFFSET_S, np.array([START_MS + 1_000] * 2, np.int64), np.array([0.0, 1.1]), np.array([0.0, 1.1001]),
        np.array([2, 0], np.int32),
    )  # fmt: skip
    desk.server.on_ticks(EURUSD, columns, 0, 2)
    assert desk.mt5.positions_total() == 1


def test_ticks_matter_only_where_something_is_open_or_converts_it() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)), Symbol(spec("GBPUSD")))
    desk.market.quotes |= {EURGBP: Quote(0.85, 0.8501), "GBPUSD": Quote(1.3, 1.3001)}
    watched = [name for name in desk.market.symbols if desk.server.watches(name)]
    assert watched == []
    desk.send(symbol=EURGBP)
    watched = [name for name in desk.market.symbols if desk.server.watches(name)]
    assert watched == [EURGBP, "GBPUSD"]
    desk.tick(0.86, 0.8601, symbol=EURGBP)
    desk.tick(1.4, 1.4001, symbol="GBPUSD")
    assert desk.mt5.positions_get()[0].profit == 138.6  # 99 pounds, sold at the bid.


def test_time_stamps_are_the_servers_clock_in_whole_seconds_and_milliseconds() -> None:
    desk = Desk()
    desk.market.now += 1_234_567
    desk.send()
    deal = desk.deals()[0]
    assert (deal.time, deal.time_msc) == (NOW_S + 1, NOW_S * 1000 + 1_234)


# -- history -----------------------------------------------------------------------------------------------------------


def test_history_is_found_by_seconds_group_ticket_and_position() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)), rates=(("GBP", 1.25),))
    desk.market.quotes[EURGBP] = Quote(0.85, 0.8501)
    results = []
    for symbol in (EURUSD, EURGBP, EURUSD):
        desk.tick(1.1, 1.1001)
        results.append(desk.send(symbol=symbol))
    mt = desk.mt5
    assert [d.time for d in mt.history_deals_get(NOW_S + 2, NOW_S + 3)] == [NOW_S + 2, NOW_S + 3]
    assert mt.history_deals_total(NOW_S + 2, NOW_S + 3) == mt.history_orders_total(NOW_S + 2, NOW_S + 3) == 2
    assert [d.symbol for d in mt.history_deals_get(*EVER, group="*GBP*")] == [EURGBP]
    assert [o.symbol for o in mt.history_orders_get(*EVER, group="*,!EURGBP")] == [EURUSD, EURUSD]
    second = results[1]
    assert [d.order for d in mt.history_deals_get(ticket=second.order)] == [second.order]
    assert [o.ticket for o in mt.history_orders_get(position=second.order)] == [second.order]
    assert mt.history_deals_get(ticket=1) == mt.history_orders_get(ticket=1) == mt.history_deals_get(position=1) == ()
    assert [p.symbol for p in mt.positions_get(symbol=EURUSD)] == [EURUSD, EURUSD]
    assert [p.symbol for p in mt.positions_get(group="*GBP*")] == [EURGBP]
    assert mt.positions_get(ticket=second.order)[0].symbol == EURGBP
    assert mt.positions_get(ticket=1) == ()


def test_history_is_whole_when_the_servers_clock_goes_back_an_hour() -> None:
    desk = Desk()
    desk.market.now += 1_800_000_000
    desk.send()
    desk.market.now += 60_000_000
    desk.market.offset = OFFSET_S - 3600
    desk.send()
    times = [deal.time for deal in desk.deals()]
    assert times[1] == times[0] - 3600 + 60
    for time in times:
        assert [deal.time for deal in desk.mt5.history_deals_get(time, time)] == [time]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("*", "EURUSD USDJPY EURGBP"),
        ("EURUSD", "EURUSD"),
        ("*USD*,!*JPY*", "EURUSD"),
        ("*, !EUR", "USDJPY"),
        ("USD*,*GBP", "USDJPY EURGBP"),
        ("!*", ""),
        ("eur*", ""),
        ("E?R*", ""),
    ],
)
def test_a_group_is_masks_one_after_the_other(group: str, names: str) -> None:
    from producers.terminal.groups import in_group

    assert [name for name in ("EURUSD", "USDJPY", "EURGBP") if in_group(group, name)] == names.split()


# -- state -------------------------------------------------------------------------------------------------------------


def busy() -> Desk:
    desk = Desk()
    desk.send(sl=1.09)
    desk.pend(1.08, type_time=mt5.ORDER_TIME_SPECIFIED, expiration=NOW_S + 1000)
    desk.tick(1.1, 1.1001)
    closed = desk.send()
    desk.send(type=SELL, position=closed.order)
    return desk


def seen(desk: Desk) -> list[Any]:
    mt = desk.mt5
    return [
        mt.account_info(), mt.positions_get(), mt.orders_get(), mt.history_deals_get(*EVER),
        mt.history_orders_get(*EVER), mt.history_deals_get(position=mt.positions_get()[0].ticket),
    ]  # fmt: skip


def test_a_server_goes_on_from_its_dump() -> None:
    desk, again = busy(), Desk()
    kept = desk.server.dump()
    again.market.now, again.market.quotes = desk.market.now, dict(desk.market.quotes)
    again.server.load(kept)
    assert again.server.dump() == kept
    assert seen(again) == seen(desk)
    for one in (desk, again):
        one.tick(1.0790, 1.0791)
    assert seen(again)[0] == seen(desk)[0]
    assert again.deals() == desk.deals()
    assert [deal.reason for deal in again.deals()[-2:]] == [mt5.DEAL_REASON_SL, mt5.DEAL_REASON_EXPERT]
    assert again.send().order == desk.send().order


def test_every_change_of_the_dump_is_counted() -> None:
    desk = Desk()
    kept, counted = desk.server.dump(), desk.server.changes
    for act in (
        lambda: desk.send(sl=1.09),
        lambda: desk.pend(1.05),
        lambda: desk.tick(1.08, 1.0801),
    ):
        act()
        assert desk.server.dump() != kept
        assert desk.server.changes > counted
        kept, counted = desk.server.dump(), desk.server.changes
    assert desk.send(volume=0.0).retcode == 10014
    assert (desk.server.dump(), desk.server.changes) == (kept, counted)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept[:-5],
        lambda kept: b"[]",
        lambda kept: b"{}",
        lambda kept: json.dumps({**json.loads(kept), "version": 99}).encode(),
        lambda kept: json.dumps({**json.loads(kept), "login": 1}).encode(),
        lambda kept: json.dumps({**json.loads(kept), "venue": "?"}).encode(),
        lambda kept: json.dumps({**json.loads(kept), "orders": [{"ticket": 1}]}).encode(),
    ],
)
def test_a_state_that_cannot_be_read_is_said_to_be(spoil: Any) -> None:
    with pytest.raises(BadFile, match="the terminal's state"):
        Desk().server.load(spoil(busy().server.dump()))


def test_an_account_admits_its_own_login_and_password_only() -> None:
    account = TradeAccount(login=5, password="p", server="s")
    assert account.admits(5, "p", "s")
    assert account.admits(5, "p", "")
    assert not account.admits(5, "q", "s")
    assert not account.admits(6, "p", "s")
    assert not account.admits(5, "p", "another")
