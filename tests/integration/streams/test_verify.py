"""verify says no: each kind of damage with its place, its reason, what was expected and what was found."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from api.commands import verify as command
from infra.anchors import TOPIC as ANCHORS
from infra.errors import SettingsError
from infra.kafka import send_and_wait
from schemas.accept import Head
from schemas.chains import Position
from schemas.events import Bar, Signal
from schemas.quality import Quality
from schemas.registry import decode, encode, seal
from streams import verify_outputs, verify_partition
from streams.report import CHECKED, KEPT, Range
from tests.conftest import TestStack
from tests.integration.streams.line import KEYS, Line
from tests.integration.streams.test_damage import by_a_stranger, forged
from tests.integration.streams.verifying import BLOCKS, anchor, derive, offset_of, sound, verify
from tests.property.references import spec

pytestmark = pytest.mark.stack

NewLine = Callable[..., Line]
K = 5


def bar(value: bytes) -> Bar:
    record = decode(value)
    assert isinstance(record, Bar)
    return record


def changed(values: list[bytes], k: int = K) -> bytes:
    return encode(dataclasses.replace(bar(values[k]), high=9.0))


def test_a_sound_log_has_no_difference(line: Line) -> None:
    sound(line)
    anchor(line, line.head, line.offsets[-1])
    report = verify(line)
    assert (report.problems, report.exit_code, report.ok) == ([], 0, True)
    assert (report.blocks, report.ticks) == (len(BLOCKS), sum(b.size for b in BLOCKS))
    assert 0 < report.refused == sum(int((b.quality != 0).sum()) for b in BLOCKS) < report.ticks
    assert (report.bars, report.signals) == (len(line.expected("bars")), len(line.expected("signals")))
    assert report.as_json() == {
        "ok": True,
        "checked": {n: getattr(report, n) for n in CHECKED},
        "void": 0, "repairs": 0, "copies": 0, "unverifiable": [], "differences": 0, "first_difference": None,
    }  # fmt: skip


def test_what_a_fenced_writer_left_is_counted_and_is_no_difference(line: Line) -> None:
    line.usual().write(BLOCKS[:5])
    before = line.head
    late = line.sealed(BLOCKS[5])
    line.blocks.pop()
    line.head = before
    line.put(line.opened(), late)
    line.write(BLOCKS[5:])
    report = verify(derive(line))
    assert (report.exit_code, report.void) == (0, 1)


def test_copies_to_the_byte_are_counted_and_are_no_difference(line: Line) -> None:
    report = verify(derive(sound(line), lambda v: v[3:9], lambda v: v[-2:]))
    assert (report.exit_code, report.copies) == (0, 8)


def test_a_forged_record_is_named(line: Line) -> None:
    sound(line)
    value = by_a_stranger(line, b"")
    (at,) = line.put(value)
    report = verify(line)
    assert report.exit_code == 1
    assert report.as_json()["first_difference"] == {
        "topic": "ticks",
        "partition": line.partition,
        "offset": at,
        "key": line.listing,
        "reason": "forged: its MAC is wrong: a byte was changed, or it was written without the key",
        "expected": None,
        "found": None,
    }


def test_a_copy_of_an_older_block_is_named(line: Line) -> None:
    line.usual()
    values = [line.opened(), *(line.sealed(b) for b in BLOCKS)]
    line.put(*values)
    derive(line)
    (at,) = line.put(values[7])
    (problem,) = verify(line).problems
    assert problem.position == Position("ticks", line.partition, at)
    assert problem.reason == f"replayed: link 7 once more, after link {len(BLOCKS)}"


def test_a_link_that_is_missing_is_named_where_the_chain_breaks(line: Line) -> None:
    line.usual()
    values = [line.opened(), *(line.sealed(b) for b in BLOCKS)]
    offsets = line.put(*values[:7], *values[8:])
    report = verify(derive(line))
    first = report.problems[0]
    assert first.position == Position("ticks", line.partition, offsets[7])
    assert first.reason == "stopped: link 8 comes after link 6"
    assert "not what the ticks give" in report.problems[1].reason


def test_a_changed_byte_is_named_and_so_is_the_stop_behind_it(line: Line) -> None:
    line.usual()
    values = [line.opened(), *(line.sealed(b) for b in BLOCKS)]
    values[7] = forged(line, values[7])
    offsets = line.put(*values)
    found = [(p.position.offset, p.reason.split(":")[0]) for p in verify(line).problems if p.position.topic == "ticks"]
    assert found == [(offsets[7], "forged"), (offsets[8], "stopped")]


def test_a_bar_with_other_bytes_is_named_with_both(line: Line) -> None:
    line.usual().write(BLOCKS)
    derive(line, lambda v: [*v[:K], changed(v), *v[K + 1 :]])
    value = changed(line.expected("bars"))
    (problem,) = verify(line).problems
    assert problem.position == Position("bars", line.partition, offset_of(line, "bars", value))
    assert problem.key == line.listing
    assert problem.reason == f"output {K} of {bar(value).operator} is not what the ticks give"
    assert (problem.expected, problem.found) == (f"high={bar(line.expected('bars')[K]).high}", "high=9.0")


def test_a_copy_that_differs_is_named(line: Line) -> None:
    sound(line)
    value = changed(line.expected("bars"))
    (at,) = line.put(value, topic="bars")
    (problem,) = verify(line).problems
    assert problem.position == Position("bars", line.partition, at)
    assert problem.reason.startswith(f"a copy of output {K} of {bar(value).operator} differs from the first one")


def test_bars_that_are_missing_are_named_where_the_next_one_lies(line: Line) -> None:
    line.usual().write(BLOCKS)
    derive(line, lambda v: [*v[:K], *v[K + 3 :]])
    bars = line.expected("bars")
    report = verify(line)
    (problem,) = report.problems
    assert problem.position == Position("bars", line.partition, offset_of(line, "bars", bars[K + 3]))
    assert problem.reason == f"output {K} of {bar(bars[0]).operator} is missing (3 in all)"
    assert f"out_seq={K}," in problem.expected
    assert f"out_seq={K + 3}," in problem.found
    assert report.bars == len(bars) - 3, "what lies behind the hole is compared all the same"


def test_bars_that_are_missing_at_the_end_are_named(line: Line) -> None:
    line.usual().write(BLOCKS)
    derive(line, lambda v: v[:-2])
    (problem,) = verify(line).problems
    assert problem.reason == (
        f"output {len(line.expected('bars')) - 2} of {bar(line.expected('bars')[0]).operator} is missing (2 in all)"
    )
    assert problem.found == ""


def test_outputs_that_come_while_verify_waits_are_not_missing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.usual().write(BLOCKS)
    bars = line.expected("bars")
    derive(line, lambda v: v[:K])
    later = [bars[K:20], bars[20:]]

    def instead_of_sleep(_: float) -> None:
        line.put(*later.pop(0), topic="bars")

    monkeypatch.setattr(verify_outputs, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=instead_of_sleep))
    report = verify(line, settle_s=1.0)
    assert (report.exit_code, report.bars, later) == (0, len(bars), [])


def test_a_bar_that_nothing_gives_is_named(line: Line) -> None:
    line.usual().write(BLOCKS)

    def one_more(values: list[bytes]) -> list[bytes]:
        last = bar(values[-1])
        return [*values, encode(dataclasses.replace(last, out_seq=last.out_seq + 1))]

    derive(line, one_more)
    (problem,) = verify(line).problems
    count = len(line.expected("bars"))
    operator = bar(line.expected("bars")[0]).operator
    assert problem.reason == f"output {count} of {operator} is not what the ticks give: they give {count} in all"
    assert (problem.expected, f"out_seq={count}," in problem.found) == ("", True)


def test_what_is_written_while_verify_runs_is_no_difference(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks behind the end that verify reads to, and what the worker makes of them before verify is done."""
    line.usual().write(BLOCKS[:20])
    derive(line, lambda v: v[:-1])
    had = len(line.expected("bars"))
    end_of = verify_partition.end_of

    def grown(bootstrap: str, topic: str, partition: int) -> int:
        end = end_of(bootstrap, topic, partition)
        if topic == "ticks" and len(line.blocks) == 20:
            line.configure(spec(listing=line.listing, effective_from_us=2**60))
            line.write(BLOCKS[20:])
            line.put(*line.expected("bars")[had - 1 :], topic="bars")
        return end

    monkeypatch.setattr(verify_partition, "end_of", grown)
    report = verify(line, settle_s=0.1)
    assert (report.exit_code, report.blocks, report.bars) == (0, 20, had)


