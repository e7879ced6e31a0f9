"""Requests at the simulated trade server: what is done, and with which code the rest is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from agents.money import Quote
from producers.terminal import constants as mt5
from streams.venue.model import VenueModel
from tests.unit.producers.terminal.trading import EURGBP, EURUSD, OFFSET_S, Desk, Symbol
from tests.unit.streams.venue.venues import START_MS, spec

NOW_S = START_MS // 1000 + OFFSET_S
SELL, DONE = mt5.ORDER_TYPE_SELL, mt5.TRADE_RETCODE_DONE
FOK, IOC, RETURN, BOC = (
    mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC, mt5.ORDER_FILLING_RETURN, mt5.ORDER_FILLING_BOC,
)  # fmt: skip
BOTH = mt5.SYMBOL_FILLING_FOK | mt5.SYMBOL_FILLING_IOC
BY_REQUEST, INSTANT, BY_MARKET, EXCHANGE = range(4)


def refused(desk: Desk, result: Any, code: int, words: str) -> None:
    """Nothing but the code and the words, and nothing has happened."""
    assert (result.retcode, result.comment) == (code, words)
    assert (result.deal, result.order, result.volume, result.price, result.request_id) == (0, 0, 0.0, 0.0, 0)


# -- what is done ------------------------------------------------------------------------------------------------------


def test_a_market_order_fills_at_the_quote_and_says_so() -> None:
    desk = Desk()
    result = desk.send(sl=1.09, tp=1.12)
    assert (result.retcode, result.comment, result.request_id, result.retcode_external) == (
        DONE, "Request executed", 1, 0,
    )  # fmt: skip
    assert (result.volume, result.price, result.bid, result.ask) == (0.1, 1.1001, 1.1, 1.1001)
    (position,) = desk.mt5.positions_get()
    assert (position.ticket, position.identifier) == (result.order, result.order)
    assert (position.magic, position.comment, position.reason) == (7, "tl7", mt5.POSITION_REASON_EXPERT)
    assert (position.sl, position.tp, position.price_open, position.price_current) == (1.09, 1.12, 1.1001, 1.1)
    assert (position.profit, position.time, position.time_msc) == (-1.0, NOW_S, NOW_S * 1000)
    assert result.request.magic == 7


@pytest.mark.parametrize(("lots", "meant"), [(0.1 * 3, 0.3), (57 * 0.01, 0.57), (0.7 + 0.1, 0.8)])
def test_lots_are_taken_without_the_noise_of_floats(lots: float, meant: float) -> None:
    desk = Desk(balance=Decimal(100_000))
    assert lots != meant
    assert desk.mt5.order_check(desk.request(volume=lots)).retcode == 0
    result = desk.send(volume=lots)
    assert (result.retcode, result.volume, result.request.volume) == (DONE, meant, lots)
    (position,) = desk.mt5.positions_get()
    assert position.volume == meant
    assert desk.mt5.history_orders_get(ticket=result.order)[0].volume_initial == meant
    assert desk.pend(1.09, volume=lots).volume == meant
    assert desk.send(type=SELL, volume=lots, position=position.ticket).retcode == DONE
    assert desk.mt5.positions_get() == ()


def test_on_a_hedging_account_the_opposite_order_opens_a_position_and_a_named_one_closes() -> None:
    desk = Desk()
    first = desk.send()
    second = desk.send(type=SELL)
    assert desk.mt5.positions_total() == 2
    closed = desk.send(type=SELL, position=first.order, magic=9, comment="out")
    assert [p.ticket for p in desk.mt5.positions_get()] == [second.order]
    deal = desk.mt5.history_deals_get(ticket=closed.order)[0]
    assert (deal.entry, deal.position_id, deal.magic, deal.comment) == (1, first.order, 9, "out")
    assert (deal.profit, deal.price, deal.volume) == (-1.0, 1.1, 0.1)
    refused(desk, desk.send(type=SELL, position=first.order), 10036, "Position doesn't exist")


def test_a_part_of_a_position_is_closed() -> None:
    desk = Desk()
    opened = desk.send(volume=0.3)
    refused(desk, desk.send(type=SELL, position=opened.order, volume=0.4), 10038, "Invalid close volume")
    desk.tick(1.1, 1.1001)
    assert desk.send(type=SELL, position=opened.order, volume=0.1).volume == 0.1
    (position,) = desk.mt5.positions_get()
    assert (position.volume, position.time, position.time_update) == (0.2, NOW_S, NOW_S + 1)


def test_on_a_netting_account_deals_add_reduce_and_turn_over() -> None:
    desk = Desk(margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    opened = desk.send(volume=0.2)
    desk.tick(1.1010, 1.1011)
    desk.send(volume=0.2, magic=8)
    (position,) = desk.mt5.positions_get(symbol=EURUSD)
    assert (position.volume, position.price_open, position.magic) == (0.4, 1.1006, 7)
    desk.send(type=SELL, volume=0.1)
    turned = desk.send(type=SELL, volume=0.5, magic=9)
    (position,) = desk.mt5.positions_get()
    assert (position.type, position.volume, position.magic) == (mt5.POSITION_TYPE_SELL, 0.2, 9)
    assert (position.ticket, position.identifier) == (turned.order, opened.order)
    assert [deal.entry for deal in desk.mt5.history_deals_get(position=opened.order)] == [0, 0, 1, 2]
    assert desk.send(action=mt5.TRADE_ACTION_SLTP, symbol=EURUSD, sl=1.2).retcode == DONE
    assert desk.send(action=mt5.TRADE_ACTION_SLTP, position=turned.order, sl=1.3).retcode == DONE
    assert desk.send(volume=0.2, position=turned.order).retcode == DONE
    assert desk.mt5.positions_get() == ()


@pytest.mark.parametrize(
    ("type", "price", "bid", "ask", "filled"),
    [
        (mt5.ORDER_TYPE_BUY_LIMIT, 1.099, 1.0988, 1.0989, 1.0989),
        (mt5.ORDER_TYPE_SELL_LIMIT, 1.101, 1.1011, 1.1012, 1.1011),
        (mt5.ORDER_TYPE_BUY_STOP, 1.101, 1.1011, 1.1012, 1.1012),
        (mt5.ORDER_TYPE_SELL_STOP, 1.099, 1.0988, 1.0989, 1.0988),
    ],
)
def test_a_pending_order_waits_for_its_price(type: int, price: float, bid: float, ask: float, filled: float) -> None:
    desk = Desk()
    placed = desk.pend(price, type)
    assert (placed.retcode, placed.deal, placed.volume, placed.price) == (DONE, 0, 0.1, price)
    (order,) = desk.mt5.orders_get(ticket=placed.order)
    assert (order.state, order.type, order.price_open, order.magic) == (mt5.ORDER_STATE_PLACED, type, price, 7)
    assert (order.volume_initial, order.volume_current, order.position_id, order.time_done) == (0.1, 0.1, 0, 0)
    assert desk.mt5.orders_get(symbol=EURUSD) == desk.mt5.orders_get(group="EUR*") == (order,)
    assert desk.mt5.orders_get(symbol=EURGBP) == ()
    desk.tick(bid, ask)
    assert desk.mt5.orders_total() == 0
    (position,) = desk.mt5.positions_get()
    assert (position.ticket, position.price_open, position.type) == (placed.order, filled, type % 2)
    (done,) = desk.mt5.history_orders_get(ticket=placed.order)
    assert (done.state, done.volume_current, done.position_id) == (mt5.ORDER_STATE_FILLED, 0.0, placed.order)


def test_a_pending_order_is_modified_and_removed() -> None:
    desk = Desk()
    placed = desk.pend(1.09)
    change = {"action": mt5.TRADE_ACTION_MODIFY, "order": placed.order, "type_time": mt5.ORDER_TIME_SPECIFIED}
    result = desk.send(**change, price=1.091, sl=1.08, tp=1.2, expiration=NOW_S + 60)
    assert (result.retcode, result.order) == (DONE, placed.order)
    (order,) = desk.mt5.orders_get()
    assert (order.price_open, order.sl, order.tp) == (1.091, 1.08, 1.2)
    assert (order.type_time, order.time_expiration) == (mt5.ORDER_TIME_SPECIFIED, NOW_S + 60)
    again = desk.send(**change, price=1.091, sl=1.08, tp=1.2, expiration=NOW_S + 60)
    refused(desk, again, 10025, "No changes")
    refused(desk, desk.send(**change, price=1.2, expiration=NOW_S + 60), 10015, "Invalid price")
    refused(desk, desk.send(**change, price=1.091, sl=1.1, expiration=NOW_S + 60), 10016, "Invalid stops")
    refused(desk, desk.send(**change, price=1.091, expiration=NOW_S), 10022, "Invalid expiration")
    assert desk.mt5.orders_get() == (order,)
    removal = {"action": mt5.TRADE_ACTION_REMOVE, "order": placed.order}
    assert desk.send(**removal).order == placed.order
    refused(desk, desk.send(**removal), 10035, "Invalid order")
    (done,) = desk.mt5.history_orders_get(NOW_S, NOW_S)
    assert (done.state, done.volume_current) == (mt5.ORDER_STATE_CANCELED, 0.1)


def test_orders_of_one_magic_are_told_apart_by_their_tickets() -> None:
    desk = Desk()
    first, second = desk.pend(1.09), desk.pend(1.08)
    assert desk.send(action=mt5.TRADE_ACTION_REMOVE, order=second.order).retcode == DONE
    assert [order.ticket for order in desk.mt5.orders_get()] == [first.order]


def test_stop_and_target_are_moved_and_what_is_left_out_is_gone() -> None:
    desk = Desk()
    opened = desk.send(sl=1.09)
    desk.tick(1.1, 1.1001)
    moved = desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.095, tp=1.2)
    assert moved[:9] == (DONE, 0, 0, 0.0, 0.0, 0.0, 0.0, "Request executed", 2)
    (position,) = desk.mt5.positions_get()
    assert (position.sl, position.tp, position.time_update) == (1.095, 1.2, NOW_S + 1)
    refused(desk, desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.095, tp=1.2), 10025, "No changes")
    refused(desk, desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.2), 10016, "Invalid stops")
    refused(desk, desk.send(action=mt5.TRADE_ACTION_SLTP, position=4, sl=1.0), 10036, "Position doesn't exist")
    desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, tp=1.2)
    assert desk.mt5.positions_get()[0].sl == 0.0


def test_a_position_is_closed_by_an_opposite_one() -> None:
    desk = Desk()
    long, short = desk.send(volume=0.3), desk.send(type=SELL, volume=0.2, magic=8)
    desk.tick(1.15, 1.1501)
    request = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": long.order, "position_by": short.order, "magic": 9}
    assert desk.mt5.order_check(desk.request(**request)).retcode == 0
    result = desk.send(**request)
    assert (result.retcode, result.volume, result.price) == (DONE, 0.2, 1.1)
    (left,) = desk.mt5.positions_get()
    assert (left.ticket, left.volume) == (long.order, 0.1)
    both = desk.mt5.history_deals_get(ticket=result.order)
    assert [(d.entry, d.position_id, d.volume, d.profit) for d in both] == [
        (3, long.order, 0.2, -2.0), (3, short.order, 0.2, 0.0),
    ]  # fmt: skip
    (order,) = desk.mt5.history_orders_get(ticket=result.order)
    assert (order.type, order.position_id, order.position_by_id, order.magic) == (8, long.order, short.order, 9)
    refused(desk, desk.send(**request), 10036, "Position doesn't exist")
    other = desk.send()
    refused(desk, desk.send(**{**request, "position_by": other.order}), 10013, "Invalid request")


def test_an_order_that_is_filled_in_part_at_once_leaves_nothing_if_it_may_not_wait() -> None:
    desk = Desk(Symbol(spec(EURUSD), filling_mode=BOTH), model=VenueModel(max_deal_lots=0.04))
    refused(desk, desk.send(type_filling=FOK), 10006, "Request rejected")
    result = desk.send(type_filling=IOC)
    assert (result.retcode, result.comment, result.volume) == (10010, "Request executed partially", 0.04)
    desk.tick(1.1, 1.1001)
    assert [p.volume for p in desk.mt5.positions_get()] == [0.04]
    (order,) = desk.mt5.history_orders_get(ticket=result.order)
    assert (order.state, order.volume_current) == (mt5.ORDER_STATE_CANCELED, 0.06)


def test_an_order_that_may_wait_is_filled_on_the_ticks_that_follow() -> None:
    desk = Desk(Symbol(spec(EURUSD), trade_exemode=EXCHANGE), model=VenueModel(max_deal_lots=0.04))
    result = desk.send(type_filling=RETURN)
    (order,) = desk.mt5.orders_get()
    assert (order.ticket, order.state, order.volume_current) == (result.order, mt5.ORDER_STATE_PARTIAL, 0.06)
    for price in (1.1002, 1.1003):
        desk.tick(price - 0.0001, price)
    assert [d.volume for d in desk.mt5.history_deals_get(ticket=result.order)] == [0.04, 0.04, 0.02]
    assert desk.mt5.positions_get()[0].volume == 0.1
    assert desk.mt5.history_orders_get(ticket=result.order)[0].state == mt5.ORDER_STATE_FILLED


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"symbol": "EURXXX"}, 10013, "Invalid request"),
        ({"symbol": ""}, 10013, "Invalid request"),
        ({"action": 0}, 10013, "Invalid request"),
        ({"volume": 0.0}, 10014, "Invalid volume"),
        ({"volume": 0.015}, 10014, "Invalid volume"),
        ({"volume": 0.1 + 1e-8}, 10014, "Invalid volume"),
        ({"volume": float("nan")}, 10014, "Invalid volume"),
        ({"volume": float("inf")}, 10014, "Invalid volume"),
        ({"volume": 101.0}, 10014, "Invalid volume"),
        ({"sl": 1.2}, 10016, "Invalid stops"),
        ({"tp": float("inf")}, 10016, "Invalid stops"),
        ({"volume": 10.0}, 10019, "No money"),
        ({"type": mt5.ORDER_TYPE_BUY_LIMIT}, 10035, "Invalid order"),
        ({"action": mt5.TRADE_ACTION_PENDING, "type_filling": RETURN}, 10035, "Invalid order"),
        (
            {"action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_STOP_LIMIT, "price": 1.2},
            10035,
            "Invalid order",
        ),
        ({"action": mt5.TRADE_ACTION_PENDING, "type": 2, "type_filling": RETURN}, 10015, "Invalid price"),
        ({"action": mt5.TRADE_ACTION_PENDING, "type": 2, "price": 1.2, "type_filling": RETURN}, 10015, "Invalid price"),
        ({"action": mt5.TRADE_ACTION_MODIFY, "order": 3, "price": 1.0}, 10035, "Invalid order"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_its_code(asked: dict[str, Any], code: int, words: str) -> None:
    desk = Desk()
    refused(desk, desk.send(**asked), code, words)
    checked = desk.mt5.order_check(desk.request(**asked))
    assert (checked.retcode, checked.comment) == (code, words)
    assert (desk.mt5.positions_total(), desk.mt5.orders_total(), desk.deals()) == (0, 0, ())


@pytest.mark.parametrize("execution", [BY_REQUEST, INSTANT, BY_MARKET, EXCHANGE])
@pytest.mark.parametrize("bits", [0, mt5.SYMBOL_FILLING_FOK, mt5.SYMBOL_FILLING_IOC, BOTH])
@pytest.mark.parametrize("filling", [FOK, IOC, RETURN, BOC])
def test_fillings_are_allowed_by_the_table_of_execution_modes(execution: int, bits: int, filling: int) -> None:
    if filling == BOC:
        allowed = False
    elif filling == RETURN:
        allowed = execution != BY_MARKET
    else:
        allowed = execution in (BY_REQUEST, INSTANT) or bool(bits & {FOK: 1, IOC: 2}[filling])
    desk = Desk(Symbol(spec(EURUSD), trade_exemode=execution, filling_mode=bits))
    result = desk.send(type_filling=filling, price=1.1001)
    assert result.retcode == (DONE if allowed else 10030)
    assert desk.pend(1.09).retcode == DONE  # RETURN is right for pending orders everywhere.
    other = desk.send(action=mt5.TRADE_ACTION_PENDING, type=2, price=1.09, type_filling=filling)
    assert other.retcode == (DONE if allowed or filling == RETURN else 10030)


def test_a_book_or_cancel_order_is_a_limit_of_a_symbol_that_has_them() -> None:
    desk = Desk(Symbol(spec(EURUSD), filling_mode=mt5.SYMBOL_FILLING_BOC))
    limit = {"action": mt5.TRADE_ACTION_PENDING, "type_filling": BOC, "price": 1.09}
    assert desk.send(**limit, type=mt5.ORDER_TYPE_BUY_LIMIT).retcode == DONE
    refused(desk, desk.send(**limit, type=mt5.ORDER_TYPE_SELL_STOP), 10030, "Unsupported filling mode")


def test_instant_execution_is_at_the_price_asked_for_or_a_requote_with_the_new_one() -> None:
    desk = Desk(Symbol(spec(EURUSD), trade_exemode=INSTANT))
    refused(desk, desk.send(), 10015, "Invalid price")
    result = desk.send(price=1.1, deviation=9)
    assert (result.retcode, result.comment, result.bid, result.ask) == (10004, "Requote", 1.1, 1.1001)
    assert desk.send(price=1.1, deviation=10).retcode == DONE


def test_nothing_is_traded_when_algorithmic_trading_is_off() -> None:
    desk = Desk()
    opened = desk.send()
    desk.server.algo_trading = False
    refused(desk, desk.send(), 10027, "AutoTrading disabled by client")
    refused(
        desk,
        desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.0),
        10027,
        "AutoTrading disabled by client",
    )
    checked = desk.mt5.order_check(desk.request())
    assert (checked.retcode, checked.comment, checked.margin) == (10027, "AutoTrading disabled by client", 0.0)
    desk.server.algo_trading, desk.server.api_trading = True, False
    assert desk.send() is None
    assert desk.mt5.last_error() == (-8, "Auto-Trading using Python API disabled in Terminal")
    assert desk.mt5.order_check(desk.request()).retcode == 0


@pytest.mark.parametrize(
    ("terms", "code"),
    [({"trade_allowed": False}, 10017), ({"trade_expert": False}, 10026)],
    ids=["investor", "program"],
)
def test_an_account_without_permission_trades_nothing(terms: dict[str, Any], code: int) -> None:
    desk = Desk(**terms)
    assert (desk.send().retcode, desk.mt5.order_check(desk.request()).retcode) == (code, code)
    info = desk.mt5.account_info()
    assert (info.trade_allowed, info.trade_expert) == (code != 10017, code != 10026)


@pytest.mark.parametrize(
    ("mode", "buy", "sell"),
    [
        (mt5.SYMBOL_TRADE_MODE_DISABLED, 10017, 10017),
        (mt5.SYMBOL_TRADE_MODE_LONGONLY, DONE, 10042),
        (mt5.SYMBOL_TRADE_MODE_SHORTONLY, 10043, DONE),
        (mt5.SYMBOL_TRADE_MODE_CLOSEONLY, 10044, 10044),
    ],
)
def test_a_symbols_trade_mode_says_what_may_be_opened(mode: int, buy: int, sell: int) -> None:
    symbol = Symbol(spec(EURUSD))
    desk = Desk(symbol)
    held = desk.send(volume=0.2)
    symbol.trade_mode = mode
    assert (desk.send().retcode, desk.send(type=SELL).retcode) == (buy, sell)
    closing = desk.send(type=SELL, position=held.order, volume=0.1)
    assert closing.retcode == (10017 if mode == mt5.SYMBOL_TRADE_MODE_DISABLED else DONE)


def test_a_symbol_that_is_not_selected_or_has_no_quote_has_no_price() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)))
    refused(desk, desk.send(symbol=EURGBP), 10021, "No prices")
    desk.market.hidden.add(EURUSD)
    refused(desk, desk.send(), 10021, "No prices")


def test_no_trade_is_made_in_a_currency_that_nothing_converts() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)))
    desk.market.quotes[EURGBP] = Quote(0.85, 0.8501)
    refused(desk, desk.send(symbol=EURGBP), 10021, "No prices")
    assert desk.mt5.order_calc_profit(0, EURGBP, 0.1, 0.85, 0.86) is None
    assert desk.mt5.last_error() == (-4, "Terminal: Not found")
    rich = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)), rates=(("GBP", 1.25),))
    rich.market.quotes[EURGBP] = Quote(0.85, 0.8501)
    assert rich.send(symbol=EURGBP).retcode == DONE


def test_nothing_is_done_while_the_market_is_closed() -> None:
    desk = Desk()
    opened, placed = desk.send(), desk.pend(1.09)
    desk.market.closed = True
    for request in (
        {},
        {"type": SELL, "position": opened.order},
        {"action": mt5.TRADE_ACTION_SLTP, "position": opened.order, "sl": 1.0},
        {"action": mt5.TRADE_ACTION_REMOVE, "order": placed.order},
        {"action": mt5.TRADE_ACTION_MODIFY, "order": placed.order, "price": 1.08},
    ):
        refused(desk, desk.send(**request), 10018, "Market closed")
    assert desk.mt5.order_check(desk.request()).retcode == 10018


def test_levels_keep_the_brokers_distance_and_nothing_moves_when_frozen() -> None:
    desk = Desk(Symbol(spec(EURUSD, stops_level=50, freeze_level=30)))
    refused(desk, desk.send(sl=1.0996), 10016, "Invalid stops")
    refused(desk, desk.pend(1.0997), 10015, "Invalid price")
    opened = desk.send(sl=1.0995)
    desk.tick(1.0997, 1.0998)
    frozen = 10029, "Order or position frozen"
    refused(desk, desk.send(type=SELL, position=opened.order), *frozen)
    refused(desk, desk.send(action=mt5.TRADE_ACTION_SLTP, position=opened.order, sl=1.09), *frozen)


def test_limits_of_volume_and_of_orders_are_kept() -> None:
    desk = Desk(Symbol(spec(EURUSD), volume_limit=0.25), limit_orders=1)
    desk.send()
    assert desk.pend(1.09).retcode == DONE
    refused(desk, desk.pend(1.08, volume=0.01), 10033, "Limit of orders reached")
    refused(desk, desk.send(), 10034, "Limit of volume reached")
    assert desk.send(type=SELL, volume=0.25).retcode == DONE


def test_where_the_oldest_is_closed_first_no_other_one_is() -> None:
    desk = Desk(fifo_close=True)
    first, second = desk.send(), desk.send()
    refused(desk, desk.send(type=SELL, position=second.order), 10045, "Close by FIFO only")
    assert desk.send(type=SELL, position=first.order).retcode == DONE
    assert desk.send(type=SELL, position=second.order).retcode == DONE


def test_rejections_and_requotes_are_drawn_by_the_model_from_the_magic() -> None:
    desk = Desk(model=VenueModel(requote_share=0.5))
    codes = [desk.send(magic=magic).retcode for magic in range(40)]
    assert set(codes) == {DONE, 10004}
    again = Desk(model=VenueModel(requote_share=0.5))
    assert [again.send(magic=magic).retcode for magic in range(40)] == codes


# -- times of orders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_time", "expiration", "ends_s"),
    [
        (mt5.ORDER_TIME_DAY, 0, (NOW_S // 86_400 + 1) * 86_400),
        (mt5.ORDER_TIME_SPECIFIED, NOW_S + 90, NOW_S + 90),
        (mt5.ORDER_TIME_SPECIFIED_DAY, NOW_S + 86_400, (NOW_S // 86_400 + 2) * 86_400),
    ],
)
def test_an_order_expires_on_the_servers_clock(type_time: int, expiration: int, ends_s: int) -> None:
    desk = Desk()
    placed = desk.pend(1.09, type_time=type_time, expiration=expiration)
    assert desk.mt5.orders_get()[0].time_expiration == ends_s
    desk.tick(1.1, 1.1001, after_s=ends_s - NOW_S - 1)
    assert desk.mt5.orders_total() == 1
    desk.tick(1.1, 1.1001)
    assert desk.mt5.orders_total() == 0
    (done,) = desk.mt5.history_orders_get(ticket=placed.order)
    assert (done.state, done.time_done) == (mt5.ORDER_STATE_EXPIRED, ends_s)


def test_a_time_that_has_run_out_or_that_the_symbol_does_not_have_is_refused() -> None:
    desk = Desk(Symbol(spec(EURUSD), expiration_mode=mt5.SYMBOL_EXPIRATION_GTC | mt5.SYMBOL_EXPIRATION_SPECIFIED))
    for asked in (
        {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": NOW_S},
        {"type_time": mt5.ORDER_TIME_DAY},
        {"type_time": 9},
    ):
        refused(desk, desk.pend(1.09, **asked), 10022, "Invalid expiration")


# -- what is only asked ------------------------------------------------------------------------------------------------


def test_a_check_says_what_the_account_would_be_and_does_nothing() -> None:
    desk = Desk()
    checked = desk.mt5.order_check(desk.request(volume=1.0))
    assert (checked.retcode, checked.comment) == (0, "Done")
    assert (checked.balance, checked.equity, checked.profit) == (10_000.0, 10_000.0, 0.0)
    assert (checked.margin, checked.margin_free, checked.margin_level) == (1100.1, 8899.9, 909.01)
    assert checked.request.volume == 1.0
    placed = desk.pend(1.09)
    opened = desk.send()
    for request in (
        {"action": mt5.TRADE_ACTION_PENDING, "type": 2, "price": 1.08, "type_filling": RETURN},
        {"action": mt5.TRADE_ACTION_SLTP, "position": opened.order, "sl": 1.0},
        {"action": mt5.TRADE_ACTION_MODIFY, "order": placed.order, "price": 1.08},
        {"action": mt5.TRADE_ACTION_REMOVE, "order": placed.order},
    ):
        assert desk.mt5.order_check(desk.request(**request)).retcode == 0
    assert (desk.mt5.positions_total(), desk.mt5.orders_total()) == (1, 1)


def test_a_check_of_a_deal_that_closes_says_the_margin_that_is_left() -> None:
    desk = Desk()
    opened, short = desk.send(volume=0.4), desk.send(type=SELL, volume=0.1)
    closing = {"type": SELL, "position": opened.order}
    by = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": opened.order, "position_by": short.order}
    for asked in ({**closing, "volume": 0.4}, {**closing, "volume": 0.1}, by):
        checked = desk.mt5.order_check(desk.request(**asked))
        again = Desk()
        again.market.quotes = dict(desk.market.quotes)
        again.server.load(desk.server.dump())
        assert again.send(**asked).retcode == DONE
        info = again.mt5.account_info()
        assert (checked.retcode, checked.margin) == (0, info.margin)
        assert checked.margin_free == pytest.approx(checked.equity - info.margin)
        assert checked.margin_level == pytest.approx(checked.equity / info.margin * 100, abs=0.01)
    desk.send(type=mt5.ORDER_TYPE_BUY, position=short.order)
    checked = desk.mt5.order_check(desk.request(**closing, volume=0.4))
    assert (checked.margin, checked.margin_free, checked.margin_level) == (0.0, checked.equity, 0.0)


@pytest.mark.parametrize("lots", [0.1, 0.4, 0.9])
def test_a_check_of_a_netting_accounts_deal_says_the_margin_that_is_left(lots: float) -> None:
    desk = Desk(margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    desk.send(volume=0.4)
    assert desk.pend(1.2, mt5.ORDER_TYPE_SELL_LIMIT, volume=lots).retcode == DONE
    waiting = desk.mt5.order_check(
        desk.request(action=mt5.TRADE_ACTION_PENDING, type=3, price=1.2, type_filling=RETURN, volume=lots)
    )
    assert waiting.margin == desk.mt5.account_info().margin, "a pending order frees nothing"
    checked = desk.mt5.order_check(desk.request(type=SELL, volume=lots))
    assert desk.send(type=SELL, volume=lots).retcode == DONE
    assert (checked.retcode, checked.margin) == (0, desk.mt5.account_info().margin)


def test_a_check_without_enough_money_says_what_the_account_would_be() -> None:
    desk = Desk()
    desk.send(volume=1.0)
    checked = desk.mt5.order_check(desk.request(volume=10.0))
    assert (checked.retcode, checked.comment) == (10019, "No money")
    assert (checked.balance, checked.equity, checked.profit) == (10_000.0, 9_990.0, -10.0)
    assert (checked.margin, checked.margin_free, checked.margin_level) == (12_101.1, -2_111.1, 82.55)
    other = desk.mt5.order_check(desk.request(sl=1.2))
    assert (other.retcode, other.balance, other.margin) == (10016, 0.0, 0.0)


def test_a_check_without_enough_money_to_turn_a_position_over_counts_what_that_frees() -> None:
    desk = Desk(margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    desk.send(volume=1.0)
    checked = desk.mt5.order_check(desk.request(type=SELL, volume=11.0))
    assert (checked.retcode, checked.margin, checked.margin_free) == (10019, 11_001.0, -1_011.0)


def test_margin_and_profit_are_calculated_for_an_order() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec("USDJPY", digits=3)))
    desk.market.quotes["USDJPY"] = Quote(150.0, 150.01)
    mt5_ = desk.mt5
    # Cross-checked with another simulator: 0.1 lots at 1:100, 4 pips.
    assert mt5_.order_calc_margin(mt5.ORDER_TYPE_BUY, EURUSD, 0.1, 1.1001) == 110.01
    assert mt5_.order_calc_profit(mt5.ORDER_TYPE_BUY, EURUSD, 0.1, 1.1001, 1.1005) == 4.0
    assert mt5_.order_calc_profit(SELL, EURUSD, 0.1, 1.1001, 1.1005) == -4.0
    assert mt5_.order_calc_margin(mt5.ORDER_TYPE_BUY, "USDJPY", 1, 150.01) == 1000.0
    assert mt5_.order_calc_profit(mt5.ORDER_TYPE_BUY, "USDJPY", 1, 150.0, 151.0) == 666.62


@pytest.mark.parametrize("type", range(mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_CLOSE_BY))
def test_pending_orders_have_a_margin_and_no_profit_of_their_own(type: int) -> None:
    desk = Desk()
    assert desk.mt5.order_calc_margin(type, EURUSD, 0.1, 1.1001) == 110.01
    if type not in (mt5.ORDER_TYPE_BUY, SELL):
        assert desk.mt5.order_calc_profit(type, EURUSD, 0.1, 1.1001, 1.1005) is None
        assert desk.mt5.last_error() == (-2, "Terminal: Invalid params")


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0, "EURXXX", 0.1, 1.1), (-4, "Terminal: Not found")),
        ((8, EURUSD, 0.1, 1.1), (-2, "Terminal: Invalid params")),
        ((-1, EURUSD, 0.1, 1.1), (-2, "Terminal: Invalid params")),
        ((0, EURUSD, -0.1, 1.1), (-2, "Terminal: Invalid params")),
        ((0, EURUSD, 0.1, float("nan")), (-2, "Terminal: Invalid params")),
    ],
)
def test_what_cannot_be_calculated_is_none(args: tuple[Any, ...], error: tuple[int, str]) -> None:
    desk = Desk()
    assert desk.mt5.order_calc_margin(*args) is None
    assert desk.mt5.last_error() == error
    assert desk.mt5.order_calc_profit(*args, 1.2) is None
    assert desk.mt5.last_error() == error


def test_the_packages_short_forms_trade() -> None:
    desk = Desk(Symbol(spec(EURUSD), filling_mode=BOTH))
    bought = desk.mt5.Buy(EURUSD, 0.2, comment="short form")
    assert (bought.retcode, bought.price, bought.request.deviation) == (DONE, 1.1001, 10)
    sold = desk.mt5.Sell(EURUSD, 0.1)
    assert desk.mt5.positions_total() == 2
    assert desk.mt5.Sell(EURUSD, 0.1, ticket=bought.order).retcode == DONE
    assert desk.mt5.Close(EURUSD, ticket=sold.order) is True
    assert desk.mt5.Close(EURUSD) is True
    assert desk.mt5.Close(EURUSD) is False
    desk.mt5.shutdown()
    assert desk.mt5.Close(EURUSD) is None
    assert desk.mt5.Buy(EURUSD, 0.1) is None


def test_a_short_form_gives_up_after_ten_requotes() -> None:
    desk = Desk(Symbol(spec(EURUSD), filling_mode=BOTH), model=VenueModel(requote_share=1.0))
    assert desk.mt5.Buy(EURUSD, 0.1).retcode == 10004
    assert desk.asked.count("order_send") == 10


def test_a_short_form_that_names_its_price_is_sent_once() -> None:
    desk = Desk(Symbol(spec(EURUSD), filling_mode=BOTH), model=VenueModel(requote_share=1.0))
    assert desk.mt5.Buy(EURUSD, 0.1, 1.1001).retcode == desk.mt5.Sell(EURUSD, 0.1, 1.1).retcode == 10004
    assert desk.asked[1:] == ["order_send", "order_send"]


def test_a_short_form_tells_when_some_positions_stay_open() -> None:
    desk = Desk(Symbol(spec(EURUSD, freeze_level=30), filling_mode=BOTH))
    desk.mt5.Buy(EURUSD, 0.2)
    desk.send(sl=1.0995, type_filling=IOC)
    desk.tick(1.0996, 1.0997)
    assert desk.mt5.Close(EURUSD) == "Partially"
    assert desk.mt5.Close(EURUSD) is False


def test_what_a_symbol_does_not_take_is_refused_by_its_bits() -> None:
    symbol = Symbol(spec(EURUSD))
    desk = Desk(symbol)
    long, short = desk.send(), desk.send(type=SELL)
    symbol.order_mode = mt5.SYMBOL_ORDER_MARKET
    by = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": long.order, "position_by": short.order}
    refused(desk, desk.send(**by), 10035, "Invalid order")
    refused(desk, desk.send(sl=1.0), 10016, "Invalid stops")
    refused(desk, desk.pend(1.09), 10035, "Invalid order")
    assert desk.send().retcode == DONE


def test_positions_of_a_netting_account_do_not_close_each_other() -> None:
    desk = Desk(margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    desk.send()
    refused(desk, desk.send(action=mt5.TRADE_ACTION_CLOSE_BY, position=1, position_by=2), 10035, "Invalid order")


def test_levels_of_a_position_are_not_moved_by_another_symbols_request() -> None:
    desk = Desk(Symbol(spec(EURUSD)), Symbol(spec(EURGBP)))
    opened = desk.send()
    moved = desk.send(action=mt5.TRADE_ACTION_SLTP, symbol=EURGBP, position=opened.order, sl=1.0)
    refused(desk, moved, 10013, "Invalid request")
    unnamed = desk.mt5.order_send({"action": mt5.TRADE_ACTION_SLTP, "position": opened.order, "sl": 1.0})
    assert unnamed.retcode == DONE
