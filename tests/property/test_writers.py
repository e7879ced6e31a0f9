"""Every interleaving of writers that open first and read second, held against the real accept().

Three writers start, are killed at any moment and start again. What they sent may reach the log late, in part or never;
two OPENs may race. On the log, no input may be doubled or skipped, and no chain may ever stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from schemas.accept import Head, Judgement, Link, Verdict, accept
from schemas.integrity import ZERO_MAC

WRITERS = 3


class Writer(NamedTuple):
    """`stage`: "" (not running), "opening" (its OPEN is on its way) or "active". `on_its_way`: sent, not on the log."""

    stage: str = ""
    epoch: int = 0
    nonce: bytes = b""
    head: Head = Head()
    on_its_way: tuple[Link, ...] = ()


class World(NamedTuple):
    """`head` is the reader's; its `n` counts the inputs that were taken. Which writer is which doesn't matter."""

    head: Head = Head()
    writers: tuple[Writer, ...] = (Writer(),) * WRITERS
    starts: int = 0


Rule = Callable[[Head, Link], Judgement]


class Broken(AssertionError):
    """The law that was broken."""


def steps(world: World, inputs: int, starts: int, rule: Rule, reads_first: bool) -> Iterator[World]:
    """The worlds that can come next. Raises Broken."""
    for i, writer in enumerate(world.writers):
        others = (*world.writers[:i], *world.writers[i + 1 :])

        def put(new: Writer, head: Head = world.head, starts: int = world.starts, others: tuple = others) -> World:
            return World(head, tuple(sorted((*others, new))), starts)

        if not writer.stage and world.starts < starts:
            epoch, nonce = world.head.epoch + 1, b"%d" % world.starts
            record = Link(True, epoch, nonce, 0, 0, 0, 0, ZERO_MAC, ZERO_MAC)
            read = world.head if reads_first else Head()
            yield put(Writer("opening", epoch, nonce, read, (*writer.on_its_way, record)), starts=world.starts + 1)
        if writer.on_its_way:
            yield arrives(world, writer, put, rule, reads_first)
        if writer.stage == "active" and writer.head.n < inputs and len(writer.on_its_way) < 2:
            head, mac = writer.head, b"%s: %d" % (writer.nonce, writer.head.seq + 1)
            record = Link(False, writer.epoch, writer.nonce, head.seq + 1, head.n, 1, 0, head.mac, mac)
            new_head = head._replace(seq=head.seq + 1, n=head.n + 1, mac=mac)
            yield put(writer._replace(head=new_head, on_its_way=(*writer.on_its_way, record)))
        if writer.stage:
            for arriving in range(len(writer.on_its_way) + 1):
                yield put(Writer(on_its_way=writer.on_its_way[:arriving]))


def arrives(world: World, writer: Writer, put: Callable[..., World], rule: Rule, reads_first: bool) -> World:
    """The first record on its way reaches the log; an opener then has read all that lies before its OPEN."""
    record, rest = writer.on_its_way[0], writer.on_its_way[1:]
    verdict, head, reason, _ = rule(world.head, record)
    if verdict is Verdict.STOP:
        raise Broken(f"a sound chain stopped: {reason}")
    if verdict is Verdict.TAKE and not record.opens and record.first_n != world.head.n:
        raise Broken(f"input {record.first_n} was taken where {world.head.n} is due")
    writer = writer._replace(on_its_way=rest)
    if record.opens and writer.stage == "opening" and record.nonce == writer.nonce:
        won = (head.epoch, head.nonce) == (record.epoch, record.nonce)
        read = writer.head if reads_first else head
        writer = writer._replace(stage="active", head=read) if won else Writer(on_its_way=rest)
    return put(writer, head)


def explore(inputs: int, starts: int, rule: Rule = accept, reads_first: bool = False) -> tuple[int, int]:
    """(worlds seen, most inputs that any of them has on the log). Raises Broken."""
    seen, waiting, most = {World()}, [World()], 0
    while waiting:
        world = waiting.pop()
        most = max(most, world.head.n)
        for new in steps(world, inputs, starts, rule, reads_first):
            if new not in seen:
                seen.add(new)
                waiting.append(new)
    return len(seen), most


def test_no_interleaving_forks_doubles_skips_or_stops() -> None:
    worlds, most = explore(inputs=3, starts=3)
    assert most == 3
    assert worlds > 10_000


def test_without_epochs_a_late_batch_would_be_taken_or_stop_the_chain() -> None:
    def rule(head: Head, record: Link) -> Judgement:
        return accept(head, record if record.opens else record._replace(epoch=head.epoch, nonce=head.nonce))

    with pytest.raises(Broken):
        explore(inputs=2, starts=2, rule=rule)


def test_a_writer_that_reads_first_and_opens_second_would_break_the_chain() -> None:
    with pytest.raises(Broken, match="a sound chain stopped"):
        explore(inputs=2, starts=2, reads_first=True)