@pytest.mark.parametrize("damage", ["byte", "stranger"])
def test_a_signal_without_its_mac_is_named(line: Line, damage: str) -> None:
    line.usual().write(BLOCKS)

    def damaged(values: list[bytes]) -> list[bytes]:
        if damage == "byte":
            return [forged(line, values[0]), *values[1:]]
        record = decode(values[0])
        assert isinstance(record, Signal)
        by = type(KEYS)({KEYS.current: b"another key of 32 bytes, guessed"}, KEYS.current)
        return [seal(record, "signals", by), *values[1:]]

    derive(line, signals=damaged)
    problems = verify(line).problems
    assert {p.reason.split(":")[0] for p in problems} >= {"forged"}
    assert any(p.position.topic == "signals" and "its MAC is wrong" in p.reason for p in problems)
    assert any("output 0 of berserker" in p.reason and "is missing" in p.reason for p in problems)


def test_a_tick_that_a_key_holder_judged_otherwise_is_named(line: Line) -> None:
    at = next(i for i, b in enumerate(BLOCKS) if i > 3 and b.size > 2 and not b.quality.any())
    quality = BLOCKS[at].quality.copy()
    quality[1] = Quality.CROSSED
    line.usual().write([*BLOCKS[:at], BLOCKS[at]._replace(quality=quality), *BLOCKS[at + 1 :]])
    problems = verify(derive(line)).problems
    assert problems[0].position == Position("ticks", line.partition, line.offsets[at])
    assert problems[0].reason == f"tick {line.blocks[at].first_n + 1} is judged otherwise"
    assert (problems[0].expected, problems[0].found) == ("good", "crossed")


