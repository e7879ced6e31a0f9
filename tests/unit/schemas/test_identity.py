"""Names: which are taken, which are refused and why, and that each is read back as it was written."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.identity import (
    MAX_SYMBOL,
    InvalidName,
    Listing,
    SignalId,
    check_feed,
    check_symbol,
    operator_id,
    parse_listing,
    parse_signal_id,
    split_operator,
)

feeds = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)
instances = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
numbers = st.integers(0, 10**18 - 1)
symbols = (
    st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=MAX_SYMBOL)
    .map(lambda s: unicodedata.normalize("NFC", s).replace("/", "-").strip()[:MAX_SYMBOL].strip())
    .filter(lambda s: s and unicodedata.is_normalized("NFC", s) and s.isprintable())
)


@given(feeds, symbols)
def test_a_listing_is_read_back_as_it_was_written(feed: str, symbol: str) -> None:
    assert parse_listing(f"{feed}/{symbol}") == (feed, symbol)
    assert str(Listing(feed, symbol)) == f"{feed}/{symbol}"


@given(instances, feeds, symbols, numbers, numbers)
def test_a_signal_id_is_read_back_as_it_was_written(
    instance: str, feed: str, symbol: str, ref_no: int, out_seq: int
) -> None:
    wanted = SignalId(operator_id(instance, ref_no), f"{feed}/{symbol}", out_seq)
    assert parse_signal_id(str(wanted)) == wanted


@given(instances, numbers)
def test_an_operator_is_read_back_as_it_was_written(instance: str, ref_no: int) -> None:
    assert split_operator(operator_id(instance, ref_no)) == (instance, ref_no)


@given(st.text(max_size=30))
def test_what_is_taken_is_what_it_is_written_as(text: str) -> None:
    """Else two texts would name one listing, operator or signal."""
    for parse in (parse_listing, parse_signal_id, lambda t: operator_id(*split_operator(t))):
        try:
            found = parse(text)
        except InvalidName:
            continue
        assert str(found) == text


@pytest.mark.parametrize(
    "symbol",
    ["EURUSD", "EURUSD#", "#US500", "Volatility 75 Index", "EURUSD.pro", "BTC|USD", "日経225", "£", "a" * 29, "😀"],
)
def test_symbols_that_brokers_use_are_taken(symbol: str) -> None:
    assert check_symbol(symbol) == symbol


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("", "the symbol is empty: write it as the broker spells it"),
        ("a" * 30, "has 30 characters: MT5 takes at most 29"),
        ("EUR/USD", "has a '/', which parts feed and symbol: leave it out"),
        ("EURUSD ", "starts or ends with a space: leave it out"),
        (" EURUSD", "starts or ends with a space: leave it out"),
        ("EURUSD\n", "starts or ends with a space: leave it out"),
        ("EUR\0USD", r"has the character '\x00', which can't be seen: leave it out"),
        ("EUR\tUSD", r"has the character '\t', which can't be seen: leave it out"),
        ("EUR\u200bUSD", r"has the character '\u200b', which can't be seen: leave it out"),
        ("EUR\u202eUSD", r"has the character '\u202e', which can't be seen: leave it out"),
        ("Volatility\u00a075", r"has the character '\xa0', which can't be seen: leave it out"),
        ("EUR\u2028USD", r"has the character '\u2028', which can't be seen: leave it out"),
        ("EUR\ud800", r"has the character '\ud800', which can't be seen: leave it out"),
        ("Cafe\u0301", "is not in Unicode's NFC form: write it as 'Café'"),
    ],
)
def test_other_symbols_are_refused_with_the_reason(symbol: str, reason: str) -> None:
    with pytest.raises(InvalidName, match=re.escape(reason)):
        check_symbol(symbol)


@pytest.mark.parametrize("feed", ["", "Oanda", "o anda", "-oanda", "oanda\n", "oanda#", "ö", "a" * 49])
def test_other_feeds_are_refused(feed: str) -> None:
    with pytest.raises(InvalidName, match="up to 48 lower-case letters, digits"):
        check_feed(feed)


def test_a_listing_without_feed_is_refused() -> None:
    with pytest.raises(
        InvalidName, match="listing 'EURUSD' has no feed: write it as feed/SYMBOL, such as oanda/EURUSD"
    ):
        parse_listing("EURUSD")


@pytest.mark.parametrize("instance", ["", "1st", "a b", "a@b", "a/b", "a" * 65, "ä"])
def test_other_instances_are_refused(instance: str) -> None:
    with pytest.raises(InvalidName, match="can't be used: letters, digits"):
        operator_id(instance, 1)
    with pytest.raises(InvalidName, match="is not of the form instance@ref_no"):
        split_operator(f"{instance}@1")


@pytest.mark.parametrize("number", ["", "-1", "01", "+1", "1.0", "x", "１", "1\n", "9" * 19, "9" * 5_000])
def test_other_numbers_are_refused(number: str) -> None:
    """Python reads no more than 4,300 digits, and raises what nobody expects."""
    with pytest.raises(InvalidName, match="is not of the form instance@ref_no, such as berserker@2"):
        split_operator(f"bars@{number}")
    with pytest.raises(InvalidName, match="is not of the form operator/feed/SYMBOL/number"):
        parse_signal_id(f"bars@1/oanda/EURUSD/{number}")


@pytest.mark.parametrize("text", ["", "bars@1", "bars@1/17", "bars@1/oanda/17", "bars/oanda/EURUSD/17", "bars@1//E/1"])
def test_what_is_no_signal_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        parse_signal_id(text)


@given(feeds, symbols, st.text(max_size=4))
def test_a_listing_has_one_slash(feed: str, symbol: str, more: str) -> None:
    assume(more)
    with pytest.raises(InvalidName):
        parse_listing(f"{feed}/{symbol}/{more}")
