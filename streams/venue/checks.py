"""What a request must fulfil before the venue takes it, by the listing's specification. All distances in decimals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from agents.money import Quote, exact
from schemas.configuration import SessionTable
from schemas.events import ListingSpec, Side
from schemas.trading import OrderType
from streams.venue.book import Order, Position
from streams.venue.retcodes import Refusal, Retcode

_WEEK: int = 7 * 1440
_DAY_MS: int = 86_400_000


def on_grid(spec: ListingSpec, price: float | None) -> float | None:
    """A price rounded to the listing's digits, as the terminal sends it."""
    if price is None or not math.isfinite(price):
        return price
    return float(exact(price).quantize(Decimal(1).scaleb(-spec.digits), ROUND_HALF_EVEN))


def server_day(time_ms: int, server_offset_s: int) -> int:
    """The server's day, counted from 1970-01-01."""
    return (time_ms + server_offset_s * 1000) // _DAY_MS


def day_start_ms(day: int, server_offset_s: int) -> int:
    """When the server's day begins, UTC."""
    return day * _DAY_MS - server_offset_s * 1000


def check_session(table: SessionTable | None, time_ms: int, server_offset_s: int) -> None:
    """Raises Refusal (market closed) outside the listing's sessions."""
    if table is None:
        return
    # 1970-01-01 was a Thursday, four days after a Sunday.
    minute = ((time_ms // 1000 + server_offset_s) // 60 + 4 * 1440) % _WEEK
    if not any(start <= minute < end for start, end in zip(table.from_minutes, table.to_minutes, strict=True)):
        raise Refusal(Retcode.MARKET_CLOSED, "the market is closed")


def check_volume(spec: ListingSpec, volume: float) -> None:
    """Raises Refusal unless the lots are within the listing's least and most and on its step."""
    if not math.isfinite(volume) or volume <= 0:
        raise Refusal(Retcode.INVALID_VOLUME, f"{volume:g} lots are no volume")
    if spec.volume_min and volume < spec.volume_min:
        raise Refusal(Retcode.INVALID_VOLUME, f"{volume:g} lots are less than the least, {spec.volume_min:g}")
    if spec.volume_max and volume > spec.volume_max:
        raise Refusal(Retcode.INVALID_VOLUME, f"{volume:g} lots are more than the most, {spec.volume_max:g}")
    if spec.volume_step and exact(volume) % exact(spec.volume_step):
        raise Refusal(Retcode.INVALID_VOLUME, f"{volume:g} lots are not on the step of {spec.volume_step:g}")


def check_pending_price(spec: ListingSpec, type: OrderType, side: Side, price: float | None, quote: Quote) -> None:
    """Raises Refusal unless a limit is on the better side of the market and a stop on the worse, far enough away."""
    if price is None or not math.isfinite(price) or price <= 0:
        raise Refusal(Retcode.INVALID_PRICE, f"a {type.lower()} order needs a price, not {price}")
    market = quote.ask if side is Side.LONG else quote.bid
    below = (type is OrderType.LIMIT) == (side is Side.LONG)
    if not _apart(spec, *((price, market) if below else (market, price))):
        raise Refusal(
            Retcode.INVALID_PRICE,
            f"the price {price} of a {'buy' if side is Side.LONG else 'sell'} {type.lower()} must be "
            f"{'below' if below else 'above'} {market}{_by(spec)}",
        )


def check_levels(spec: ListingSpec, side: Side, sl: float | None, tp: float | None, price: float) -> None:
    """Raises Refusal unless stop and target lie on their sides of `price`, far enough away.

    It is the price at which an open position would close now, and a pending order's own.
    """
    low, high = (sl, tp) if side is Side.LONG else (tp, sl)
    if low is not None and not _apart(spec, low, price):
        name, where, level = ("stop" if low is sl else "target"), "below", low
    elif high is not None and not _apart(spec, price, high):
        name, where, level = ("target" if high is tp else "stop"), "above", high
    else:
        return
    raise Refusal(Retcode.INVALID_STOPS, f"the {name} {level} of a {side.lower()} must be {where} {price}{_by(spec)}")


def check_expiry(expires_ms: int, at_us: int) -> None:
    """Raises Refusal if a pending order's time (0 = it has none) has run out at its arrival."""
    if expires_ms and expires_ms * 1000 <= at_us:
        raise Refusal(Retcode.INVALID_EXPIRATION, "the order's time had run out before it arrived")


def check_closing(
    order: Order, position: Position | None, orders: Iterable[Order], spec: ListingSpec, quote: Quote
) -> None:
    """Raises Refusal unless the order can close lots of `position`, the one that it names, beside the open `orders`."""
    if position is None or position.listing != order.listing:
        raise Refusal(Retcode.POSITION_CLOSED, f"position {order.position} is not open")
    if position.side is order.side:
        raise Refusal(Retcode.INVALID, f"a {position.side.lower()} position is closed by the other side")
    if any(other.position == order.position and other.side is order.side for other in orders):
        raise Refusal(Retcode.CLOSE_ORDER_EXIST, f"position {order.position} is being closed already")
    if order.volume > position.volume:
        raise Refusal(Retcode.INVALID_CLOSE_VOLUME, f"only {position.volume} lots of {order.position} are open")
    if order.volume != position.volume:  # Closing all of it is possible whatever is left.
        check_volume(spec, float(order.volume))
    check_frozen(spec, position, quote)


def check_frozen(spec: ListingSpec, thing: Order | Position, quote: Quote) -> None:
    """Raises Refusal while the market is nearer to a price that would act than the freeze level."""
    if not spec.freeze_level:
        return
    levels: tuple[float | None, ...]
    if isinstance(thing, Order):
        market, levels = (quote.ask if thing.side is Side.LONG else quote.bid), (thing.price,)
    else:
        market, levels = (quote.bid if thing.side is Side.LONG else quote.ask), (thing.sl, thing.tp)
    least = Decimal(spec.freeze_level).scaleb(-spec.digits)
    for level in levels:
        if level is not None and abs(exact(level) - exact(market)) < least:
            raise Refusal(
                Retcode.FROZEN, f"the market at {market} is within {spec.freeze_level} points (freeze level) of {level}"
            )


def floor_lots(spec: ListingSpec, volume: Decimal) -> Decimal:
    """The largest size on the listing's step that is not above `volume`."""
    if not spec.volume_step:
        return volume
    step = exact(spec.volume_step)
    return (volume / step).to_integral_value(ROUND_FLOOR) * step


def _apart(spec: ListingSpec, lower: float, upper: float) -> bool:
    if not (math.isfinite(lower) and math.isfinite(upper) and lower > 0):
        return False
    gap = exact(upper) - exact(lower)
    return gap > 0 and gap >= Decimal(spec.stops_level).scaleb(-spec.digits)


def _by(spec: ListingSpec) -> str:
    return f" by at least {spec.stops_level} points (stops level)" if spec.stops_level else ""
