"""What may lie on the topics of outputs: numbers are taken in order, what isn't an output is forged."""

from __future__ import annotations

import pytest

from schemas.accept import Verdict
from schemas.catalogue import MAX_VALUE_BYTES
from schemas.chains import Derivations, Position
from schemas.identity import InvalidName
from schemas.registry import encode, seal
from tests.chain_logs import ELSEWHERE, OTHER, OURS, PARTITION, alert, bar, signal
from tests.records import KEYS, STRANGER


def test_outputs_are_taken_by_number_a_copy_is_seen_and_a_hole_waits() -> None:
    derivations = Derivations("bars", KEYS)
    found = [
        derivations.judge(PARTITION, i, OURS.encode(), encode(bar(number)))
        for i, number in enumerate([0, 1, 0, 1, 3, 4, 2, 3])
    ]
    T, S, A = Verdict.TAKE, Verdict.SEEN, Verdict.AHEAD
    assert [j.verdict for j in found] == [T, T, S, S, A, A, T, T]
    assert [j.alert for j in found] == [False] * 4 + [True] * 2 + [False] * 2
    assert found[0].chain == f"bars@1/{OURS}"
    assert derivations.counts == {T: 4, S: 2, A: 2}


def test_operators_and_listings_are_numbered_apart() -> None:
    derivations = Derivations("bars", KEYS)
    for i, record in enumerate([bar(0), bar(0, operator="bars@7"), bar(0, listing=OTHER), bar(1)]):
        found = derivations.judge(PARTITION, i, record.listing.encode(), encode(record))
        assert found.verdict is Verdict.TAKE


DERIVED_BAD: dict[str, tuple[str, bytes | None, bytes | None, str]] = {
    "an empty value": ("bars", OURS.encode(), None, "it is empty"),
    "an oversize value": ("bars", OURS.encode(), bytes(MAX_VALUE_BYTES + 1), "it has 1000001 bytes"),
    "a signal among bars": ("bars", OURS.encode(), encode(signal()), "a Signal doesn't belong on bars"),
    "a bar among signals": ("signals", OURS.encode(), encode(bar()), "a Bar doesn't belong on signals"),
    "an alert": ("signals", OURS.encode(), encode(alert()), "a Alert doesn't belong on signals"),
    "a signal without MAC": ("signals", OURS.encode(), encode(signal()), "its MAC is wrong"),
    "a signal of a stranger": ("signals", OURS.encode(), seal(signal(), "signals", STRANGER), "its MAC is wrong"),
    "another listing's key": ("bars", OTHER.encode(), encode(bar()), f"it is of {OURS} and lies under the key"),
    "no key": ("bars", None, encode(bar()), f"it is of {OURS} and lies under the key none"),
    "another partition": ("bars", ELSEWHERE.encode(), encode(bar(listing=ELSEWHERE)), "lies on the wrong partition"),
    "an operator without number": ("bars", OURS.encode(), encode(bar(operator="bars")), "instance@ref_no"),
    "an endless number": ("bars", OURS.encode(), encode(bar(operator="b@" + "9" * 5_000)), "instance@ref_no"),
    "no listing": ("bars", b"EURUSD", encode(bar(listing="EURUSD")), "has no feed"),
    "half a record": ("bars", OURS.encode(), encode(bar())[:-1], "can't be read as Bar"),
}


@pytest.mark.parametrize("name", DERIVED_BAD)
def test_what_is_no_output_is_forged_and_moves_no_mark(name: str) -> None:
    topic, key, value, reason = DERIVED_BAD[name]
    derivations = Derivations(topic, KEYS)
    found = derivations.judge(PARTITION, 3, key, value)
    assert (found.verdict, found.alert, found.record) == (Verdict.FORGED, True, None)
    assert reason in found.reason
    assert found.position == Position(topic, PARTITION, 3)
    assert derivations.marks == {}


def test_a_sealed_signal_is_taken() -> None:
    value = seal(signal(), "signals", KEYS)
    assert Derivations("signals", KEYS).judge(PARTITION, 0, OURS.encode(), value).verdict is Verdict.TAKE


def test_an_invalid_name_is_a_value_error_like_an_unreadable_record() -> None:
    assert issubclass(InvalidName, ValueError)
