"""What the functions take and how they say what they don't: argument rules of package MetaTrader5 5.0.6231."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from producers.terminal.module import Mt5Module

SUCCESS = (1, "Success")
NAMELESS = "Invalid arguments"


class Echo:
    """A terminal that takes everything, and keeps what it was asked last."""

    def __init__(self) -> None:
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.timeout_s: float | None = None
        self.asked = 0

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        self.args, self.kwargs, self.timeout_s = args, kwargs, timeout_s
        self.asked += 1
        if name in ("order_send", "order_check"):
            return (*[0] * (10 if name == "order_send" else 8), args[0])
        return True if name in ("initialize", "login", "shutdown") else ()


@pytest.fixture
def terminal() -> Echo:
    return Echo()


@pytest.fixture
def mt5(terminal: Echo) -> Any:
    module = Mt5Module(terminal)
    assert module.initialize()
    return module


def refused(mt5: Any, result: Any, text: str, failed: Any = None) -> None:
    assert result is failed
    assert mt5.last_error() == (-2, text)


class Side(IntEnum):
    BUY = 0


class Timestamp(datetime):
    """As that of pandas: a datetime of its own kind."""


LONDON_NOON = datetime(2026, 3, 2, 12, 0, 0, 999_000, tzinfo=UTC)
NOON_S = int(LONDON_NOON.timestamp())


@pytest.mark.parametrize(
    "date",
    [NOON_S, NOON_S + 0.999, np.float64(NOON_S + 0.5), LONDON_NOON, Timestamp.fromtimestamp(NOON_S + 0.5, UTC)],
    ids=lambda date: type(date).__name__,
)
def test_a_date_is_cut_to_whole_seconds(mt5: Any, terminal: Echo, date: Any) -> None:
    mt5.copy_ticks_from("EURUSD", date, 10, -1)
    assert terminal.args == ("EURUSD", NOON_S, 10, -1)
    assert type(terminal.args[1]) is int


def test_a_datetime_without_a_zone_is_read_in_the_machines_own(mt5: Any, terminal: Echo) -> None:
    naive = datetime(2026, 3, 2, 12)
    mt5.history_deals_get(naive, naive)
    assert terminal.args == (int(naive.timestamp()),) * 2


@pytest.mark.parametrize(
    "date", [np.int64(NOON_S), NOON_S * 1000, 2**31, float("nan"), 1e300, "2026-03-02", None, datetime.min]
)
def test_what_is_no_date_is_refused(mt5: Any, terminal: Echo, date: Any) -> None:
    asked = terminal.asked
    refused(mt5, mt5.copy_ticks_from("EURUSD", date, 10, -1), NAMELESS)
    refused(mt5, mt5.history_deals_get(0, date), "Invalid 2nd unnamed argument")
    assert terminal.asked == asked


@pytest.mark.parametrize("symbol", ["X" * 30, b"EURUSD", 1, None])
def test_a_symbol_is_a_str_of_at_most_29_characters(mt5: Any, symbol: Any) -> None:
    assert mt5.positions_get(symbol="X" * 29) == ()
    refused(mt5, mt5.symbol_info(symbol), NAMELESS)
    refused(mt5, mt5.positions_get(symbol=symbol), 'Invalid "symbol" argument')
    refused(mt5, mt5.order_send({"symbol": symbol}), 'Invalid "symbol" argument')


def test_a_comment_has_at_most_29_characters(mt5: Any) -> None:
    assert mt5.order_send({"comment": "c" * 29}) is not None
    refused(mt5, mt5.order_send({"comment": "c" * 30}), 'Invalid "comment" argument')


@pytest.mark.parametrize("field", ["volume", "price", "stoplimit", "sl", "tp"])
def test_prices_and_volumes_of_a_request_are_floats_and_never_ints(mt5: Any, field: str) -> None:
    wrong: tuple[Any, ...] = (1, True, "1", None, np.float32(1))
    for value in wrong:
        refused(mt5, mt5.order_send({field: value}), f'Invalid "{field}" argument')
        refused(mt5, mt5.order_check(**{field: value}), f'Invalid "{field}" argument')
    for number in (1.0, np.float64(1)):
        assert getattr(mt5.order_send({field: number}).request, field) == 1.0


@pytest.mark.parametrize(
    "field",
    "action magic order deviation type type_filling type_time expiration position position_by".split(),  # noqa: SIM905
)
def test_integers_of_a_request_are_pythons_own(mt5: Any, field: str) -> None:
    for value in (1.0, "1", None, np.int64(1), 2**64):
        refused(mt5, mt5.order_send({field: value}), f'Invalid "{field}" argument')
    for value in (0, False, Side.BUY):
        assert getattr(mt5.order_send({field: value}).request, field) == 0


@pytest.mark.parametrize("field", ["action", "magic", "position"])
def test_integers_of_a_request_are_not_negative(mt5: Any, field: str) -> None:
    refused(mt5, mt5.order_send({field: -1}), f'Invalid "{field}" argument')
    assert mt5.order_send({"expiration": -1}) is not None


def test_what_a_request_lacks_is_zero_and_what_is_unknown_is_ignored(mt5: Any, terminal: Echo) -> None:
    sent = mt5.order_send({"volume": 0.1, "whatever": object()})
    assert terminal.args[0] == (0, 0, 0, "", 0.1, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, "", 0, 0)
    assert sent.request == terminal.args[0]
    assert type(sent.request) is mt5.TradeRequest
    assert mt5.order_check(action=1, symbol="EURUSD").request.symbol == "EURUSD"


def test_a_request_is_one_dict_or_its_items_by_name(mt5: Any) -> None:
    for result in (mt5.order_send(), mt5.order_send({}, {}), mt5.order_send({}, action=1)):
        refused(mt5, result, "Invalid number of arguments")
    refused(mt5, mt5.order_send([("action", 1)]), "Invalid 1st unnamed argument")


@pytest.mark.parametrize("name", ["positions_get", "orders_get"])
def test_a_ticket_goes_before_a_symbol_and_a_symbol_before_a_group(mt5: Any, terminal: Echo, name: str) -> None:
    get = getattr(mt5, name)
    assert get(group="*", symbol="EURUSD", ticket=3) == ()
    assert terminal.kwargs == {"ticket": 3}
    get(group="*", symbol="EURUSD")
    assert terminal.kwargs == {"symbol": "EURUSD"}
    get(group="*")
    assert terminal.kwargs == {"group": "*"}
    get()
    assert (terminal.args, terminal.kwargs) == ((), {})
    refused(mt5, get("EURUSD"), "Unnamed arguments not allowed")
    refused(mt5, get(ticket="3"), 'Invalid "ticket" argument')
    refused(mt5, get(ticket=np.int64(3)), 'Invalid "ticket" argument')
    refused(mt5, get(group="*" * 1999), 'Invalid "group" argument')


@pytest.mark.parametrize("name", ["history_orders_get", "history_deals_get"])
def test_history_is_asked_for_by_two_dates_or_a_ticket_or_a_position(mt5: Any, terminal: Echo, name: str) -> None:
    get = getattr(mt5, name)
    assert get(1, 2, group="*") == ()
    assert (terminal.args, terminal.kwargs) == ((1, 2), {"group": "*"})
    get(position=5, ticket=4)
    assert (terminal.args, terminal.kwargs) == ((), {"ticket": 4})
    get(position=5)
    assert terminal.kwargs == {"position": 5}
    refused(mt5, get(1), "Invalid number of arguments")
    refused(mt5, get(1, 2, 3), "Invalid number of arguments")
    refused(mt5, get(date_from=1, date_to=2), NAMELESS)
    refused(mt5, get("1", 2), "Invalid 1st unnamed argument")


def test_symbols_are_asked_for_by_one_group_with_or_without_its_name(mt5: Any, terminal: Echo) -> None:
    mt5.symbols_get("*USD*")
    assert (terminal.args, terminal.kwargs) == ((), {"group": "*USD*"})
    mt5.symbols_get(group="*USD*")
    assert terminal.kwargs == {"group": "*USD*"}
    mt5.symbols_get()
    assert terminal.kwargs == {}
    refused(mt5, mt5.symbols_get("a", "b"), "Invalid number of arguments")
    refused(mt5, mt5.symbols_get(1), "Invalid 1st unnamed argument")


def test_a_symbol_is_selected_unless_it_is_said_otherwise(mt5: Any, terminal: Echo) -> None:
    mt5.symbol_select("EURUSD")
    assert terminal.args == ("EURUSD", True)
    mt5.symbol_select("EURUSD", 0)
    assert terminal.args == ("EURUSD", False)
    refused(mt5, mt5.symbol_select("EURUSD", "no"), NAMELESS, failed=False)


def test_numbers_of_a_calculation_may_be_ints(mt5: Any, terminal: Echo) -> None:
    mt5.order_calc_profit(0, "EURUSD", 1, 1, np.float64(2))
    assert terminal.args == (0, "EURUSD", 1.0, 1.0, 2.0)
    for value in ("1", None, 10**400):
        refused(mt5, mt5.order_calc_margin(0, "EURUSD", value, 1.1), NAMELESS)


def test_initialize_takes_a_path_and_the_rest_by_name(mt5: Any, terminal: Echo) -> None:
    assert mt5.initialize("C:/terminal64.exe", login=5, password="p", server="s", timeout=2_500, portable=True)
    assert list(terminal.args) == ["C:/terminal64.exe"]
    assert terminal.kwargs == {"login": 5, "password": "p", "server": "s", "timeout": 2_500, "portable": True}
    mt5.positions_total()
    assert terminal.timeout_s == 2.5
    assert mt5.initialize()
    assert not terminal.args + tuple(terminal.kwargs)
    assert terminal.timeout_s == 60.0


def test_initialize_says_what_it_does_not_take(mt5: Any) -> None:
    refused(mt5, mt5.initialize("a", "b"), "Invalid number of arguments", failed=False)
    refused(mt5, mt5.initialize("p" * 259), "Invalid 1st unnamed argument", failed=False)
    refused(mt5, mt5.initialize(login="5"), 'Invalid "login" argument', failed=False)
    refused(mt5, mt5.initialize(timeout=1.5), 'Invalid "timeout" argument', failed=False)
    assert mt5.positions_total() == ()
    assert mt5.last_error() == SUCCESS, "it is connected still"


def test_login_takes_login_password_server_in_this_order_or_by_name(mt5: Any, terminal: Echo) -> None:
    assert mt5.login(5, "p", "s", timeout=10)
    assert (terminal.args, terminal.kwargs) == ((5,), {"password": "p", "server": "s", "timeout": 10})
    assert mt5.login(login=6, server="s")
    assert (terminal.args, terminal.kwargs) == ((6,), {"server": "s"})
    refused(mt5, mt5.login(), 'Invalid "login" argument', failed=False)
    refused(mt5, mt5.login(5, 6), "Invalid 2nd unnamed argument", failed=False)
    refused(mt5, mt5.login(5, "p", "s", 10), "Invalid number of arguments", failed=False)


def test_each_call_begins_with_success(mt5: Any) -> None:
    refused(mt5, mt5.symbol_info(1), NAMELESS)
    mt5.positions_total()
    assert mt5.last_error() == SUCCESS
