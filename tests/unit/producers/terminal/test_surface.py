"""The module against the surface of package MetaTrader5 5.0.6231: names, values, orders, dtypes, ways to call."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from producers.mt5 import TICK_DTYPE
from producers.terminal import constants
from producers.terminal.failure import TerminalFailure
from producers.terminal.module import Mt5Module
from producers.terminal.rates import RATE_DTYPE
from producers.terminal.requests import WORDS
from producers.terminal.structures import TradeDeal, TradeRequest

SURFACE: dict[str, Any] = json.loads((Path(__file__).parents[3] / "golden" / "mt5_api_surface.json").read_text())
FUNCTIONS: dict[str, str] = SURFACE["functions"]
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "copy_ticks_from": ("EURUSD", 1, 10, -1),
    "copy_ticks_range": ("EURUSD", 1, 2, -1),
    "copy_rates_from": ("EURUSD", 1, 1, 10),
    "copy_rates_from_pos": ("EURUSD", 1, 0, 10),
    "copy_rates_range": ("EURUSD", 1, 1, 2),
    "history_orders_total": (1, 2),
    "history_orders_get": (1, 2),
    "history_deals_total": (1, 2),
    "history_deals_get": (1, 2),
    "order_check": ({},),
    "order_send": ({},),
    "order_calc_margin": (0, "EURUSD", 0.1, 1.1),
    "order_calc_profit": (0, "EURUSD", 0.1, 1.1, 1.2),
    "symbol_info": ("EURUSD",),
    "symbol_info_tick": ("EURUSD",),
    "symbol_select": ("EURUSD", True),
    "market_book_add": ("EURUSD",),
    "market_book_release": ("EURUSD",),
    "market_book_get": ("EURUSD",),
    "login": (1,),
}
FAILED = {
    "initialize": False, "login": False, "symbol_select": False, "market_book_add": False, "market_book_release": False,
    "shutdown": True,
}  # fmt: skip
"""What a function gives when it fails; None if it isn't here."""