def test_a_tail_that_was_cut_is_named_at_the_end_of_the_log(line: Line) -> None:
    sound(line)
    beyond = line.head._replace(seq=line.head.seq + 3, n=line.head.n + 9, mac=bytes(range(16)))
    anchor(line, beyond, line.offsets[-1] + 3)
    (problem,) = verify(line).problems
    assert problem.position.topic == "ticks"
    assert problem.reason == (
        f"the chain ends at link {line.head.seq}, and an anchor witnesses link {beyond.seq}: its tail is missing"
    )
    assert problem.expected == f"link {beyond.seq}, n {beyond.n}, MAC {beyond.mac.hex()}"


def test_a_past_that_differs_from_its_anchor_is_named(line: Line) -> None:
    sound(line)
    anchor(line, line.head._replace(mac=bytes(range(16))), line.offsets[-1])
    (problem,) = verify(line).problems
    assert problem.position.offset == line.offsets[-1]
    assert problem.reason == f"link {line.head.seq} is not the one that its anchor witnesses"


def test_an_anchor_of_a_listing_that_is_gone_is_named(line: Line) -> None:
    anchor(line, Head(1, bytes(8), 4, 12, 1, bytes(range(16))), 5)
    (problem,) = verify(line).problems
    assert "its tail is missing" in problem.reason


def test_good_ticks_without_a_spec_are_named_once(line: Line) -> None:
    line.configure(line.activation("bars"))
    line.write(BLOCKS)
    (problem,) = verify(line).problems
    assert problem.reason.startswith(f"not foldable from here on: {line.listing} has good ticks from")


