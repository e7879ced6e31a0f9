"""What of the log concerns an account, record by record."""

from __future__ import annotations

import dataclasses

from agents.risk import no_limits
from schemas.configuration import SessionTable
from schemas.events import ReferenceRecord, SignalKind
from streams.operators.desk.reference import DESK
from streams.sequencer.scope import Scope
from tests.property.references import built_in
from tests.unit.streams.desk.account import CONFIG, LONG, REFERENCE, SPEC, signal, strategy

OTHERS = dataclasses.replace(CONFIG, account="other")
JPY = dataclasses.replace(SPEC, listing="rates/USDJPY")
RUNS = dataclasses.replace(built_in("berserker"), instance="one", listings=())


def scope(*records: ReferenceRecord) -> Scope:
    made = Scope("test")
    for record in records:
        made.take(record)
    return made


def test_a_listings_spec_that_comes_before_the_account_is_taken_right_before_it() -> None:
    sessions = SessionTable(**REFERENCE, listing=SPEC.listing, from_minutes=(), to_minutes=())
    made = Scope("test")
    assert made.take(SPEC) == made.take(JPY) == made.take(sessions) == made.take(OTHERS) == []
    assert made.take(CONFIG) == [SPEC, sessions, CONFIG]
    assert made.take(SPEC) == [SPEC]


def test_a_conversion_listing_that_comes_with_a_later_config_brings_its_spec() -> None:
    made = scope(SPEC, JPY, CONFIG)
    later = dataclasses.replace(CONFIG, conversion_listings=("rates/USDJPY",))
    assert made.take(later) == [JPY, later]
    assert made.take(JPY) == [JPY]
    assert made.listings == {"rates/USDJPY"}


def test_only_the_accounts_own_configuration_is_taken() -> None:
    made = scope(CONFIG)
    own, others = no_limits("test"), no_limits("other")
    assert (made.take(own), made.take(others)) == ([own], [])
    assert (made.take(strategy()), made.take(strategy(account="other"))) == ([strategy()], [])
    desk = dataclasses.replace(built_in("berserker"), instance="desk", operator=DESK)
    assert (made.take(desk), made.take(RUNS)) == ([desk], [])


def test_signals_are_wanted_of_instances_that_the_account_trades_or_traded() -> None:
    made = scope(CONFIG, strategy(), strategy("off", active=False), strategy("others", account="other"))
    wanted = {name: made.wants(signal(SignalKind.ENTER, LONG, 0, 0, name)) for name in ("one", "off", "others", "no")}
    assert wanted == {"one": True, "off": True, "others": False, "no": False}


def test_quotes_are_needed_where_strategies_run_and_of_what_converts() -> None:
    other = dataclasses.replace(SPEC, listing="test/USDJPY")
    made = scope(dataclasses.replace(CONFIG, conversion_listings=(JPY.listing,)), SPEC, other, JPY)
    assert made.listings == {JPY.listing}
    made.take(RUNS)
    assert made.listings == {JPY.listing}, "nobody trades it"
    made.take(strategy())
    assert made.listings == {SPEC.listing, "test/USDJPY", JPY.listing}
    made.take(dataclasses.replace(RUNS, listings=("test/USDJPY",)))
    assert made.listings == {"test/USDJPY", JPY.listing}
    made.take(dataclasses.replace(RUNS, active=False))
    assert made.listings == {JPY.listing}


def test_before_its_account_is_configured_nothing_is_needed() -> None:
    made = scope(SPEC, RUNS, strategy())
    assert made.listings == set()
    assert not made.has_feed(SPEC.listing)


def test_a_config_with_another_feed_or_partition_is_left_out() -> None:
    moved = [dataclasses.replace(CONFIG, feed="else"), dataclasses.replace(CONFIG, partition=1)]
    made = scope(CONFIG)
    assert [made.take(one) for one in moved] == [[], []]
    assert made.left_out == moved
    assert made.config == CONFIG
