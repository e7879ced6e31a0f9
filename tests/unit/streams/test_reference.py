"""What is configured as of a reference number."""

from __future__ import annotations

import dataclasses

import pytest

from agents.risk import no_limits
from schemas.events import ReferenceOpen, Repair
from schemas.integrity import ZERO_MAC
from streams.reference import ReferenceHole, ReferenceView
from tests.property.references import LISTING, built_in, spec, view
from tests.unit.streams.desk.account import CONFIG

DAY_US = 86_400_000_000


def test_a_block_sees_only_the_records_up_to_its_number() -> None:
    reference = view(spec(digits=4), spec(digits=5))
    assert reference.spec(LISTING, 0, 0) is None
    found = [reference.spec(LISTING, ref_no, 0) for ref_no in (1, 2)]
    assert [s and s.digits for s in found] == [4, 5]


def test_a_planned_change_holds_from_its_time_on_and_a_correction_leaves_it_planned() -> None:
    reference = view(spec(digits=4), spec(digits=6, effective_from_us=2 * DAY_US), spec(digits=5))
    digits = [reference.spec(LISTING, 3, day * DAY_US // 1000) for day in (1, 2)]
    assert [s and s.digits for s in digits] == [5, 6]


def test_a_fraction_of_a_millisecond_is_not_reached_by_the_tick_before() -> None:
    reference = view(spec(effective_from_us=1_001))
    assert reference.spec(LISTING, 1, 1) is None
    assert reference.spec(LISTING, 1, 2) is not None


def test_specs_of_other_listings_are_not_seen() -> None:
    assert view(spec(listing="other/EURUSD")).specs(LISTING) == ()


def test_a_hole_in_the_numbers_is_refused() -> None:
    reference = view(spec())
    with pytest.raises(ReferenceHole, match="record 3 came after 1: 2 is missing"):
        reference.apply(dataclasses.replace(spec(), ref_no=3))


def test_an_open_has_no_number_and_a_repair_is_kept() -> None:
    opening = ReferenceOpen(epoch=1, nonce=bytes(8), seq=0, written_us=0, key_id="k", prev=ZERO_MAC, mac=ZERO_MAC)
    repair = Repair(
        epoch=1, nonce=bytes(8), seq=1, ref_no=1, effective_from_us=0, written_us=0, topic="ticks", partition=3,
        offset=7, value_sha256=bytes(32), chain=LISTING, head_epoch=1, head_nonce=bytes(8), head_seq=4,
        head_n=40, head_ref_no=1, head_mac=ZERO_MAC, reason="", who="", key_id="k", prev=ZERO_MAC, mac=ZERO_MAC,
    )  # fmt: skip
    reference = ReferenceView([opening, repair])
    assert (reference.last, reference.repairs) == (1, (repair,))


def test_activations_of_a_listing_are_those_of_instances_that_ever_name_it() -> None:
    reference = view(
        built_in("bars"),
        built_in("berserker", listings=("other/EURUSD",)),
        built_in("bars", listings=("other/EURUSD",)),
    )
    assert [a.ref_no for a in reference.activations(LISTING)] == [1, 3]
    assert [a.ref_no for a in reference.activations()] == [1, 2, 3]


def test_steps_of_a_number_not_read_yet_are_not_remembered() -> None:
    reference = view(spec(digits=4))
    assert len(reference.spec_steps(LISTING, 2)) == 1
    reference.apply(dataclasses.replace(spec(digits=5, effective_from_us=DAY_US), ref_no=2))
    assert len(reference.spec_steps(LISTING, 2)) == 2


def test_what_an_account_is_configured_to_is_numbered_and_is_no_repair() -> None:
    account = no_limits("one")
    reference = view(spec())
    reference.apply(dataclasses.replace(account, ref_no=2))
    assert reference.last == 2
    assert reference.repairs == ()


def test_an_account_stays_where_its_first_config_put_it() -> None:
    moved = dataclasses.replace(CONFIG, partition=CONFIG.partition + 1)
    reference = ReferenceView([dataclasses.replace(CONFIG, ref_no=1), dataclasses.replace(moved, ref_no=2)])
    assert reference.accounts[CONFIG.account].partition == CONFIG.partition
