"""accept(), sentence by sentence of docs/protocol.md, 1."""

from __future__ import annotations

import pytest

from schemas.accept import Forgery, Head, Link, Mark, Numbered, Verdict, accept, accept_numbered
from schemas.integrity import ZERO_MAC

A, B = b"writer A", b"writer B"


def opening(epoch: int, nonce: bytes = A) -> Link:
    return Link(True, epoch, nonce, 0, 0, 0, 0, ZERO_MAC, b"mac of an OPEN")


def link(seq: int, epoch: int = 1, nonce: bytes = A, prev: bytes | None = None, **changed: object) -> Link:
    """The link `seq` of a chain with ten items a link."""
    before = mac(seq - 1) if seq > 1 else ZERO_MAC
    plain = Link(False, epoch, nonce, seq, 10 * (seq - 1), 10, 1, before if prev is None else prev, mac(seq))
    return plain._replace(**changed)  # type: ignore[arg-type]


def mac(seq: int) -> bytes:
    return b"mac of link %d" % seq


def after(*records: Link) -> Head:
    """The head after records that are all taken."""
    head = Head()
    for record in records:
        verdict, head, *_ = accept(head, record)
        assert verdict is Verdict.TAKE
    return head


OPENED = after(opening(1))
AT_2 = after(opening(1), link(1), link(2))


def test_what_cannot_be_read_or_has_a_wrong_mac_is_forged_alerted_and_moves_nothing() -> None:
    assert accept(AT_2, Forgery("its MAC is wrong")) == (Verdict.FORGED, AT_2, "its MAC is wrong", True)


def test_a_forged_record_stops_nobody() -> None:
    _, head, *_ = accept(AT_2, Forgery("its MAC is wrong"))
    assert accept(head, link(3)).verdict is Verdict.TAKE


def test_an_open_with_a_higher_epoch_is_taken_and_is_no_link() -> None:
    verdict, head, _, alert = accept(AT_2, opening(2, B))
    assert (verdict, alert) == (Verdict.TAKE, False)
    assert head == AT_2._replace(epoch=2, nonce=B)


def test_an_open_far_above_is_taken_too() -> None:
    assert accept(AT_2, opening(1_000)).verdict is Verdict.TAKE


def test_data_of_the_open_that_follows_the_head_is_taken() -> None:
    assert Head(1, A, 2, 20, 1, mac(2)) == AT_2
    verdict, head, reason, alert = accept(AT_2, link(3))
    assert (verdict, head, reason, alert) == (Verdict.TAKE, Head(1, A, 3, 30, 1, mac(3)), "", False)


def test_a_block_without_ticks_is_a_link() -> None:
    assert accept(AT_2, link(3, items=0)).head == Head(1, A, 3, 20, 1, mac(3))


def test_a_new_epoch_goes_on_from_the_head_of_the_one_before() -> None:
    head = after(opening(1), link(1), opening(2, B), link(2, 2, B))
    assert head == Head(2, B, 2, 20, 1, mac(2))


def test_the_head_once_more_is_seen_and_nobody_is_alerted() -> None:
    assert accept(AT_2, link(2)) == (Verdict.SEEN, AT_2, "", False)


def test_an_earlier_link_of_the_epoch_once_more_is_seen_and_alerted() -> None:
    verdict, head, reason, alert = accept(AT_2, link(1))
    assert (verdict, head, alert) == (Verdict.SEEN, AT_2, True)
    assert reason == "link 1 once more, after link 2"


def test_another_link_with_the_heads_number_is_seen_and_alerted() -> None:
    verdict, head, _, alert = accept(AT_2, link(2, mac=b"another"))
    assert (verdict, head, alert) == (Verdict.SEEN, AT_2, True)


def test_data_of_an_older_epoch_is_void() -> None:
    head = after(opening(1), link(1), opening(2, B))
    verdict, same, reason, alert = accept(head, link(2))
    assert (verdict, same, alert) == (Verdict.VOID, head, False)
    assert reason == "its epoch 1 was fenced by 2"


