"""Reading and writing `reference`: open an epoch, write what is missing, read back, leave."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence

from infra.chain_follower import ChainFollower, ChainStopped, Fenced, Standing, read_repairs, stopped_message
from infra.clock import Clock
from infra.errors import TickledgerError
from infra.kafka import end_of, new_producer, read_range, send_and_wait
from schemas.accept import Head, Verdict
from schemas.events import ReferenceOpen, ReferenceRecord
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import UnreadableRecord, decode, seal
from schemas.ticks import TickBlock


class SealedByOthers(TickledgerError):
    """Nothing on `reference` was sealed with a key of this ring, and something with another: the ring was lost."""

    final = True


def append_reference(
    bootstrap: str,
    keys: KeyRing,
    clock: Clock,
    wanted: Callable[[list[ReferenceRecord]], Sequence[ReferenceRecord]],
    *,
    attempts: int = 8,
) -> list[ReferenceRecord]:
    """Writes what `wanted` finds missing, given all records of `reference` in order; the records then on the log.

    `wanted` returns records whose chain fields are made here (epoch, nonce, seq, ref_no, written_us, key_id, prev,
    mac). It is asked again after each OPEN, and after a twin voided what was written, until it finds nothing missing.
    Raises SealedByOthers, ChainStopped, Fenced, DeliveryFailed, Unreachable.
    """
    repairs = read_repairs(bootstrap, keys)
    producer = new_producer(bootstrap)
    follower = ChainFollower(bootstrap, "reference", "reference", keys, Standing(Head(), 0, 0), repairs)
    records: list[ReferenceRecord] = []

    def seen(record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and not isinstance(record, TickBlock | ReferenceOpen):
            records.append(record)

    follower.read_to(end_of(bootstrap, "reference", 0), seen)
    if follower.head == Head():
        _refuse_log_of_others(bootstrap, keys)
    for _ in range(attempts):
        if follower.head.stopped:
            raise ChainStopped(stopped_message("reference", follower.head))
        if not wanted(list(records)):
            return records
        epoch, nonce = follower.highest_epoch + 1, secrets.token_bytes(8)
        opening = ReferenceOpen(
            epoch=epoch,
            nonce=nonce,
            seq=0,
            written_us=clock.now_us(),
            key_id=keys.current,
            prev=ZERO_MAC,
            mac=ZERO_MAC,
        )
        offset = send_and_wait(producer, "reference", 0, None, seal(opening, "reference", keys))
        follower.read_to(offset + 1, seen)
        head = follower.head
        if (head.epoch, head.nonce) != (epoch, nonce):
            continue
        last = offset
        for record in wanted(list(records)):
            value = _link(record, head, clock.now_us(), keys)
            last = send_and_wait(producer, "reference", 0, None, value)
            head = head._replace(seq=head.seq + 1, n=head.n + 1, ref_no=head.n + 1, mac=value[-16:])
        follower.read_to(last + 1, seen)
    if wanted(list(records)):
        raise Fenced(f"other writers of reference came in between {attempts} times: run it again")
    return records


def read_reference(bootstrap: str, keys: KeyRing) -> tuple[list[ReferenceRecord], Head]:
    """All taken records of `reference` in order, and the head of its chain."""
    follower = ChainFollower(
        bootstrap, "reference", "reference", keys, Standing(Head(), 0, 0), read_repairs(bootstrap, keys)
    )
    records: list[ReferenceRecord] = []

    def seen(record: TickBlock | ReferenceRecord | ReferenceOpen, verdict: Verdict) -> None:
        if verdict is Verdict.TAKE and not isinstance(record, TickBlock | ReferenceOpen):
            records.append(record)

    follower.read_to(end_of(bootstrap, "reference", 0), seen)
    return records, follower.head


def _refuse_log_of_others(bootstrap: str, keys: KeyRing) -> None:
    """A writer with a new ring would begin the chain anew, and whoever has the old ring finds all of it forged."""
    others = set()
    for batch in read_range(bootstrap, "reference", 0):
        for message in batch:
            try:
                record = decode(message.value() or b"")
            except UnreadableRecord:
                continue
            if isinstance(record, ReferenceRecord) and record.key_id not in keys:
                others.add(record.key_id)
    if others:
        raise SealedByOthers(
            f"the log at {bootstrap} was sealed with the key {', '.join(sorted(others))}, which is not in the key ring "
            f"(its key is {keys.current}): put the saved copy of the log's ring back (keys/ring.json in the home, or "
            "what keys.ring names), or begin another log in another home"
        )


def _link(record: ReferenceRecord, head: Head, now_us: int, keys: KeyRing) -> bytes:
    if isinstance(record, ReferenceOpen):
        raise TypeError("an OPEN is written by append_reference itself")
    numbered = dataclasses.replace(
        record,
        epoch=head.epoch,
        nonce=head.nonce,
        seq=head.seq + 1,
        ref_no=head.n + 1,
        written_us=now_us,
        key_id=keys.current,
        prev=head.mac,
        mac=ZERO_MAC,
    )
    return seal(numbered, "reference", keys)
