"""A log as writers make it, with starts, kills, late batches and copies, and then one record of it tampered with.

On the sound log every input is taken once and in order. On the tampered one a reader takes a part of the same, up to
the place, and stops at the next real link; what an intruder adds changes nothing; the other listing always goes on.
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.accept import Head, Verdict
from schemas.chains import Chains
from schemas.ticks import BlockKind, decode_block
from tests.chain_logs import OTHER, OURS, PARTITION, Record, judged
from tests.records import KEYS, STRANGER, ChainOfTicks


class Move(NamedTuple):
    """What happens next: `kind` to the writer of a listing, with a number that says how much or which."""

    kind: str
    listing: str
    much: int


moves = st.lists(
    st.builds(
        Move,
        st.sampled_from(["write", "write", "write", "twin", "late", "copy"]),
        st.sampled_from([OURS, OURS, OTHER]),
        st.integers(0, 5),
    ),
    max_size=25,
)


def log_of(some: list[Move]) -> list[Record]:
    """The partition after the moves; each listing starts with an OPEN. Links have 0 to 5 ticks."""
    log: list[Record] = []
    late: dict[str, list[bytes]] = {OURS: [], OTHER: []}
    writers = {name: ChainOfTicks(name) for name in (OURS, OTHER)}
    for name, writer in writers.items():
        log.append((name, writer.open()))
    for kind, name, much in some:
        writer = writers[name]
        match kind:
            case "write":
                log.append((name, writer.data(much)))
            case "twin":
                # The old writer has sent `much` more that will arrive after the new one's OPEN, and may open too.
                old = ChainOfTicks(**vars(writer))
                late[name] += [old.data(1) for _ in range(much)]
                log.append((name, writer.open()))
                if much == 5:
                    rival = ChainOfTicks(name)
                    rival.open(writer.epoch)
                    rival.nonce = b"rival..."
                    log.append((name, rival.data(2, epoch=writer.epoch)))
            case "late":
                log += [(name, value) for value in late[name]]
                late[name] = []
            case "copy":
                own = [record for record in log if record[0] == name]
                log.append(own[-1 - much % len(own)])
    return log


def contents(log: list[Record], listing: str) -> list[bytes]:
    """What a reader takes of a listing, in order, and that it is the inputs, each once and in order."""
    chains = Chains("ticks", KEYS)
    found, n = [], 0
    for i, (key, value) in enumerate(log):
        one = chains.judge(PARTITION, i, key.encode(), value)
        if one.verdict is Verdict.TAKE and one.chain == listing and one.record.kind == BlockKind.DATA:
            assert one.record.first_n == n
            n += one.record.size
            found.append(value or b"")
    return found


def links_behind(log: list[Record], start: int, listing: str, sound: list[bytes]) -> list[int]:
    """Offsets from `start` on of records that a reader of the sound log takes as links of the listing."""
    return [i for i in range(start, len(log)) if log[i][0] == listing and log[i][1] in sound]


@settings(deadline=None, max_examples=80)
@given(moves)
def test_on_a_sound_log_nothing_is_doubled_skipped_or_stopped(some: list[Move]) -> None:
    log = log_of(some)
    found = judged(log)
    assert {j.verdict for j in found} <= {Verdict.TAKE, Verdict.VOID, Verdict.SEEN}
    for listing in (OURS, OTHER):
        written = sum(1 for move in some if move.kind == "write" and move.listing == listing)
        assert len(contents(log, listing)) == written


@settings(deadline=None, max_examples=80)
@given(moves, st.data())
def test_an_intruder_without_key_changes_nothing(some: list[Move], data: st.DataObject) -> None:
    log = log_of(some)
    sound = {name: contents(log, name) for name in (OURS, OTHER)}
    stranger = ChainOfTicks(OURS, STRANGER)
    for _ in range(data.draw(st.integers(1, 4))):
        value = data.draw(st.sampled_from([b"", b"junk", stranger.open(), stranger.data(2), log[0][1]]))
        wrong_key = value == log[0][1]
        log.insert(data.draw(st.integers(0, len(log))), (OTHER if wrong_key else OURS, value))
    assert {name: contents(log, name) for name in (OURS, OTHER)} == sound
    assert Verdict.STOP not in {j.verdict for j in judged(log)}


def opens(record: Record) -> bool:
    return decode_block(record[1] or b"").kind == BlockKind.OPEN


def tamper(log: list[Record], place: int, data: st.DataObject) -> int:
    """Changes a byte of the record, or drops it; the offset of the one behind it."""
    if data.draw(st.booleans()):
        changed = bytearray(log[place][1] or b"")
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        log[place] = (log[place][0], bytes(changed))
        assert judged(log)[place].verdict is Verdict.FORGED
        return place + 1
    del log[place]
    return place


@settings(deadline=None, max_examples=150)
@given(moves, st.data())
def test_a_real_link_changed_or_dropped_stops_its_chain_at_the_next_link(some: list[Move], data: st.DataObject) -> None:
    log = log_of(some)
    sound, other = contents(log, OURS), contents(log, OTHER)
    ours = [i for i, record in enumerate(log) if record[0] == OURS and not opens(record)]
    if not ours:
        return
    place = data.draw(st.sampled_from(ours))
    value = log[place][1] or b""
    once_more = value in {log[i][1] for i in ours if i != place}
    behind = tamper(log, place, data)
    found, verdicts = contents(log, OURS), judged(log)
    assert found == sound[: len(found)], "never another order, another content, or one after a hole"
    assert contents(log, OTHER) == other
    was_link = value in sound and not once_more
    if was_link:
        assert len(found) == sound.index(value)
        next_links = links_behind(log, behind, OURS, sound[len(found) + 1 :])
        stops = [i for i, j in enumerate(verdicts) if j.verdict is Verdict.STOP and j.chain == OURS]
        assert stops[:1] == next_links[:1]
        assert all(verdicts[i].alert == (i == stops[0]) for i in stops)


@settings(deadline=None, max_examples=80)
@given(moves, st.data())
def test_an_open_changed_or_dropped_stops_its_chain_at_the_first_link_of_its_epoch(
    some: list[Move], data: st.DataObject
) -> None:
    """What a late batch brings before may be taken then: nothing says any more that its writer had been fenced."""
    log = log_of(some)
    sound, other = contents(log, OURS), contents(log, OTHER)
    place = data.draw(st.sampled_from([i for i, record in enumerate(log) if record[0] == OURS and opens(record)]))
    value = log[place][1] or b""
    once_more = log.count((OURS, value)) > 1
    epoch = decode_block(value).epoch
    behind = tamper(log, place, data)
    found = judged(log)
    of_it = [i for i in range(behind, len(log)) if log[i][1] in sound and decode_block(log[i][1] or b"").epoch == epoch]
    if of_it and not once_more:
        assert found[of_it[0]].verdict is Verdict.STOP
        assert sum(j.alert for j in found if j.verdict is Verdict.STOP) == 1
        assert not [j for j in found[of_it[0] :] if j.chain == OURS and j.verdict is Verdict.TAKE and j.record.seq]
    assert contents(log, OTHER) == other


@settings(deadline=None, max_examples=100)
@given(moves, st.data())
def test_two_real_links_swapped_stop_their_chain_at_the_first_place(some: list[Move], data: st.DataObject) -> None:
    log = log_of(some)
    sound, other = contents(log, OURS), contents(log, OTHER)
    if len(sound) < 2:
        return
    first, second = sorted(data.draw(st.lists(st.integers(0, len(sound) - 1), min_size=2, max_size=2, unique=True)))
    a, b = (next(i for i, record in enumerate(log) if record == (OURS, sound[k])) for k in (first, second))
    log[a], log[b] = log[b], log[a]
    assert contents(log, OURS) == sound[:first]
    assert contents(log, OTHER) == other
    assert (judged(log)[a].verdict, judged(log)[a].alert) == (Verdict.STOP, True)


@settings(deadline=None, max_examples=60)
@given(moves, st.data())
def test_a_reader_that_starts_from_any_head_goes_on_as_one_that_never_stopped(
    some: list[Move], data: st.DataObject
) -> None:
    log = log_of(some)
    whole = Chains("ticks", KEYS)
    pause = data.draw(st.integers(0, len(log)))
    verdicts, kept = [], {}
    for i, (key, value) in enumerate(log):
        if i == pause:
            kept = {name: Head(*head) for name, head in whole.heads.items()}
        verdicts.append(whole.judge(PARTITION, i, key.encode(), value).verdict)
    again = Chains("ticks", KEYS)
    again.heads.update(kept)
    resumed = [again.judge(PARTITION, i, log[i][0].encode(), log[i][1]).verdict for i in range(pause, len(log))]
    assert resumed == verdicts[pause:]
