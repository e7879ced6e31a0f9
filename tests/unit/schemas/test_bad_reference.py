"""What may lie on `reference`: a hole stops it, what isn't its own is forged."""

from __future__ import annotations

import dataclasses

from schemas.accept import Verdict
from schemas.chains import REFERENCE_CHAIN, Chains, Judged
from schemas.events import Event, ReferenceOpen
from schemas.integrity import ZERO_MAC
from schemas.registry import encode, seal
from tests.chain_logs import OURS, alert, signal, specs
from tests.records import KEYS, STRANGER, ChainOfTicks


def reference_log(records: list[Event] | None = None) -> list[bytes]:
    """The records, sealed and chained."""
    values: list[bytes] = []
    prev = ZERO_MAC
    for record in records or specs():
        if not isinstance(record, ReferenceOpen):
            record = dataclasses.replace(record, prev=prev)  # type: ignore[type-var, call-arg]
        values.append(seal(record, "reference", KEYS))
        prev = ZERO_MAC if isinstance(record, ReferenceOpen) else values[-1][-16:]
    return values


def reference_judged(values: list[bytes | None]) -> list[Judged]:
    chains = Chains("reference", KEYS)
    return [chains.judge(0, i, None, value) for i, value in enumerate(values)]


def test_reference_is_one_chain_numbered_from_one() -> None:
    chains = Chains("reference", KEYS)
    for i, value in enumerate(reference_log()):
        assert chains.judge(0, i, None, value).verdict is Verdict.TAKE
    head = chains.heads[REFERENCE_CHAIN]
    assert (head.epoch, head.seq, head.n, head.ref_no) == (1, 3, 3, 3)


def test_a_hole_in_reference_stops_it() -> None:
    values = reference_log()
    found = reference_judged([*values[:2], values[3]])
    assert (found[-1].verdict, found[-1].chain, found[-1].alert) == (Verdict.STOP, REFERENCE_CHAIN, True)


def test_a_number_that_is_not_the_next_stops_reference() -> None:
    records = specs()
    records[2] = dataclasses.replace(records[2], ref_no=7)  # type: ignore[type-var, call-arg]
    found = reference_judged(list(reference_log(records)))
    assert (found[2].verdict, found[2].reason) == (Verdict.STOP, "link 2 starts at n 6, where the chain has 1")


def test_what_does_not_belong_on_reference_is_forged() -> None:
    numbered_open = dataclasses.replace(specs()[0], seq=1)  # type: ignore[type-var, call-arg]
    cases: list[tuple[bytes | None, str]] = [
        (None, "it is empty"),
        (ChainOfTicks(OURS).open(), "its schema id 1 is not one of an event"),
        (encode(alert()), "its key '' is not in the ring"),
        (seal(numbered_open, "reference", KEYS), "an OPEN has neither number nor link"),
        (seal(specs()[1], "reference", STRANGER), "its MAC is wrong"),
        (seal(signal(), "reference", KEYS), "a Signal doesn't belong on reference"),
        (reference_log()[0][:-1], "can't be read as ReferenceOpen"),
    ]
    values = reference_log()
    for value, reason in cases:
        found = reference_judged([*values[:2], value, *values[2:]])
        assert (found[2].verdict, found[2].alert) == (Verdict.FORGED, True), reason
        assert reason in found[2].reason
        assert [j.verdict for j in (*found[:2], *found[3:])] == [Verdict.TAKE] * 4
