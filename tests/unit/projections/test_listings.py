"""Which listing is meant, and what is said when none or several are."""

from __future__ import annotations

import pytest

from projections.listings import Known, UnknownSymbol, resolve

KNOWN = [
    Known("dukascopy/EURUSD", 1),
    Known("oanda/EURUSD", 2),
    Known("oanda/GBPUSD", 3),
    Known("demo/US500#", 4),
    Known("demo/Öl Brent", None),
]


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("oanda/EURUSD", "oanda/EURUSD"),
        ("GBPUSD", "oanda/GBPUSD"),
        ("US500#", "demo/US500#"),
        ("Öl Brent", "demo/Öl Brent"),
    ],
)
def test_a_listing_goes_by_its_name_or_by_its_symbol_alone(symbol: str, name: str) -> None:
    assert resolve(symbol, KNOWN).name == name


def test_a_symbol_of_several_feeds_wants_a_feed() -> None:
    with pytest.raises(UnknownSymbol, match=r"2 feeds have EURUSD: say which one: dukascopy/EURUSD, oanda/EURUSD"):
        resolve("EURUSD", KNOWN)


@pytest.mark.parametrize(
    ("symbol", "near"),
    [
        ("EURUSE", "near it: dukascopy/EURUSD, oanda/EURUSD"),
        ("gbpusd", "near it: oanda/GBPUSD"),
        ("oanda/US500", "near it: demo/US500#"),
        ("fxcm/GBPUSD", "near it: oanda/GBPUSD"),
        ("brent", "near it: demo/Öl Brent"),
        ("Q", "there are dukascopy/EURUSD, oanda/EURUSD, oanda/GBPUSD, demo/US500#, demo/Öl Brent"),
    ],
)
def test_an_unknown_one_lists_the_near_ones(symbol: str, near: str) -> None:
    with pytest.raises(UnknownSymbol) as caught:
        resolve(symbol, KNOWN)

    assert near in str(caught.value)
    assert symbol in str(caught.value)


def test_an_empty_database_says_how_to_fill_it() -> None:
    with pytest.raises(UnknownSymbol, match="tickledger import"):
        resolve("EURUSD", [])
