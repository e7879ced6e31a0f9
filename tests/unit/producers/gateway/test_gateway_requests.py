"""What the desk asks, as MetaTrader 5 takes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from producers.gateway import codes
from producers.gateway.answers import Doubtful, Refused, Taken, answer_of
from producers.gateway.codes import Filling, Retcode
from producers.gateway.requests import (
    Impossible,
    close_request,
    level,
    levels_request,
    market_filling,
    number_in,
    on_grid,
    place_request,
    remove_request,
)
from producers.terminal import constants as mt5
from producers.terminal.structures import OrderSendResult
from schemas.events import Side
from schemas.trading import OrderPurpose, OrderType
from tests.unit.producers.gateway.room import BUY, SELL, entry, pending


@dataclass(frozen=True)
class Symbol:
    """As symbol_info, as far as requests look at it."""

    name: str = "EURUSD"
    digits: int = 5
    point: float = 0.00001
    trade_tick_size: float = 0.00001
    trade_exemode: int = codes.Execution.MARKET
    filling_mode: int = 2
    expiration_mode: int = 15
    volume_max: float = 0.0


SYMBOL: Any = Symbol()


def test_a_market_order_at_a_market_executing_broker_names_no_price() -> None:
    request = place_request(entry(7, sl=1.1, tp=1.2), SYMBOL, (0.0, 0.0), 0)
    assert request == {
        "action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "sl": 1.1, "tp": 1.2, "magic": 7, "comment": "tl7",
        "type_filling": 1, "type_time": 0,
    }  # fmt: skip
    floats = {name for name, value in request.items() if isinstance(value, float)}
    assert floats == {"volume", "sl", "tp"}


@pytest.mark.parametrize(("side", "price"), [(BUY, 1.2), (SELL, 1.1)])
def test_instant_execution_asks_for_the_side_that_it_deals_at(side: Side, price: float) -> None:
    symbol: Any = replace(SYMBOL, trade_exemode=codes.Execution.INSTANT, filling_mode=0)
    request = place_request(entry(7, side), symbol, (1.1, 1.2), 0)
    assert (request["price"], request["deviation"], request["type_filling"]) == (price, 10, Filling.IOC)


@pytest.mark.parametrize(("held", "price"), [(codes.Traded.BUY, 1.1), (codes.Traded.SELL, 1.2)])
def test_instant_execution_closes_at_the_other_side(held: int, price: float) -> None:
    symbol: Any = replace(SYMBOL, trade_exemode=codes.Execution.INSTANT, filling_mode=0)
    position: Any = SimpleNamespace(type=int(held), ticket=5, volume=0.1)
    request = close_request(position, symbol, (1.1, 1.2), "tl-stop")
    assert (request["price"], request["position"], request["magic"], request["comment"]) == (price, 5, 0, "tl-stop")
    assert all(type(value) in (int, float, str) for value in request.values())


@pytest.mark.parametrize(("most", "volume"), [(0.0, 250.0), (100.0, 100.0), (250.0, 250.0), (500.0, 250.0)])
def test_a_close_asks_for_no_more_than_an_order_may_be(most: float, volume: float) -> None:
    position: Any = SimpleNamespace(type=int(codes.Traded.BUY), ticket=5, volume=250.0)
    symbol: Any = replace(SYMBOL, volume_max=most)
    assert close_request(position, symbol, (0.0, 0.0), "tl-stop")["volume"] == volume


@pytest.mark.parametrize(
    ("type", "side", "kind"),
    [
        (OrderType.LIMIT, BUY, mt5.ORDER_TYPE_BUY_LIMIT),
        (OrderType.LIMIT, SELL, mt5.ORDER_TYPE_SELL_LIMIT),
        (OrderType.STOP, BUY, mt5.ORDER_TYPE_BUY_STOP),
        (OrderType.STOP, SELL, mt5.ORDER_TYPE_SELL_STOP),
    ],
)
def test_a_pending_order_rests_by_return_until_its_second(type: OrderType, side: Side, kind: int) -> None:
    request = place_request(pending(7, type, 1.1000049, side), SYMBOL, (0.0, 0.0), 1_700_000_000)
    assert (request["action"], request["type"], request["price"]) == (5, kind, 1.1)
    assert (request["type_filling"], request["type_time"], request["expiration"]) == (2, 2, 1_700_000_000)


@pytest.mark.parametrize(
    ("mode", "bits", "filling"),
    [
        (codes.Execution.REQUEST, 0, Filling.IOC),
        (codes.Execution.INSTANT, 1, Filling.IOC),
        (codes.Execution.MARKET, 1, Filling.FOK),
        (codes.Execution.MARKET, 2, Filling.IOC),
        (codes.Execution.MARKET, 3, Filling.IOC),
        (codes.Execution.EXCHANGE, 0, Filling.RETURN),
        (codes.Execution.EXCHANGE, 1, Filling.FOK),
        (codes.Execution.EXCHANGE, 6, Filling.IOC),
    ],
)
def test_fillings_follow_the_symbol(mode: int, bits: int, filling: Filling) -> None:
    symbol: Any = replace(SYMBOL, trade_exemode=mode, filling_mode=bits)
    assert market_filling(symbol) is filling


@pytest.mark.parametrize(
    ("order", "symbol", "retcode", "words"),
    [
        (entry(7), {"filling_mode": 0}, 10030, "no filling mode"),
        (entry(7), {"filling_mode": 4}, 10030, "no filling mode"),
        (entry(0), {}, 10013, "number 0"),
        (entry(2**31), {}, 10013, "2\\^31"),
        (entry(7, Side.UNKNOWN), {}, 10013, "UNKNOWN"),
        (pending(7, OrderType.LIMIT, 1.1, purpose=OrderPurpose.EXIT), {}, 10013, "only a market order closes"),
        (entry(7, type=OrderType.LIMIT), {}, 10013, "needs a price"),
        (pending(7, OrderType.LIMIT, 1.1), {"expiration_mode": 3}, 10022, "ends at a given time"),
    ],
)
def test_what_cant_be_asked_says_why(order: Any, symbol: dict[str, int], retcode: int, words: str) -> None:
    changed: Any = replace(SYMBOL, **symbol)
    with pytest.raises(Impossible, match=words) as refusal:
        place_request(order, changed, (1.1, 1.2), 1)
    assert refusal.value.retcode == retcode


def test_levels_and_removals_are_whole_requests() -> None:
    assert levels_request(12, SYMBOL, 1.1, None) == {
        "action": 6, "symbol": "EURUSD", "position": 12, "sl": 1.1, "tp": 0.0,
    }  # fmt: skip
    assert remove_request(12) == {"action": 8, "order": 12}


@pytest.mark.parametrize(
    ("price", "step", "meant"),
    [(1.100049, 0.0001, 1.1), (1.10005, 0.0001, 1.1001), (2013.37, 0.25, 2013.25), (7.0, 0.0, 7.0)],
)
def test_prices_lie_on_the_symbols_grid(price: float, step: float, meant: float) -> None:
    symbol: Any = replace(SYMBOL, trade_tick_size=step)
    assert on_grid(price, symbol) == meant
    assert level(None, symbol) == 0.0


@pytest.mark.parametrize(
    ("magic", "comment", "number"),
    [(7, "", 7), (7, "tl8", 7), (0, "tl8", 8), (0, "tl", 0), (0, "[sl 1.1]", 0), (0, "tl08", 0), (-3, "x", 0)],
)
def test_the_magic_tells_the_order_and_the_comment_where_there_is_none(magic: int, comment: str, number: int) -> None:
    assert number_in(magic, comment) == number


def result(retcode: int, order: int = 5, comment: str = "Said") -> Any:
    return OrderSendResult((retcode, 3, order, 0.1, 1.1, 1.1, 1.2, comment, 1, 0, None))


@pytest.mark.parametrize("retcode", [10008, 10009, 10010])
def test_three_codes_take_a_request(retcode: int) -> None:
    assert answer_of(result(retcode), (1, ""), numbered=True) == Taken(retcode, 5, 3, 1.1, 1.2)


def test_an_order_taken_without_its_number_is_in_doubt() -> None:
    assert isinstance(answer_of(result(10009, order=0), (1, ""), numbered=True), Doubtful)
    assert isinstance(answer_of(result(10009, order=0), (1, ""), numbered=False), Taken)


@pytest.mark.parametrize(
    "retcode", [10004, 10006, 10013, 10016, 10018, 10020, 10021, 10024, 10025, 10028, 10029, 10036]
)
def test_definite_codes_refuse(retcode: int) -> None:
    assert answer_of(result(retcode), (1, ""), numbered=True) == Refused(retcode, "Said", False)


def test_a_code_that_the_server_says_nothing_of_is_told_in_words() -> None:
    assert answer_of(result(10018, comment=""), (1, ""), numbered=True) == Refused(10018, "the market is closed")


@pytest.mark.parametrize("retcode", [10017, 10019, 10026, 10027, 10033, 10034, 10040, 10042, 10043, 10044, 10045])
def test_some_refusals_last_until_a_person_acts(retcode: int) -> None:
    answer = answer_of(result(retcode, comment=""), (1, ""), numbered=True)
    assert isinstance(answer, Refused)
    assert answer.lasting
    assert answer.reason.startswith("no reason told")


@pytest.mark.parametrize(
    ("retcode", "act"),
    [
        (10017, "log the terminal in with the trading password, not the investor's"),
        (10026, "ask the broker to allow trading by programs"),
        (10027, "switch Algo Trading on in the terminal"),
    ],
)
def test_a_permission_that_is_missing_is_told_with_what_to_do(retcode: int, act: str) -> None:
    answer = answer_of(result(retcode), (1, ""), numbered=True)
    assert isinstance(answer, Refused)
    assert act in answer.reason


@pytest.mark.parametrize("retcode", [10011, 10012, 10031])
def test_three_codes_say_nothing(retcode: int) -> None:
    assert answer_of(result(retcode), (1, ""), numbered=True) == Doubtful(f"Said ({retcode})")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ((-10005, "IPC timeout"), Doubtful),
        ((-1, "x"), Doubtful),
        ((-10004, "x"), Doubtful),
        ((-8, "x"), Refused),
        ((-2, "x"), Refused),
    ],
)
def test_none_is_no_answer_unless_nothing_was_sent(error: tuple[int, str], kind: type) -> None:
    assert isinstance(answer_of(None, error, numbered=True), kind)


@pytest.mark.parametrize(
    ("ours", "prefix"),
    [
        (codes.Action, "TRADE_ACTION"),
        (codes.Kind, "ORDER_TYPE"),
        (codes.Filling, "ORDER_FILLING"),
        (codes.FillingBit, "SYMBOL_FILLING"),
        (codes.Execution, "SYMBOL_TRADE_EXECUTION"),
        (codes.Lifetime, "ORDER_TIME"),
        (codes.State, "ORDER_STATE"),
        (codes.Traded, "DEAL_TYPE"),
        (codes.Entry, "DEAL_ENTRY"),
        (codes.Reason, "DEAL_REASON"),
        (codes.TradeMode, "ACCOUNT_TRADE_MODE"),
        (Retcode, "TRADE_RETCODE"),
    ],
)
def test_numbers_are_the_packages(ours: Any, prefix: str) -> None:
    for member in ours:
        assert member == getattr(mt5, f"{prefix}_{member.name}")


def test_numbers_of_bookings_are_the_packages() -> None:
    for member in codes.Booking:
        assert member == getattr(mt5, f"DEAL_TYPE_{member.name}", getattr(mt5, f"DEAL_{member.name}", None))
