"""Names that records go by: listings, operators, signals. No offset, UUID or wall time is part of any of them."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

MAX_SYMBOL = 29
"""MT5 takes symbols of at most 29 characters."""

_FEED = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_INSTANCE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class InvalidName(ValueError):
    """A listing, feed, symbol or operator whose name can't be used; the message says why and what can."""


class Listing(NamedTuple):
    """One symbol of one source of quotes, written `feed/SYMBOL`."""

    feed: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.feed}/{self.symbol}"


def parse_listing(text: str) -> Listing:
    """`feed/SYMBOL` as a Listing. Raises InvalidName with the reason."""
    feed, slash, symbol = text.partition("/")
    if not slash:
        raise InvalidName(f"listing {text!r} has no feed: write it as feed/SYMBOL, such as oanda/EURUSD")
    return Listing(check_feed(feed), check_symbol(symbol))


def check_feed(feed: str) -> str:
    """`feed` itself if it can name a source of quotes, else InvalidName."""
    if not _FEED.fullmatch(feed):
        raise InvalidName(
            f"feed {feed!r} can't be used: up to 48 lower-case letters, digits, '.', '_', '-'; a letter or digit first"
        )
    return feed


def check_symbol(symbol: str) -> str:
    """`symbol` itself, the broker's own spelling with `#`, spaces or any script, else InvalidName.

    Refused: empty, longer than 29 characters, `/`, a space at either end; and what would make two listings that look
    alike: characters that can't be seen (controls, spaces other than ' ') and text that is not in Unicode's NFC form.
    """
    if not symbol:
        raise InvalidName("the symbol is empty: write it as the broker spells it, such as EURUSD")
    if len(symbol) > MAX_SYMBOL:
        raise InvalidName(f"symbol {symbol!r} has {len(symbol)} characters: MT5 takes at most {MAX_SYMBOL}")
    if "/" in symbol:
        raise InvalidName(f"symbol {symbol!r} has a '/', which parts feed and symbol: leave it out, as in EURUSD")
    if symbol != symbol.strip():
        raise InvalidName(f"symbol {symbol!r} starts or ends with a space: leave it out")
    hidden = [c for c in symbol if not c.isprintable()]
    if hidden:
        raise InvalidName(f"symbol {symbol!r} has the character {hidden[0]!r}, which can't be seen: leave it out")
    if not unicodedata.is_normalized("NFC", symbol):
        raise InvalidName(
            f"symbol {symbol!r} is not in Unicode's NFC form: write it as {unicodedata.normalize('NFC', symbol)!r}"
        )
    return symbol


def operator_id(instance: str, ref_no: int) -> str:
    """`instance@ref_no`: the instance as of one activation, which is what numbers outputs."""
    if not _INSTANCE.fullmatch(instance):
        raise InvalidName(
            f"instance {instance!r} can't be used: letters, digits, '_', '-' and '.', a letter first, up to 64"
        )
    return f"{instance}@{ref_no}"


def split_operator(operator: str) -> tuple[str, int]:
    """(instance, ref_no) of `instance@ref_no`. Raises InvalidName."""
    instance, _, number = operator.rpartition("@")
    if not _INSTANCE.fullmatch(instance) or not _NUMBER.fullmatch(number):
        raise InvalidName(f"operator {operator!r} is not of the form instance@ref_no, such as berserker@2")
    return instance, int(number)


class SignalId(NamedTuple):
    """A signal's position: `operator/feed/SYMBOL/out_seq`, such as `berserker@2/oanda/EURUSD/17`."""

    operator: str
    listing: str
    out_seq: int

    def __str__(self) -> str:
        return f"{self.operator}/{self.listing}/{self.out_seq}"


def parse_signal_id(text: str) -> SignalId:
    """The parts of a signal's id. Raises InvalidName."""
    operator, _, rest = text.partition("/")
    listing, _, number = rest.rpartition("/")
    if not listing or not _NUMBER.fullmatch(number):
        raise InvalidName(
            f"signal id {text!r} is not of the form operator/feed/SYMBOL/number: `query signals` lists them"
        )
    split_operator(operator)
    return SignalId(operator, str(parse_listing(listing)), int(number))