class Unplugged:
    """A terminal that answers nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout_s: float | None) -> Any:
        self.asked.append(name)
        raise TerminalFailure(-10005, "IPC timeout")


@pytest.fixture
def mt5() -> Any:
    return Mt5Module(Unplugged())


@pytest.mark.parametrize("name", SURFACE["constants"])
def test_a_constant_has_the_packages_value(mt5: Any, name: str) -> None:
    value = getattr(mt5, name)
    assert (value, type(value)) == (SURFACE["constants"][name], int)


def test_there_are_no_other_constants(mt5: Any) -> None:
    ours = {name for name, value in vars(mt5).items() if name.isupper() and isinstance(value, int)}
    assert ours == set(SURFACE["constants"])


@pytest.mark.parametrize("name", SURFACE["structs"])
def test_a_structure_has_the_packages_fields_in_their_order(mt5: Any, name: str) -> None:
    kind, fields = getattr(mt5, name), SURFACE["structs"][name]
    made = kind(range(len(fields)))
    assert list(made._asdict()) == fields
    assert [getattr(made, field) for field in fields] == list(made) == list(range(len(fields)))
    assert (kind.__name__, kind.n_fields) == (name, len(fields))


def test_there_are_no_other_structures(mt5: Any) -> None:
    assert {name for name, kind in vars(mt5).items() if isinstance(kind, type)} == set(SURFACE["structs"])


def test_a_structure_is_a_tuple_like_a_struct_sequence_and_no_named_tuple() -> None:
    deal: Any = TradeDeal(range(18))
    assert deal == tuple(range(18))
    assert deal[2] == deal.time == 2
    assert not hasattr(deal, "_fields")
    assert not hasattr(deal, "_replace")
    assert repr(deal).startswith("TradeDeal(ticket=0, order=1, ")
    assert repr(deal).endswith("external_id=17)")
    assert pickle.loads(pickle.dumps(deal)) == deal
    assert type(pickle.loads(pickle.dumps(deal))) is TradeDeal
    with pytest.raises(AttributeError):
        deal.time = 3
    with pytest.raises(AttributeError):
        _ = deal.price_open
    with pytest.raises(TypeError, match=r"18-sequence \(2-sequence given\)"):
        TradeDeal((1, 2))


def test_the_nested_request_stays_a_structure_in_a_dict(mt5: Any) -> None:
    answer = mt5.OrderCheckResult((0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, "Done", TradeRequest([0] * 17)))
    assert type(answer._asdict()["request"]) is TradeRequest


def test_rows_of_ticks_are_the_packages() -> None:
    assert [list(row) for row in TICK_DTYPE.descr] == SURFACE["dtypes"]["ticks"]
    assert TICK_DTYPE.itemsize == 60


def test_rows_of_rates_are_the_packages() -> None:
    assert [list(row) for row in RATE_DTYPE.descr] == SURFACE["dtypes"]["rates"]
    assert RATE_DTYPE.itemsize == 60


def test_all_functions_of_the_package_are_there_and_no_others(mt5: Any) -> None:
    ours = {name for name in dir(mt5) if not name.startswith("_") and callable(getattr(mt5, name))}
    assert ours == {*FUNCTIONS, *SURFACE["python_helpers"], *SURFACE["structs"]}


@pytest.mark.parametrize("name", [name for name, how in FUNCTIONS.items() if how == "noargs"])
def test_a_function_without_arguments_takes_none(mt5: Any, name: str) -> None:
    with pytest.raises(TypeError):
        getattr(mt5, name)(1)
    with pytest.raises(TypeError):
        getattr(mt5, name)(symbol="EURUSD")


@pytest.mark.parametrize("name", [name for name, how in FUNCTIONS.items() if how == "positional"])
def test_a_function_of_positions_takes_no_names(mt5: Any, name: str) -> None:
    with pytest.raises(TypeError):
        getattr(mt5, name)(*ARGUMENTS[name], group="*")


@pytest.mark.parametrize("name", [name for name, how in FUNCTIONS.items() if how == "positional"])
def test_a_function_of_positions_takes_exactly_its_own(mt5: Any, name: str) -> None:
    for args in (ARGUMENTS[name][:-2], (*ARGUMENTS[name], 1)):
        assert getattr(mt5, name)(*args) is FAILED.get(name)
        assert mt5.last_error() == (-2, "Invalid arguments")


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"initialize", "shutdown", "last_error"}))
def test_no_function_reaches_the_terminal_before_initialize(mt5: Any, name: str) -> None:
    assert getattr(mt5, name)(*ARGUMENTS.get(name, ())) is FAILED.get(name)
    assert mt5.last_error() == (-10004, "No IPC connection")
    assert not mt5._transport.asked


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"last_error"}))
def test_what_the_terminal_fails_with_is_the_last_error(mt5: Any, name: str) -> None:
    mt5._connected = True
    assert getattr(mt5, name)(*ARGUMENTS.get(name, ())) is FAILED.get(name)
    assert mt5._transport.asked == [name]
    assert mt5.last_error() == ((1, "Success") if name == "shutdown" else (-10005, "IPC timeout"))


def test_initialize_leaves_the_connection_alone_unless_it_asks_the_terminal(mt5: Any) -> None:
    mt5._connected = True
    for args, named in (((), {"login": "x"}), ((1,), {}), (("a", "b"), {})):
        assert mt5.initialize(*args, **named) is False
        assert mt5.last_error()[0] == -2
    mt5.version()
    assert mt5._transport.asked == ["version"]
    assert mt5.initialize() is False
    mt5.version()
    assert mt5._transport.asked == ["version", "initialize"]
    assert mt5.last_error() == (-10004, "No IPC connection")


def test_the_last_error_is_that_of_the_last_call(mt5: Any) -> None:
    assert mt5.last_error() == (1, "Success")
    mt5.version()
    assert mt5.last_error() == mt5.last_error() == (-10004, "No IPC connection")
    assert mt5.shutdown() is True
    assert mt5.last_error() == (1, "Success")


@pytest.mark.parametrize("name", SURFACE["python_helpers"])
def test_a_short_form_takes_the_packages_arguments(mt5: Any, name: str) -> None:
    with pytest.raises(TypeError):
        getattr(mt5, name)(*["EURUSD", 0.1, 1.1, "comment", 1][: len(SURFACE["python_helpers"][name])])
    assert getattr(mt5, name)(*["EURUSD", 0.1, 1.1][: 1 if name == "Close" else 3], comment="c", ticket=1) is None


@pytest.fixture
def as_installed(mt5: Any) -> Iterator[Any]:
    before = sys.modules.get("MetaTrader5")
    sys.modules["MetaTrader5"] = mt5
    yield mt5
    del sys.modules["MetaTrader5"]
    if before is not None:
        sys.modules["MetaTrader5"] = before


def test_it_is_a_module_that_programs_import_from(as_installed: Any) -> None:
    found = import_module("MetaTrader5")
    assert found is as_installed
    assert isinstance(found, ModuleType)
    names: dict[str, Any] = {}
    exec("import MetaTrader5 as mt5\nfrom MetaTrader5 import *\nfrom MetaTrader5 import TradeDeal", names)
    assert names["order_send"] == as_installed.order_send
    assert (names["TradeDeal"], names["TIMEFRAME_H1"]) == (TradeDeal, 16385)
    assert found.__version__ == SURFACE["version"]


def test_it_says_whose_package_it_is_and_of_which_version(mt5: Any) -> None:
    assert (vars(mt5)["__version__"], vars(mt5)["__author__"]) == (SURFACE["version"], "MetaQuotes Ltd.")


def test_programs_that_look_for_the_package_find_it(as_installed: Any) -> None:
    found = find_spec("MetaTrader5")
    assert found is not None
    assert (found.name, found) == ("MetaTrader5", as_installed.__spec__)


def test_the_server_has_words_for_every_code_that_it_gives_and_they_fit_a_comment() -> None:
    from streams.venue.retcodes import Retcode

    assert set(Retcode) <= set(WORDS)
    assert all(len(words) <= 31 for words in WORDS.values())
    assert {constants.TRADE_RETCODE_DONE, constants.TRADE_RETCODE_DONE_PARTIAL} <= set(WORDS)
