"""The desk as an operator of the journal: entries in their encoding, states as bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.events import OperatorActivation, ProgramKind, SignalKind
from schemas.integrity import ZERO_MAC, ZERO_NONCE
from schemas.journal import EntryKind, JournalEntry, JournalSource
from schemas.journal_columns import read_entry
from schemas.registry import UnreadableRecord, decision_bytes, encode
from schemas.trading import EquityMarked, Submitted
from streams.operators.base import BadState
from streams.operators.desk import Desk, bare_time, clock_entry, rows_of
from tests.unit.streams.desk.account import (
    CONFIG,
    LONG,
    REFERENCE,
    SPEC,
    T0,
    Account,
    all_of,
    one,
    rows,
    signal,
    strategy,
)

BLANK = JournalEntry(
    kind=EntryKind.OPEN, source=JournalSource.BACKTEST, account="test", epoch=1, nonce=ZERO_NONCE, seq=0, taken_us=T0,
    stream="", stream_seq=-1, input=b"", clock_names=(), clock_us=(), clock_listing=(), clock_n=(), clock_time_ms=(),
    clock_bid=(), clock_ask=(), clock_quality=(), clock_watermark_ms=(), mark_streams=(), mark_seqs=(), key_id="",
    prev=ZERO_MAC, mac=ZERO_MAC,
)  # fmt: skip


def _entry(kind: EntryKind, us: int, record: Any) -> JournalEntry:
    return replace(BLANK, kind=kind, taken_us=us, input=encode(record))


def test_a_journal_is_folded_from_its_bytes() -> None:
    desk, state = Desk(), Desk().initial("test")
    assert desk.fold(state, BLANK) == []
    for k, record in enumerate((SPEC, CONFIG, strategy())):
        assert desk.fold(state, _entry(EntryKind.REFERENCE, T0 + k, record)) == []
    assert desk.fold(state, clock_entry(BLANK, rows((T0 + 10**6, 5, 1.1, 1.10002)), T0 + 10**6)) == []
    found = desk.fold(state, _entry(EntryKind.INPUT, T0 + 2 * 10**6, signal(SignalKind.ENTER, LONG, T0 + 2 * 10**6, 4)))
    order = one(found, Submitted)
    assert (order.decision_n, order.operator, order.ref_no) == (5, "desk@0", 1)
    assert b"desk@0" in decision_bytes(order)


def test_an_input_that_is_no_record_is_an_error() -> None:
    with pytest.raises(UnreadableRecord):
        Desk().fold(Desk().initial("test"), replace(BLANK, kind=EntryKind.INPUT, input=b"nonsense"))


def test_a_clock_without_rows_still_tells_the_time() -> None:
    account = Account()
    account.opened(LONG, max_hold_ms=5_000)
    due = account.us + 5_000_000
    empty = rows(names=())
    found = account.desk.fold(account.state, clock_entry(BLANK, empty, due))
    assert one(found, Submitted).reason == "TIME"


def test_marks_of_a_clock_entry_become_records() -> None:
    account = Account()
    account.opened(LONG)
    minute = (T0 // 60_000_000 + 1) * 60_000_000
    told = rows((minute, 900, 1.1, 1.10002), (minute + 60_000_000, 901, 1.1, 1.10002))
    found = account.desk.fold(account.state, clock_entry(BLANK, told, minute + 60_000_000))
    assert [mark.minute_ms for mark in all_of(found, EquityMarked)] == [minute // 1000, minute // 1000 + 60_000]


def test_rows_and_entries_are_each_other() -> None:
    told = rows((T0, 1, 1.1, 1.2), (T0 + 1, 2, 1.3, 1.4))
    entry = clock_entry(BLANK, told, T0 + 1)
    assert clock_entry(BLANK, rows_of(entry), T0 + 1) == entry
    assert entry.clock_bid == (1.1, 1.3)
    assert len(bare_time(T0).us) == 1


def test_configuration_waits_for_its_time() -> None:
    account = Account()
    later = replace(strategy(size=0.3), effective_from_us=account.us + 10_000_000, ref_no=9)
    assert account.take(later) == []
    assert one(account.enter(LONG), Submitted).volume == 0.1
    account.fill(one(account.exit(), Submitted) if account.state.positions else all_of(account.said, Submitted)[0], 1.1)
    account.us += 10_000_000
    account.fill(one(account.exit(), Submitted), 1.1)
    order = one(account.enter(LONG), Submitted)
    assert (order.volume, order.ref_no) == (0.3, 9)


def test_another_accounts_records_are_passed_by() -> None:
    account = Account()
    account.take(replace(strategy(size=0.3), account="other"))
    account.take(replace(CONFIG, account="other", active=False))
    assert one(account.enter(LONG), Submitted).volume == 0.1


def test_a_state_is_its_bytes() -> None:
    account = Account(max_daily_loss=0.05)
    account.opened(LONG, stop_distance=0.002, breakeven_at=1.0)
    data = account.desk.dump(account.state)
    assert data.startswith(b"desk\x001\x00{")
    again = account.desk.load(data)
    assert again == account.state
    assert account.desk.digest(again) == account.desk.digest(account.state)


def test_a_state_of_an_earlier_release_goes_on_without_what_that_did_not_keep() -> None:
    account = Account()
    account.opened(LONG, stop_distance=0.002)
    head, _, body = account.desk.dump(account.state).rpartition(b"\x00")
    kept = json.loads(body)
    assert kept.pop("strangers") == {}
    assert account.desk.load(head + b"\x00" + json.dumps(kept).encode()) == account.state


@pytest.mark.parametrize("data", [b"", b"desk\x002\x00{}", b"desk\x001\x00{}", b"desk\x001\x00nonsense"])
def test_other_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(BadState):
        Desk().load(data)


def test_records_and_their_bytes_lead_to_the_same_state() -> None:
    desk, direct, folded = Desk(), Desk().initial("test"), Desk().initial("test")
    account = Account()
    order = one(account.enter(LONG), Submitted)
    deal = account.deal_of(order, 1.1)
    entered = signal(SignalKind.ENTER, LONG, T0 + 9 * 10**6, 4)
    for k, record in enumerate((SPEC, CONFIG, strategy(), entered, deal)):
        desk.take(direct, T0 + (k + 5) * 10**6, record)
        desk.fold(folded, _entry(EntryKind.INPUT, T0 + (k + 5) * 10**6, record))
    assert len(folded.positions) == 1
    assert desk.digest(direct) == desk.digest(folded)


def test_entries_read_in_one_pass_are_folded_alike() -> None:
    desk, slow, quick = Desk(), Desk().initial("test"), Desk().initial("test")
    minute = (T0 // 60_000_000 + 1) * 60_000_000
    order = one(Account().enter(LONG), Submitted)
    deal = Account().deal_of(order, 1.1)
    entered = signal(SignalKind.ENTER, LONG, T0 + 4 * 10**6, 4)
    told = rows((minute, 900, 1.1, 1.10002), (minute + 60_000_000, 901, 1.2, 1.20002))
    journal = [
        BLANK,
        *(_entry(EntryKind.REFERENCE, T0 + k, record) for k, record in enumerate((SPEC, CONFIG, strategy()))),
        clock_entry(BLANK, rows((T0 + 10**6, 3, 1.1, 1.10002)), T0 + 10**6),
        clock_entry(BLANK, rows(names=()), T0 + 2 * 10**6),
        _entry(EntryKind.INPUT, T0 + 4 * 10**6, entered),
        _entry(EntryKind.INPUT, T0 + 5 * 10**6, deal),
        clock_entry(BLANK, told, minute + 60_000_000),
    ]
    said = 0
    for entry in journal:
        found = desk.fold(slow, entry)
        assert [encode(d) for d in desk.fold(quick, read_entry(encode(entry)))] == [encode(d) for d in found]
        said += len(found)
    assert said > 4
    assert desk.digest(slow) == desk.digest(quick)


def test_positions_keep_their_order_through_a_snapshot() -> None:
    account = Account(CONFIG, SPEC, strategy("one"), strategy("two"))
    first, second = one(account.enter(LONG), Submitted), one(account.enter(LONG, "two"), Submitted)
    account.fill(second, 1.1)
    account.fill(first, 1.1)
    again = account.desk.load(account.desk.dump(account.state))
    assert list(again.positions) == list(account.state.positions) == [second.order_no, first.order_no]


def activation(account: str, ref_no: int, **fields: Any) -> OperatorActivation:
    base: dict[str, Any] = {
        "instance": "desk", "operator": "desk", "version": 1, "parameters": "{}", "program_kind": ProgramKind.BUILTIN,
        "program": "", "program_sha256": "", "listings": (account,), "warm_from_us": 0, "emit_all": False,
        "active": True,
    }  # fmt: skip
    return OperatorActivation(**{**REFERENCE, "ref_no": ref_no}, **{**base, **fields})


def test_a_desks_activation_numbers_anew_what_it_says_from_then_on() -> None:
    account = Account()
    before = one(account.enter(LONG), Submitted)
    account.fill(before, 1.10002)
    account.us = (account.us // 60_000_000 + 1) * 60_000_000
    marked = account.take(activation("test", 7))
    assert [(mark.operator, mark.out_seq > 0) for mark in all_of(marked, EquityMarked)] == [("desk@0", True)]
    order = one(account.exit(), Submitted)
    assert (order.operator, order.ref_no) == ("desk@7", 7)
    assert min(record.out_seq for record in account.said if record.operator == "desk@7") == 0


@pytest.mark.parametrize("fields", [{"account": "other"}, {"operator": "bars"}, {"active": False}])
def test_other_activations_are_not_the_desks(fields: dict[str, Any]) -> None:
    account = Account()
    account.take(activation(**{"account": "test", "ref_no": 7, **fields}))
    assert one(account.enter(LONG), Submitted).operator == "desk@0"
