"""MetaTrader5's structures: tuples whose values have names, like the package's struct sequences."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self


class Structure(tuple[Any, ...]):
    """A struct sequence: made from one iterable of all its values, with `_asdict` and without `_fields`, `_replace`."""

    __slots__ = ()
    _names: ClassVar[tuple[str, ...]] = ()
    n_fields: ClassVar[int] = 0
    n_sequence_fields: ClassVar[int] = 0
    n_unnamed_fields: ClassVar[int] = 0

    def __init_subclass__(cls, fields: str) -> None:
        cls._names = tuple(fields.split())
        cls.n_fields = cls.n_sequence_fields = len(cls._names)
        for index, name in enumerate(cls._names):
            setattr(cls, name, property(itemgetter(index)))

    def __new__(cls, values: Iterable[Any]) -> Self:
        made = super().__new__(cls, values)
        if len(made) != cls.n_fields:
            raise TypeError(f"{cls.__name__}() takes a {cls.n_fields}-sequence ({len(made)}-sequence given)")
        return made

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __repr__(self) -> str:
        values = (f"{name}={value!r}" for name, value in zip(self._names, self, strict=True))
        return f"{type(self).__name__}({', '.join(values)})"

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Of the values, in order."""
        return cls._names

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[Any, ...]]]:
        return type(self), (tuple(self),)

    def _asdict(self) -> dict[str, Any]:
        """The values by their names; a structure in it stays one."""
        return dict(zip(self._names, self, strict=True))


class Tick(Structure, fields="time bid ask last volume time_msc flags volume_real"):
    """A quote; times on the server's clock."""

    __slots__ = ()


class SymbolInfo(
    Structure,
    fields="custom chart_mode select visible session_deals session_buy_orders session_sell_orders volume volumehigh "
    "volumelow time digits spread spread_float ticks_bookdepth trade_calc_mode trade_mode start_time "
    "expiration_time trade_stops_level trade_freeze_level trade_exemode swap_mode swap_rollover3days "
    "margin_hedged_use_leg expiration_mode filling_mode order_mode order_gtc_mode option_mode option_right bid "
    "bidhigh bidlow ask askhigh asklow last lasthigh lastlow volume_real volumehigh_real volumelow_real "
    "option_strike point trade_tick_value trade_tick_value_profit trade_tick_value_loss trade_tick_size "
    "trade_contract_size trade_accrued_interest trade_face_value trade_liquidity_rate volume_min volume_max "
    "volume_step volume_limit swap_long swap_short margin_initial margin_maintenance session_volume "
    "session_turnover session_interest session_buy_orders_volume session_sell_orders_volume session_open "
    "session_close session_aw session_price_settlement session_price_limit_min session_price_limit_max "
    "margin_hedged price_change price_volatility price_theoretical price_greeks_delta price_greeks_theta "
    "price_greeks_gamma price_greeks_vega price_greeks_rho price_greeks_omega price_sensitivity basis category "
    "currency_base currency_profit currency_margin bank description exchange formula isin name page path",
):
    """All that the terminal says of a symbol."""

    __slots__ = ()


class AccountInfo(
    Structure,
    fields="login trade_mode leverage limit_orders margin_so_mode trade_allowed trade_expert margin_mode "
    "currency_digits fifo_close balance credit profit equity margin margin_free margin_level margin_so_call "
    "margin_so_so margin_initial margin_maintenance assets liabilities commission_blocked name server currency company",
):
    """The account as it stands."""

    __slots__ = ()


class TerminalInfo(
    Structure,
    fields="community_account community_connection connected dlls_allowed trade_allowed tradeapi_disabled "
    "email_enabled ftp_enabled notifications_enabled mqid build maxbars codepage ping_last community_balance "
    "retransmission company name language path data_path commondata_path",
):
    """The terminal itself."""

    __slots__ = ()


class TradePosition(
    Structure,
    fields="ticket time time_msc time_update time_update_msc type magic identifier reason volume price_open sl tp "
    "price_current swap profit symbol comment external_id",
):
    """An open position."""

    __slots__ = ()


class TradeOrder(
    Structure,
    fields="ticket time_setup time_setup_msc time_done time_done_msc time_expiration type type_time type_filling state "
    "magic position_id position_by_id reason volume_initial volume_current price_open sl tp price_current "
    "price_stoplimit symbol comment external_id",
):
    """A pending order, or one of the history."""

    __slots__ = ()


class TradeDeal(
    Structure,
    fields="ticket order time time_msc type entry magic position_id reason volume price commission swap profit fee "
    "symbol comment external_id",
):
    """A deal of the history, or a booking on the balance."""

    __slots__ = ()


class TradeRequest(
    Structure,
    fields="action magic order symbol volume price stoplimit sl tp deviation type type_filling type_time expiration "
    "comment position position_by",
):
    """What order_check and order_send were asked."""

    __slots__ = ()


class OrderSendResult(
    Structure, fields="retcode deal order volume price bid ask comment request_id retcode_external request"
):
    """The server's answer to a request."""

    __slots__ = ()


class OrderCheckResult(
    Structure, fields="retcode balance equity profit margin margin_free margin_level comment request"
):
    """What a request would do to the account."""

    __slots__ = ()


class BookInfo(Structure, fields="type price volume volume_dbl"):
    """A price of the depth of market."""

    __slots__ = ()


STRUCTURES: Final[tuple[type[Structure], ...]] = (
    Tick,
    SymbolInfo,
    AccountInfo,
    TerminalInfo,
    TradePosition,
    TradeOrder,
    TradeDeal,
    TradeRequest,
    OrderSendResult,
    OrderCheckResult,
    BookInfo,
)
"""All of the package."""
