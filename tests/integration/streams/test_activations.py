"""What runs is on the log: an activation that comes later folds what lies before, and the others go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.registry import decode
from tests.integration.streams.line import Line, lively
from tests.integration.streams.partitions import Reader
from tests.property.references import spec

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]
BLOCKS = lively()


def operators(values: list[bytes]) -> set[str]:
    return {decode(value).operator for value in values}  # type: ignore[union-attr]


@pytest.mark.parametrize("emit_all", [False, True])
def test_a_later_activation_folds_the_earlier_blocks_and_the_others_go_on(line: Line, emit_all: bool) -> None:
    line.usual().write(BLOCKS[:20])
    reader = Reader(line).read()
    before = len(line.records("bars"))
    second = line.activation("bars", instance=f"second-{line.name}", emit_all=emit_all)
    number = line.configure(second)
    line.write(BLOCKS[20:])
    reader.read()
    for topic in ("bars", "signals"):
        assert line.found(topic) == line.expected(topic)
    mine = [v for v in line.found("bars") if operators([v]) == {f"second-{line.name}@{number}"}]
    others = len(line.found("bars")) - len(mine)
    assert len(mine) == (others if emit_all else others - before)
    assert len(line.records("bars")) == len(line.found("bars")), "nothing was sent twice"
    assert {s.operator: s.digest for s in reader.changed()} == line.digests()


def test_the_others_go_on_while_it_catches_up(line: Line) -> None:
    line.usual().write(lively(7) + lively(8))
    reader = Reader(line).read()
    number = line.configure(line.activation("bars", instance=f"second-{line.name}"))
    line.write(lively(9))
    reader.read(level=False)
    assert reader.part.behind
    assert f"second-{line.name}@{number}" not in operators(line.found("bars"))
    assert line.found("signals") == line.expected("signals")
    states = reader.checkpoint()
    while reader.part.behind:
        reader.part.catch_up()
    assert line.producer.flush(5) == 0
    reader.read()
    assert line.found("bars") == line.expected("bars")

    # Cut off in the middle, the next worker takes it to its end as well.
    Reader(line, states, line.offsets[-1]).read()
    assert line.found("bars") == line.expected("bars")


def test_one_that_replaces_another_begins_where_that_one_ends(line: Line) -> None:
    line.usual().write(BLOCKS[:20])
    reader = Reader(line).read()
    line.configure(line.activation("bars"))
    line.write(BLOCKS[20:])
    reader.read()
    assert line.found("bars") == line.expected("bars")
    assert len(operators(line.found("bars"))) == 2


def test_what_was_replaced_long_ago_costs_a_start_nothing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual().write(BLOCKS[:10])
    Reader(line).read().checkpoint()
    line.configure(line.activation("bars"))
    line.write(BLOCKS[10:20])
    reader = Reader(line, None, line.offsets[10]).read()
    reader.checkpoint()
    line.write(BLOCKS[20:25])
    reader.read().checkpoint()
    line.write(BLOCKS[25:])
    monkeypatch.setattr("streams.catch_up.read_range", None)
    Reader(line, None, line.offsets[25]).read()
    assert line.found("bars") == line.expected("bars")


def test_an_instance_that_was_ended_sends_nothing_more(line: Line) -> None:
    line.usual().write(BLOCKS[:20])
    reader = Reader(line).read()
    line.configure(line.activation("berserker", active=False))
    line.write(BLOCKS[20:])
    reader.read()
    assert line.found("signals") == line.expected("signals") == line.expected("signals", line.blocks[:20])
    reader = Reader(line, reader.checkpoint(), line.offsets[-1] + 1)
    line.write(lively(8))
    reader.read()
    assert line.found("bars") == line.expected("bars")
    assert line.found("signals") == line.expected("signals")


def test_another_program_than_ours_is_refused_and_the_others_run(line: Line) -> None:
    strange = line.activation("berserker", program_sha256="0" * 64)
    unknown = line.activation("bars", instance=f"new-{line.name}", version=99)
    line.configure(spec(listing=line.listing), line.activation("bars"), strange, unknown)
    line.write(BLOCKS)
    Reader(line).read()
    assert line.found("bars") == line.expected("bars") != []
    assert line.found("signals") == []
    assert line.alerts() == [("activation_refused", -1)] * 2


def test_a_listing_on_which_nothing_runs_is_judged_all_the_same(line: Line) -> None:
    line.configure(spec(listing=line.listing))
    line.write(BLOCKS)
    reader = Reader(line).read()
    assert line.found("bars") == []
    assert reader.part.heads[line.listing] == (line.head, line.offsets[-1])
