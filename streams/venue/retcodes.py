"""MT5's return codes of trade requests that a venue or its terminal refuses (MQL5 reference, Trade Server Codes)."""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum


class Retcode(IntEnum):
    """Why a request was refused."""

    REQUOTE = 10004
    REJECT = 10006
    INVALID = 10013
    INVALID_VOLUME = 10014
    INVALID_PRICE = 10015
    INVALID_STOPS = 10016
    TRADE_DISABLED = 10017
    MARKET_CLOSED = 10018
    NO_MONEY = 10019
    PRICE_OFF = 10021
    INVALID_EXPIRATION = 10022
    NO_CHANGES = 10025
    SERVER_DISABLES_AT = 10026
    CLIENT_DISABLES_AT = 10027
    FROZEN = 10029
    INVALID_FILL = 10030
    LIMIT_ORDERS = 10033
    LIMIT_VOLUME = 10034
    INVALID_ORDER = 10035
    POSITION_CLOSED = 10036
    INVALID_CLOSE_VOLUME = 10038
    CLOSE_ORDER_EXIST = 10039
    LONG_ONLY = 10042
    SHORT_ONLY = 10043
    CLOSE_ONLY = 10044
    FIFO_CLOSE = 10045


class Refusal(Exception):
    """A request that the venue refuses: its code, and why in words with the values.

    `margin`: where money is short (NO_MONEY), by how much the account's margin would have changed.
    """

    def __init__(self, retcode: Retcode, why: str, margin: Decimal | None = None) -> None:
        super().__init__(why)
        self.retcode, self.why, self.margin = retcode, why, margin