def test_only_so_many_differences_are_kept(new_line: NewLine) -> None:
    line = new_line().usual()
    line.write(BLOCKS)
    line.put(*[b"no record"] * (KEPT + 20))
    report = verify(derive(line))
    assert (report.differences, len(report.problems), report.exit_code) == (KEPT + 20, KEPT, 1)


def test_a_range_narrows_what_is_counted_and_compared(line: Line) -> None:
    line.usual().write(BLOCKS)
    derive(line, lambda v: [*v[:K], changed(v), *v[K + 1 :]])
    bars = [bar(v) for v in line.expected("bars")]
    times = sorted({b.time_ms for b in bars})
    damaged = bars[K].time_ms
    middle = times[len(times) // 2]
    assert damaged < middle
    after = verify(line, Range(middle, 2**62, line.listing))
    assert after.exit_code == 0
    assert after.bars == sum(b.time_ms >= middle for b in bars)
    assert 0 < after.ticks < sum(b.size for b in BLOCKS)
    assert after.blocks < len(BLOCKS)
    assert verify(line, Range(damaged, middle, line.listing)).exit_code == 1


def test_a_program_that_is_not_here_is_unverifiable(line: Line) -> None:
    strange = line.activation("berserker", program_sha256="0" * 64)
    line.configure(spec(listing=line.listing), line.activation("bars"), strange)
    line.write(BLOCKS)
    derive(line)
    report = verify(line)
    assert (report.exit_code, report.ok, report.as_json()["ok"]) == (2, True, False)
    assert report.unverifiable == [
        f"berserker-{line.name}@{line.ref_no} on {line.listing}: berserker 1 of the log is 000000000000…, here it is "
        f"{line.activation('berserker').program_sha256[:12]}…"
    ]


def test_a_listing_of_which_nothing_is_there_is_no_success(line: Line) -> None:
    report = verify(line)
    assert report.exit_code == 2
    assert report.unverifiable == [f"nothing of {line.listing} is on the log: listings are written feed/SYMBOL"]


@pytest.fixture
def run(broker: TestStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command on the broker that is there; exit code and what it printed."""
    monkeypatch.setattr(command, "running_stack", lambda *_: nullcontext(SimpleNamespace(kafka=broker.kafka)))
    monkeypatch.setattr(command, "load_or_create", lambda _: KEYS)
    monkeypatch.setattr("streams.verify.SETTLE_S", 0.0)

    def running(**options: Any) -> tuple[int, str]:
        code = command.verify(home=broker.home, **options)
        return code, capsys.readouterr().out

    return running


def test_the_command_prints_one_object_or_lines_for_people(line: Line, run: Callable[..., Any]) -> None:
    sound(line)
    code, out = run(listing=line.listing, as_json=True)
    assert (code, json.loads(out)["ok"]) == (0, True)
    code, out = run(listing=line.listing)
    assert code == 0
    assert out.splitlines()[-1] == "nothing differs"
    (at,) = line.put(changed(line.expected("bars")), topic="bars")
    code, out = run(listing=line.listing)
    assert code == 1
    assert f"difference at bars/{line.partition}/{at} {line.listing}: a copy of output {K}" in out
    assert out.splitlines()[-1] == "1 difference"
    line.put(*[b"no record"] * 30)
    code, out = run(listing=line.listing)
    assert out.splitlines()[-2:] == ["and 11 more", "31 differences"]


def test_the_command_refuses_what_makes_no_sense(run: Callable[..., Any]) -> None:
    with pytest.raises(SettingsError, match="--listing: listing 'EURUSD' has no feed"):
        run(listing="EURUSD")
    with pytest.raises(SettingsError, match="nothing lies between"):
        run(from_="2014-05-07", to="2014-05-06")


def test_forged_anchors_are_named(new_line: NewLine) -> None:
    """Last: it concerns the whole log."""
    line = sound(new_line())
    at = send_and_wait(line.producer, ANCHORS, 0, "ticks/x/Y", b"no anchor")
    problem = next(p for p in verify(line).problems if p.position.topic == ANCHORS)
    assert (problem.position.offset, problem.reason.split(":")[0]) == (at, "forged")
