"""Which instances of a listing run, from when, and where each stands."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from schemas.events import Bar, ProgramKind
from schemas.integrity import ZERO_MAC
from schemas.ticks import TickBlock, TickSource, open_block
from streams.fold import Behind, ListingFold, Output, Position, ReferenceBehind
from streams.operators.base import BadState, MissingSpec
from tests.property.references import LISTING, built_in, spec, view
from tests.property.tick_logs import block

MINUTE_MS = 60_000


def minute(k: int, ref_no: int = 9, gap: bool = False) -> TickBlock:
    """Link k + 1 of a log with one tick a minute, which is tick number k."""
    times = np.array([k * MINUTE_MS], np.int64)
    bid = np.array([1.39])
    return block(
        time_ms=times, bid=bid, ask=bid + 1e-4, seq=k + 1, first_n=k, ref_no=ref_no, watermark_ms=k * MINUTE_MS, gap=gap
    )


def minutes(*ref_nos: int) -> list[TickBlock]:
    return [minute(k, ref_no) for k, ref_no in enumerate(ref_nos)]


def m1(outputs: Sequence[Output]) -> dict[str, list[int]]:
    """By operator: the minutes whose M1 bars were put out."""
    found: dict[str, list[int]] = {}
    for output in outputs:
        for bar in output.records():
            if isinstance(bar, Bar) and bar.timeframe.ms == MINUTE_MS:
                found.setdefault(bar.operator, []).append(bar.time_ms // MINUTE_MS)
    return found


def test_an_instance_puts_out_from_the_first_block_of_its_number_on_and_has_folded_those_before() -> None:
    fold = ListingFold(LISTING, view(spec(), spec(), built_in("bars")))
    outputs = fold.fold(minutes(1, 1, 2, 3, 3))
    assert m1(outputs) == {"bars@3": [2, 3]}
    assert outputs[0].out_seq == 0
    assert fold.positions() == {"bars@3": Position(5, 5, False)}


def test_with_emit_all_the_earlier_blocks_count_too() -> None:
    fold = ListingFold(LISTING, view(spec(), spec(), built_in("bars", emit_all=True)))
    outputs = fold.fold(minutes(1, 1, 2, 3, 3))
    assert m1(outputs) == {"bars@3": [0, 1, 2, 3]}
    assert [o.ref_no for o in outputs] == [1, 2, 3]


def test_a_later_activation_takes_the_place_of_the_earlier_one_and_numbers_from_zero() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars"), built_in("bars")))
    outputs = fold.fold(minutes(2, 2, 3, 3))
    assert m1(outputs) == {"bars@2": [0], "bars@3": [1, 2]}
    assert [o.out_seq for o in outputs] == [0, 0]
    assert fold.positions() == {"bars@2": Position(0, 0, True), "bars@3": Position(4, 4, False)}


def test_an_activation_that_is_not_active_or_names_other_listings_ends_its_instance() -> None:
    for ended in (built_in("bars", active=False), built_in("bars", listings=("other/EURUSD",))):
        fold = ListingFold(LISTING, view(spec(), built_in("bars"), ended))
        assert m1(fold.fold(minutes(2, 2, 3, 3))) == {"bars@2": [0]}
        assert list(fold.positions()) == ["bars@2"]


def test_warm_from_leaves_out_what_lies_before_it() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars", warm_from_us=2 * MINUTE_MS * 1000, emit_all=True)))
    assert m1(fold.fold(minutes(1, 1, 1, 1, 1))) == {"bars@2": [2, 3]}


def test_the_names_of_open_blocks_are_not_folded() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars")))
    assert fold.fold([open_block(LISTING, 1, bytes(8), TickSource.IMPORT, 0, "k")]) == []
    assert fold.positions() == {"bars@2": Position(0, 0, False)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"operator": "oracle"}, "has no oracle 1"),
        ({"version": 7}, "has no bars 7"),
        ({"program_sha256": "0" * 64}, "of the log is 000000000000"),
        ({"program_kind": ProgramKind.CLASS}, "CLASS"),
        ({"parameters": '{"period":3}'}, "takes no parameters"),
    ],
)
def test_what_this_release_cannot_run_is_named_and_ends_what_ran_before(
    changes: dict[str, object], reason: str
) -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars"), built_in("bars", **changes)))
    ((activation, why),) = fold.unrunnable
    assert activation.ref_no == 3
    assert reason in why
    assert m1(fold.fold(minutes(2, 2, 3, 3))) == {"bars@2": [0]}


def test_a_block_of_a_number_not_read_yet_is_refused_before_anything_is_folded() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars")))
    with pytest.raises(ReferenceBehind, match="reference 3, read so far: 2"):
        fold.fold(minutes(2, 3))
    assert fold.positions() == {"bars@2": Position(0, 0, False)}


def test_good_ticks_without_a_spec_are_refused_before_anything_is_folded() -> None:
    fold = ListingFold(LISTING, view(built_in("bars"), spec()))
    with pytest.raises(MissingSpec, match="no ListingSpec in force at reference 1"):
        fold.fold(minutes(1, 2))
    assert m1(fold.fold(minutes(2, 2))) == {"bars@1": [0]}


def test_a_hole_is_the_drivers_error_and_a_block_seen_before_changes_nothing() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars"), built_in("berserker"), *[spec()] * 6))
    log = minutes(*[9] * 6)
    fold.fold(log[:3])
    assert fold.fold(log[:3]) == []
    with pytest.raises(Behind, match="stands at link 3 and was given links 5 to 6"):
        fold.fold(log[4:])
    assert m1(fold.fold(log[1:5])) == {"bars@2": [2, 3]}


def test_an_activation_gained_while_running_waits_until_it_has_caught_up() -> None:
    reference = view(spec(), built_in("bars"))
    fold = ListingFold(LISTING, reference)
    log = minutes(2, 2, 3, 3, 3)
    assert m1(fold.fold(log[:2])) == {"bars@2": [0]}
    reference.apply(dataclasses.replace(built_in("bars"), ref_no=3))
    assert fold.sync() == ["bars@3"]
    assert fold.sync() == []
    assert fold.fold(log[2:3]) == []
    assert m1(fold.fold(log[:3])) == {"bars@3": [1]}
    assert m1(fold.fold(log[3:])) == {"bars@3": [2, 3]}
    with pytest.raises(Behind):
        fold.fold([minute(7)._replace(ref_no=3)])


def test_a_repair_moves_those_before_it_over_a_gap() -> None:
    fold = ListingFold(LISTING, view(spec(), built_in("bars"), *[spec()] * 7))
    fold.fold([minute(0), minute(1)])
    fold.repaired(4, 4)
    fold.repaired(3, 3)
    assert fold.positions() == {"bars@2": Position(4, 4, False)}
    outputs = fold.fold([minute(4), minute(5), minute(6)])
    bars = [b for o in outputs for b in o.records() if isinstance(b, Bar) and b.timeframe.ms == MINUTE_MS]
    assert [(b.time_ms // MINUTE_MS, b.complete) for b in bars] == [(1, False), (4, False), (5, True)]


def test_a_restored_instance_is_refused_if_its_state_is_not_what_was_saved() -> None:
    reference = view(spec(), built_in("bars"), *[spec()] * 7)
    fold = ListingFold(LISTING, reference)
    fold.fold([minute(0), minute(1)])
    saved = fold.dump("bars@2")
    other = ListingFold(LISTING, reference)
    with pytest.raises(BadState, match="has digest"):
        other.load("bars@2", saved._replace(digest="0" * 64))
    with pytest.raises(KeyError):
        other.load("bars@7", saved)
    other.load("bars@2", saved)
    assert other.dump("bars@2") == saved


def test_signals_come_without_a_mac_and_with_the_instances_name() -> None:
    parameters = (
        '{"commission_points":0,"entry_deviations":0.5,"max_spread_points":1000,"mean_ms":10000,"min_edge_points":0,'
        '"turn_agree":1,"turn_changes":1,"warm_up_ms":0,"warm_up_ticks":2}'
    )
    fold = ListingFold(
        LISTING, view(spec(), dataclasses.replace(built_in("berserker"), instance="mine", parameters=parameters))
    )
    bid = np.array([1.39, 1.38, 1.37, 1.371, 1.40])
    times = np.arange(5, dtype=np.int64) * 1000
    log = block(time_ms=times, bid=bid, ask=bid + 1e-5, ref_no=2, watermark_ms=4000)
    (output,) = fold.fold([log])
    assert (output.topic, output.operator) == ("signals", "mine@2")
    records = output.records()
    assert Counter(r.kind for r in records if not isinstance(r, Bar)) == {"ENTER": 1, "EXIT": 1}
    assert all(r.mac == ZERO_MAC and r.key_id == "" for r in records if not isinstance(r, Bar))
