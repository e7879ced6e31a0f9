"""The numbers of MetaTrader 5 that the gateway asks with and is answered by (MQL5 reference; values of the package)."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Final


class Action(IntEnum):
    """What a trade request does."""

    DEAL = 1
    PENDING = 5
    SLTP = 6
    REMOVE = 8


class Kind(IntEnum):
    """Types of orders."""

    BUY = 0
    SELL = 1
    BUY_LIMIT = 2
    SELL_LIMIT = 3
    BUY_STOP = 4
    SELL_STOP = 5


class Filling(IntEnum):
    """How much of an order may be dealt."""

    FOK = 0
    IOC = 1
    RETURN = 2


class FillingBit(IntFlag):
    """What `symbol_info().filling_mode` allows: other numbers than Filling's."""

    FOK = 1
    IOC = 2


class Execution(IntEnum):
    """`symbol_info().trade_exemode`."""

    REQUEST = 0
    INSTANT = 1
    MARKET = 2
    EXCHANGE = 3


class Lifetime(IntEnum):
    """How long a pending order rests."""

    GTC = 0
    SPECIFIED = 2


SPECIFIED_BIT: Final = 4
"""Of `symbol_info().expiration_mode`: orders may rest until a given second."""


class State(IntEnum):
    """Where an order stands at the terminal."""

    STARTED = 0
    PLACED = 1
    CANCELED = 2
    PARTIAL = 3
    FILLED = 4
    REJECTED = 5
    EXPIRED = 6


class Traded(IntEnum):
    """Types of deals that trade; the others book money."""

    BUY = 0
    SELL = 1


class Booking(IntEnum):
    """Types of deals that book money without a trade."""

    BALANCE = 2
    CREDIT = 3
    CHARGE = 4
    CORRECTION = 5
    BONUS = 6
    COMMISSION = 7
    COMMISSION_DAILY = 8
    COMMISSION_MONTHLY = 9
    COMMISSION_AGENT_DAILY = 10
    COMMISSION_AGENT_MONTHLY = 11
    INTEREST = 12
    BUY_CANCELED = 13
    SELL_CANCELED = 14
    DIVIDEND = 15
    DIVIDEND_FRANKED = 16
    TAX = 17


class Entry(IntEnum):
    """What a deal did to its position."""

    IN = 0
    OUT = 1
    INOUT = 2
    OUT_BY = 3


class Reason(IntEnum):
    """Why a deal was made."""

    CLIENT = 0
    MOBILE = 1
    WEB = 2
    EXPERT = 3
    SL = 4
    TP = 5
    SO = 6


class TradeMode(IntEnum):
    """What kind of account it is."""

    DEMO = 0
    CONTEST = 1
    REAL = 2


HEDGING: Final = 2
"""`account_info().margin_mode` of an account that keeps positions apart; 0 and 1 net."""


class Retcode(IntEnum):
    """The trade server's answers that the gateway acts on or gives itself."""

    REQUOTE = 10004
    REJECT = 10006
    CANCEL = 10007
    PLACED = 10008
    DONE = 10009
    DONE_PARTIAL = 10010
    ERROR = 10011
    TIMEOUT = 10012
    INVALID = 10013
    INVALID_STOPS = 10016
    TRADE_DISABLED = 10017
    MARKET_CLOSED = 10018
    NO_MONEY = 10019
    PRICE_CHANGED = 10020
    PRICE_OFF = 10021
    INVALID_EXPIRATION = 10022
    NO_CHANGES = 10025
    SERVER_DISABLES_AT = 10026
    CLIENT_DISABLES_AT = 10027
    FROZEN = 10029
    INVALID_FILL = 10030
    CONNECTION = 10031
    LIMIT_ORDERS = 10033
    LIMIT_VOLUME = 10034
    INVALID_ORDER = 10035
    POSITION_CLOSED = 10036
    LIMIT_POSITIONS = 10040
    LONG_ONLY = 10042
    SHORT_ONLY = 10043
    CLOSE_ONLY = 10044
    FIFO_CLOSE = 10045


TAKEN: Final = frozenset({Retcode.PLACED, Retcode.DONE, Retcode.DONE_PARTIAL})
"""The server took the request."""

DOUBTFUL: Final = frozenset({Retcode.ERROR, Retcode.TIMEOUT, Retcode.CONNECTION})
"""The server may have executed it or not."""

HALTING: Final = frozenset(
    {
        Retcode.TRADE_DISABLED,
        Retcode.NO_MONEY,
        Retcode.SERVER_DISABLES_AT,
        Retcode.CLIENT_DISABLES_AT,
        Retcode.LIMIT_ORDERS,
        Retcode.LIMIT_VOLUME,
        Retcode.LIMIT_POSITIONS,
        Retcode.LONG_ONLY,
        Retcode.SHORT_ONLY,
        Retcode.CLOSE_ONLY,
        Retcode.FIFO_CLOSE,
    }
)
"""Refusals that stay until a person changes something."""

OF_ENTRIES: Final = HALTING - {
    Retcode.TRADE_DISABLED,
    Retcode.SERVER_DISABLES_AT,
    Retcode.CLIENT_DISABLES_AT,
    Retcode.FIFO_CLOSE,
}
"""Those of them that only what adds exposure meets: that something else was taken doesn't end them."""

OF_ACCOUNT: Final = frozenset({Retcode.SERVER_DISABLES_AT, Retcode.CLIENT_DISABLES_AT})
"""Those of them that every request meets, of whichever symbol."""

API_DISABLED: Final = -8
"""`last_error()` where the terminal doesn't let programs trade: nothing was sent."""

INVALID_PARAMS: Final = -2
"""`last_error()` of a request that the package itself doesn't take: nothing was sent."""
