"""verify of an account: its journal against its sources, and its decisions made again from the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from infra.kafka import end_of
from schemas.journal import EntryKind
from schemas.registry import decode, encode, seal
from schemas.trading import Fill, PositionChanged, RiskDecision, Submitted
from streams.report import Problem, Range, Report
from streams.verify import Verification
from tests.integration.desk.account_day import KEYS, TOPICS, AccountDay

pytestmark = pytest.mark.stack

NewDay = Callable[..., AccountDay]


def verified(day: AccountDay, **asked: Any) -> Report:
    return Verification(
        day.kafka, KEYS, lambda: pytest.fail("no ticks are checked"), Range(account=day.account, **asked), settle_s=0.0
    ).run()  # fmt: skip


def decided(day: AccountDay, change: Callable[[str, list[bytes]], list[bytes]] = lambda _, values: values) -> None:
    """Puts onto the topics what a desk would, changed."""
    for topic, values in day.expected().items():
        day.put(topic, *change(topic, values))


def first(report: Report) -> Problem:
    assert report.exit_code == 1
    return report.problems[0]


def changed(value: bytes, **fields: Any) -> bytes:
    record: Any = dataclasses.replace(decode(value), **fields)  # type: ignore[arg-type]
    return seal(record, "orders", KEYS) if hasattr(record, "mac") else encode(record)


def place_of(values: list[bytes], kind: type) -> int:
    return next(n for n, value in enumerate(values) if isinstance(decode(value), kind))


def test_a_sound_account_differs_in_nothing(day: AccountDay) -> None:
    decided(day.journal())
    report = verified(day)
    assert report.problems == []
    assert report.exit_code == 0
    assert report.journal == len(day.steps)
    told = report.as_json()["checked"]
    assert {topic: told[topic] for topic in TOPICS} == {topic: len(day.on(topic)) for topic in TOPICS}
    assert all(told[topic] for topic in (*TOPICS, "executions", "journal"))


def test_copies_are_counted(day: AccountDay) -> None:
    decided(day.journal(), lambda _, values: [*values, *values[-3:]])
    report = verified(day)
    assert (report.exit_code, report.copies) == (0, 12)


@pytest.mark.parametrize(
    ("topic", "kind", "fields"),
    [
        ("orders", Submitted, {"volume": 0.17}),
        ("fills", Fill, {"price": 1.0}),
        ("risk", RiskDecision, {"allowed": 9.0}),
        ("portfolio", PositionChanged, {"cause": "another"}),
    ],
)
def test_a_decision_that_differs_is_named(day: AccountDay, topic: str, kind: type, fields: dict[str, Any]) -> None:
    day.journal()
    place = place_of(day.expected()[topic], kind)

    def change(of: str, values: list[bytes]) -> list[bytes]:
        return [changed(v, **fields) if (of, n) == (topic, place) else v for n, v in enumerate(values)]

    start = end_of(day.kafka, topic, day.partition)
    decided(day, change)
    problem = first(verified(day))
    assert problem.position == (topic, day.partition, start + place)
    assert problem.key == day.account
    assert "is not what the journal gives" in problem.reason
    assert next(iter(fields)) in problem.found


def test_a_decision_that_is_missing_is_named(day: AccountDay) -> None:
    decided(day.journal(), lambda topic, values: values[:3] + values[4:] if topic == "orders" else values)
    problem = first(verified(day))
    assert problem.reason.startswith("output 3 of desk@")
    assert "is missing" in problem.reason


def test_one_decision_too_many_is_named(day: AccountDay) -> None:
    last = len(day.journal().expected()["fills"])

    def change(topic: str, values: list[bytes]) -> list[bytes]:
        return [*values, changed(values[-1], out_seq=last)] if topic == "fills" else values

    decided(day, change)
    assert f"output {last} of desk@" in first(verified(day)).reason


def test_an_order_by_somebody_without_the_key_is_forged(day: AccountDay) -> None:
    decided(day.journal(), lambda topic, values: [*values, values[-1][:-1] + b"x"] if topic == "orders" else values)
    assert "forged" in first(verified(day)).reason


def edited(day: AccountDay, change: Callable[[list[Any]], object]) -> Report:
    """What verify says once the steps of the journal were changed before they are written."""
    change(day.steps)
    decided(day.journal())
    return verified(day)


def executions(day: AccountDay) -> list[int]:
    return [n for n, step in enumerate(day.steps) if step.stream == "executions"]


def test_an_input_with_other_bytes_than_its_source_is_named(day: AccountDay) -> None:
    first_, second = executions(day)[:2]

    def change(steps: list[Any]) -> None:
        steps[first_] = steps[first_]._replace(what=steps[second].what)

    assert "its bytes are not those that lie there" in first(edited(day, change)).reason


def test_an_input_that_was_left_out_is_named(day: AccountDay) -> None:
    number = day.steps[executions(day)[1]].number
    problem = first(edited(day, lambda steps: steps.pop(executions(day)[1])))
    assert f"number {number} of executions is not in the journal" in problem.reason


def test_a_signal_that_was_left_out_is_named(day: AccountDay) -> None:
    streams = [step.stream for step in day.steps if step.stream.startswith("signals/")]
    often = max(set(streams), key=streams.count)
    place = next(n for n, step in enumerate(day.steps) if step.stream == often)
    assert f"number 0 of {often} is not in the journal" in first(edited(day, lambda steps: steps.pop(place))).reason


def test_an_input_that_was_taken_twice_is_named(day: AccountDay) -> None:
    place = executions(day)[0]
    problem = first(edited(day, lambda steps: steps.insert(place, steps[place])))
    assert "once more" in problem.reason


def test_an_input_that_lies_nowhere_is_named(day: AccountDay) -> None:
    place = executions(day)[-1]
    step = day.steps[place]
    problem = first(edited(day, lambda steps: steps.insert(place + 1, step._replace(number=step.number + 1))))
    assert "which isn't there" in problem.reason


def test_configuration_that_was_left_out_is_named(day: AccountDay) -> None:
    place = [n for n, step in enumerate(day.steps) if step.kind is EntryKind.REFERENCE][-2]
    assert "what concerns the account next is another one" in first(edited(day, lambda s: s.pop(place))).reason


def test_a_link_that_is_missing_stops_the_chain(day: AccountDay) -> None:
    decided(day.journal(80))
    offset, _ = day.skip_a_link()
    problem = first(verified(day))
    assert problem.position == ("journal", day.partition, offset)
    assert "stopped" in problem.reason


def test_an_input_that_cannot_be_folded_is_named(day: AccountDay) -> None:
    place = executions(day)[0]
    day.steps.insert(place, day.steps[place]._replace(what=b"nonsense"))
    report = verified(day.journal())
    assert any("not foldable from here on" in problem.reason for problem in report.problems)


def test_another_releases_decisions_could_not_be_checked(new_day: NewDay, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("streams.activations.sha256_of", lambda _: "0" * 64)
        day = new_day()
    decided(day.journal())
    report = verified(day)
    assert report.exit_code == 2
    assert day.account in report.unverifiable[0]
    assert "desk 1 of the log is 000000000000…" in report.unverifiable[0]


def test_an_account_that_there_is_not_could_not_be_checked(day: AccountDay) -> None:
    report = Verification(
        day.kafka, KEYS, lambda: pytest.fail("none"), Range(account="nobody"), settle_s=0.0
    ).run()  # fmt: skip
    assert report.exit_code == 2
    assert "reference has no account nobody" in report.unverifiable[0]


def test_only_what_was_asked_for_is_compared(day: AccountDay) -> None:
    decided(day.journal(), lambda topic, values: values[:-1] if topic == "portfolio" else values)
    assert verified(day, to_ms=day.steps[60].us // 1_000).exit_code == 0
    assert verified(day).exit_code == 1