def test_the_second_open_of_an_epoch_is_void() -> None:
    verdict, head, reason, alert = accept(OPENED, opening(1, B))
    assert (verdict, head, alert) == (Verdict.VOID, OPENED, False)
    assert reason == "OPEN of epoch 1, which is not above 1"


@pytest.mark.parametrize("epoch", [0, -1])
def test_an_open_of_no_epoch_is_void(epoch: int) -> None:
    assert accept(Head(), opening(epoch)).verdict is Verdict.VOID


def test_data_with_the_nonce_of_a_void_open_is_void() -> None:
    verdict, head, reason, alert = accept(AT_2, link(3, nonce=B))
    assert (verdict, head, alert) == (Verdict.VOID, AT_2, False)
    assert reason == "its writer lost epoch 1 to another"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (link(4), "link 4 comes after link 2"),
        (link(3, prev=b"another"), "link 3 doesn't follow the link 2 that lies before it"),
        (link(3, first_n=21), "link 3 starts at n 21, where the chain has 20"),
        (link(3, first_n=0), "link 3 starts at n 0, where the chain has 20"),
        (link(3, ref_no=0), "link 3 has reference number 0, below 1"),
        (link(3, epoch=2, nonce=B), "no OPEN of its epoch 2 is on the log"),
    ],
)
def test_a_real_link_that_does_not_fit_stops_the_chain_with_an_alert(record: Link, reason: str) -> None:
    verdict, head, found, alert = accept(AT_2, record)
    assert (verdict, found, alert) == (Verdict.STOP, reason, True)
    assert head == AT_2._replace(stopped=reason), "the position is kept"


@pytest.mark.parametrize("epoch", [0, 1])
def test_data_before_any_open_stops_the_chain(epoch: int) -> None:
    record = link(1, epoch=epoch, nonce=bytes(8))
    assert accept(Head(), record).reason == f"no OPEN of its epoch {epoch} is on the log"
    assert accept(Head(), record).verdict is Verdict.STOP


def test_a_chain_that_stands_still_takes_no_link_but_still_fences() -> None:
    _, stopped, *_ = accept(AT_2, link(4))
    for record in (link(3), link(4), link(5)):
        assert accept(stopped, record) == (Verdict.STOP, stopped, stopped.stopped, False), "one alert is enough"
    verdict, head, *_ = accept(stopped, opening(2, B))
    assert verdict is Verdict.TAKE
    assert head.stopped == stopped.stopped
    assert accept(head, link(3, 2, B)).verdict is Verdict.STOP
    assert accept(head, link(3)).verdict is Verdict.VOID


def test_of_two_opens_the_first_on_the_log_holds() -> None:
    head = after(opening(1, B))
    assert accept(head, opening(1, A)).verdict is Verdict.VOID
    assert accept(head, link(1, nonce=A)).verdict is Verdict.VOID
    assert accept(head, link(1, nonce=B)).verdict is Verdict.TAKE


def test_a_derived_record_with_the_next_number_is_taken() -> None:
    assert accept_numbered(Mark(), Numbered(0)) == (Verdict.TAKE, Mark(1), "", False)
    assert accept_numbered(Mark(7), Numbered(7)) == (Verdict.TAKE, Mark(8), "", False)


@pytest.mark.parametrize("out_seq", [6, 0, -1])
def test_a_derived_record_with_an_earlier_number_is_seen(out_seq: int) -> None:
    assert accept_numbered(Mark(7), Numbered(out_seq)) == (Verdict.SEEN, Mark(7), "", False)


def test_a_derived_record_with_a_later_number_is_not_taken_and_alerted() -> None:
    verdict, mark, reason, alert = accept_numbered(Mark(7), Numbered(9))
    assert (verdict, mark, alert) == (Verdict.AHEAD, Mark(7), True)
    assert reason == "output 9 comes where 7 is due"
