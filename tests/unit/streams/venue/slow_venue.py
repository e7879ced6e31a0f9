"""A venue written again, slowly: in whole points and cents, a path walked point by point, all looked at on each tick.

One listing of five digits and 100,000 units, quoted in the account's currency: a point of a lot is a dollar. Prices are
points, volumes hundredths of a lot (so a point of a hundredth is a cent), money cents. Nothing of the engine is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

MARKET, LIMIT, STOP = "MARKET", "LIMIT", "STOP"


@dataclass
class Rules:
    netting: bool = False
    balance: int = 1_000_000
    leverage: int = 100
    call: int = 100
    out: int = 50
    stops_level: int = 0
    freeze_level: int = 0
    tenths_a_side: int = 0
    """Commission of a hundredth of a lot, tenths of a cent."""
    swap_long: int = 0
    swap_short: int = 0
    slippage: int = 0
    largest: int = 0


@dataclass
class Held:
    number: int
    order_no: int
    buy: bool
    volume: int
    price: Fraction
    sl: int | None
    tp: int | None
    after_us: int
    day: int
    margin: int
    swap: int = 0


@dataclass
class Waiting:
    ticket: int
    order_no: int
    type: str
    buy: bool
    volume: int
    price: int
    sl: int | None
    tp: int | None
    position: int
    expires_ms: int
    after_us: int
    working: bool = False


def half_up(value: Fraction) -> int:
    return int(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


@dataclass
class SlowVenue:
    rules: Rules
    said: list[tuple] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    tickets: int = 0
    bid: int = 0
    ask: int = 0
    n: int = 0
    calls: list[int] = field(default_factory=list)
    called: bool = False

    def __post_init__(self) -> None:
        self.balance = self.rules.balance

    # Money.

    def gain(self, p: Held, volume: int, price: Fraction | int) -> int:
        return half_up((price - p.price) * volume * (1 if p.buy else -1))

    def floating(self, p: Held) -> int:
        return self.gain(p, p.volume, self.bid if p.buy else self.ask) + p.swap

    def margin_of(self, volume: int, price: int) -> int:
        return half_up(Fraction(volume * price, self.rules.leverage))

    @property
    def equity(self) -> int:
        return self.balance + sum(map(self.floating, self.held))

    @property
    def margin(self) -> int:
        return sum(p.margin for p in self.held)

    def below(self, percent: int) -> bool:
        return bool(self.held) and self.equity * 100 < percent * self.margin

    # Requests. A quote is what prevails: bid, ask, n.

    def place(self, at_us, no, type, buy, volume, price, sl, tp, position, expires_ms, quote) -> None:
        self.bid, self.ask, self.n = quote
        code = self._refusal(at_us, type, buy, volume, price, sl, tp, position, expires_ms)
        if not code and type == MARKET and not position and not self._affordable(buy, volume, self._market(buy)):
            code = 10019
        if code:
            self.said.append(("refused", no, code))
            return
        self.tickets += 1
        order = Waiting(self.tickets, no, type, buy, volume, price or 0, sl, tp, position, expires_ms, at_us)
        if type == MARKET:
            self._fill(order, self._market(buy), at_us)
            self._drop_orphans()
        else:
            self.waiting.append(order)
            self.said.append(("placed", no))

    def _market(self, buy: bool) -> int:
        return self.ask + self.rules.slippage if buy else self.bid - self.rules.slippage

    def _refusal(self, at_us, type, buy, volume, price, sl, tp, position, expires_ms) -> int:
        if type == MARKET and position:
            found = [p for p in self.held if p.number == position]
            if not found:
                return 10036
            if found[0].buy == buy:
                return 10013
            if any(o.position == position and o.buy == buy for o in self.waiting):
                return 10039
            if volume > found[0].volume:
                return 10038
            return 10029 if self._frozen(self.bid if found[0].buy else self.ask, found[0].sl, found[0].tp) else 0
        if type == MARKET:
            return 0 if self._good_levels(buy, sl, tp, self.bid if buy else self.ask) else 10016
        market, least = (self.ask if buy else self.bid), max(self.rules.stops_level, 1)
        if (market - price if (type == LIMIT) == buy else price - market) < least:
            return 10015
        if not self._good_levels(buy, sl, tp, price):
            return 10016
        return 10022 if expires_ms and expires_ms * 1000 <= at_us else 0

    def _good_levels(self, buy, sl, tp, price) -> bool:
        low, high, least = (sl, tp, max(self.rules.stops_level, 1)) if buy else (tp, sl, max(self.rules.stops_level, 1))
        return (low is None or price - low >= least) and (high is None or high - price >= least)

    def _frozen(self, market, *levels) -> bool:
        return any(level is not None and abs(level - market) < self.rules.freeze_level for level in levels)

    def _affordable(self, buy: bool, volume: int, price: int) -> bool:
        freed = 0
        if self.rules.netting and self.held and self.held[0].buy != buy:
            volume -= self.held[0].volume
            freed = self.held[0].margin
            if volume <= 0:
                return True
        return self.margin_of(volume, price) <= self.equity - self.margin + freed

    def modify(self, at_us, no, position, sl, tp, quote) -> None:
        self.bid, self.ask, self.n = quote
        by = [p for p in self.held if (p.number == position if position else p.order_no == no)]
        if not position:
            by += [o for o in self.waiting if o.order_no == no]
        if not by:
            code = 10036
        elif (by[0].sl, by[0].tp) == (sl, tp):
            code = 10025
        elif isinstance(by[0], Held):
            market = self.bid if by[0].buy else self.ask
            frozen = self._frozen(market, by[0].sl, by[0].tp)
            code = 10029 if frozen else 0 if self._good_levels(by[0].buy, sl, tp, market) else 10016
        else:
            frozen = self._frozen(self.ask if by[0].buy else self.bid, by[0].price)
            code = 10029 if frozen else 0 if self._good_levels(by[0].buy, sl, tp, by[0].price) else 10016
        if code:
            self.said.append(("refused", no, code))
            return
        by[0].sl, by[0].tp = sl, tp
        if isinstance(by[0], Held):
            by[0].after_us = at_us
        self.said.append(("changed", no, sl, tp))

    def cancel(self, no, quote) -> None:
        self.bid, self.ask, self.n = quote
        found = [o for o in self.waiting if o.order_no == no]
        if not found:
            self.said.append(("refused", no, 10035))
        elif not found[0].working and self._frozen(self.ask if found[0].buy else self.bid, found[0].price):
            self.said.append(("refused", no, 10029))
        else:
            self._drop(found[0])

    def _drop(self, order: Waiting) -> None:
        self.waiting.remove(order)
        self.said.append(("gone", order.order_no, order.volume))

    def _is_orphan(self, order: Waiting) -> bool:
        sides = [p.buy for p in self.held if p.number == order.position]
        return order.position > 0 and (not sides or (self.rules.netting and sides[0] == order.buy))

    def _drop_orphans(self) -> None:
        for order in [o for o in self.waiting if self._is_orphan(o)]:
            self._drop(order)

    # Ticks.

    def tick(self, n: int, time_ms: int, bid: int, ask: int, path_from: tuple[int, int] | None) -> None:
        us, self.n, self.bid, self.ask = time_ms * 1000, n, bid, ask
        self._nights(time_ms // 86_400_000)
        for order in [o for o in self.waiting if o.expires_ms and time_ms >= o.expires_ms]:
            self.waiting.remove(order)
            self.said.append(("expired", order.order_no, order.volume))
        working = [o for o in self.waiting if o.working and o.after_us < us]
        way = [(bid, ask)]
        if path_from is not None:
            length = abs(bid - path_from[0])
            step = 1 if bid > path_from[0] else -1
            way = [(path_from[0] + step * k, path_from[1] + step * k) for k in range(length + 1)]
        for place, (self.bid, self.ask) in enumerate(way):
            if path_from is None or place:
                while self._one_event(us):
                    pass
            if len(way) > 1:
                self._outs(us, at_end=False)
        for order in working:
            self._go_on(order, us)
        while working and self._one_event(us):
            pass
        self._outs(us)
        self._drop_orphans()

    def _nights(self, day: int) -> None:
        for p in self.held:
            for night in range(p.day, day):
                weekday = (night + 4) % 7
                times = 0 if weekday in (0, 6) else 3 if weekday == 3 else 1
                p.swap += times * p.volume * (self.rules.swap_long if p.buy else self.rules.swap_short)
            p.day = max(p.day, day)

    def _one_event(self, us: int) -> bool:
        for stops in (True, False):
            for p in sorted(self.held, key=lambda p: p.number):
                level, market = (p.sl if stops else p.tp), (self.bid if p.buy else self.ask)
                if level is None or p.after_us >= us:
                    continue
                if (market <= level) if p.buy == stops else (market >= level):
                    slip = self.rules.slippage if stops else 0
                    self._close(p, market - slip if p.buy else market + slip, "SL" if stops else "TP")
                    return True
        for order in sorted(self.waiting, key=lambda o: o.ticket):
            if order.working or order.after_us >= us or not self._is_reached(order):
                continue
            price = self._market(order.buy) if order.type == STOP else (self.ask if order.buy else self.bid)
            if self._affordable(order.buy, order.volume, price):
                self._fill(order, price, us - 1)
            else:
                self._drop(order)
            return True
        return False

    def _is_reached(self, order: Waiting) -> bool:
        market = self.ask if order.buy else self.bid
        return market <= order.price if (order.type == LIMIT) == order.buy else market >= order.price

    def _go_on(self, order: Waiting, us: int) -> None:
        if order not in self.waiting:
            return
        if self._is_orphan(order):
            self._drop(order)
            return
        for p in self.held:
            if p.number == order.position and p.buy != order.buy:
                order.volume = min(order.volume, p.volume)
        if order.type == LIMIT:
            if self._is_reached(order):
                self._fill(order, self.ask if order.buy else self.bid, us - 1)
        else:
            self._fill(order, self._market(order.buy), us - 1)

    def _outs(self, us: int, at_end: bool = True) -> None:
        """A margin call is looked for where a tick ends, and where a stop-out is."""
        while True:
            if not self.called and (at_end or self.below(self.rules.out)) and self.below(self.rules.call):
                self.called = True
                self.calls.append(us)
            if not self.below(self.rules.out):
                return
            worst = min(self.held, key=lambda p: (self.floating(p), p.number))
            slip = self.rules.slippage
            self._close(worst, self.bid - slip if worst.buy else self.ask + slip, "SO")

    # Deals.

    def _fill(self, order: Waiting, price: int, us: int) -> None:
        volume = min(order.volume, self.rules.largest or order.volume)
        order.volume -= volume
        number = self._deal(order, volume, price, us, "EXPERT")
        if order.volume:
            order.working, order.after_us = True, us
            if not self.rules.netting:
                order.position = number
            if order not in self.waiting:
                self.waiting.append(order)
        elif order in self.waiting:
            self.waiting.remove(order)

    def _close(self, p: Held, price: int, reason: str) -> None:
        self.tickets += 1
        order = Waiting(self.tickets, p.order_no, MARKET, not p.buy, 0, 0, None, None, p.number, 0, 0)
        self._deal(order, p.volume, price, 0, reason)

    def _deal(self, order: Waiting, volume: int, price: int, us: int, reason: str) -> int:
        rules = self.rules
        found = [p for p in self.held if p.number == order.position]
        if not order.position and rules.netting:
            found = self.held[:1]
        commission, swap, profit, margin = -half_up(Fraction(rules.tenths_a_side * volume, 10)), 0, 0, None
        day = (us + (us % 1000 == 999)) // 86_400_000_000
        if not found:
            entry, number = "IN", order.ticket
            margin = self.margin_of(volume, price)
            new = (number, order.order_no, order.buy, volume, Fraction(price), order.sl, order.tp, us, day, margin)
            self.held.append(Held(*new))
        elif found[0].buy == order.buy:
            entry, p = "IN", found[0]
            number = p.number
            mean = (p.price * p.volume + price * volume) / (p.volume + volume)
            p.price = Fraction(repr(float(mean / 100_000))) * 100_000
            p.volume += volume
            p.margin += self.margin_of(volume, price)
            if not order.working:
                p.sl = p.sl if order.sl is None else order.sl
                p.tp = p.tp if order.tp is None else order.tp
        else:
            entry, p = "OUT", found[0]
            number, part = p.number, min(volume, p.volume)
            profit = self.gain(p, part, price)
            swap = half_up(Fraction(p.swap * part, p.volume))
            p.margin -= half_up(Fraction(p.margin * part, p.volume))
            p.swap -= swap
            p.volume -= part
            if not p.volume:
                self.held.remove(p)
            if volume > part:
                entry, rest = "INOUT", volume - part
                margin = self.margin_of(rest, price)
                new = (number, order.order_no, order.buy, rest, Fraction(price), order.sl, order.tp, us, day, margin)
                self.held.append(Held(*new))
        self.balance += profit + swap + commission
        if not self.held:
            self.called = False
        deal = (order.order_no, number, entry, reason, volume, order.volume, price, self.n, commission, swap, profit)
        self.said.append(("deal", *deal))
        return number
