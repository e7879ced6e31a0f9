"""Keys and MACs: what ends a fact, and what a ring never shows."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from schemas.integrity import MAC_BYTES, ZERO_MAC, KeyRing, UnknownKey

SECRET = b"the secret of secrets"
RING = KeyRing({"k1": SECRET, "k2": b"another secret of secrets"}, "k1")
VALUE = b"\0\0\0\0\x01 some record" + ZERO_MAC


def test_a_mac_is_the_start_of_an_hmac_over_topic_zero_and_all_but_the_last_16_bytes() -> None:
    whole = hmac.new(SECRET, b"ticks\0" + VALUE[:-16], hashlib.sha256).digest()
    assert RING.mac("ticks", "k1", VALUE) == whole[:MAC_BYTES]
    assert RING.seal("ticks", "k1", VALUE) == VALUE[:-16] + whole[:16]


def test_a_mac_holds_on_its_topic_only() -> None:
    """Else a record could be moved to another topic."""
    sealed = RING.seal("ticks", "k1", VALUE)
    assert RING.holds("ticks", "k1", sealed)
    assert not RING.holds("tick", "k1", sealed)
    assert not RING.holds("reference", "k1", sealed)


def test_a_mac_holds_for_the_key_that_made_it() -> None:
    sealed = RING.seal("ticks", "k1", VALUE)
    assert not RING.holds("ticks", "k2", sealed)
    assert RING.holds("ticks", "k2", RING.seal("ticks", "k2", VALUE))
    assert not KeyRing({"k1": b"a key of somebody else"}, "k1").holds("ticks", "k1", sealed)


def test_any_changed_byte_breaks_the_mac() -> None:
    sealed = RING.seal("ticks", "k1", VALUE)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        assert not RING.holds("ticks", "k1", bytes(changed)), at


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_a_value_that_is_shorter_than_a_mac_has_none(length: int) -> None:
    assert not RING.holds("ticks", "k1", bytes(length))


def test_an_unknown_key_has_no_mac_and_the_error_names_those_that_are_there() -> None:
    assert not RING.holds("ticks", "k9", VALUE)
    assert "k1" in RING
    assert "k9" not in RING
    with pytest.raises(UnknownKey, match="key 'k9' is not in the ring: it has k1, k2") as error:
        RING.mac("ticks", "k9", VALUE)
    assert SECRET.decode() not in str(error.value)


def test_a_short_key_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="key 'k1' has fewer than 16 bytes: make a longer one") as error:
        KeyRing({"k1": b"fifteen letters"}, "k1")
    assert "fifteen letters" not in str(error.value)


@pytest.mark.parametrize(("keys", "there"), [({}, "none"), ({"k1": SECRET}, "k1")])
def test_the_current_key_must_be_there(keys: dict[str, bytes], there: str) -> None:
    with pytest.raises(ValueError, match=f"current key 'k2' is not in the ring, which has {there}"):
        KeyRing(keys, "k2")


def test_a_secret_is_never_printed() -> None:
    for text in (repr(RING), str(RING), f"{RING}", f"{[RING]!r}", f"{RING!a}"):
        assert "secret" not in text
    assert repr(RING) == "KeyRing(k1, k2; current k1)"


def test_a_ring_keeps_its_keys_when_the_callers_change() -> None:
    keys = {"k1": SECRET}
    ring = KeyRing(keys, "k1")
    sealed = ring.seal("ticks", "k1", VALUE)
    keys["k1"] = b"x" * 32
    assert ring.holds("ticks", "k1", sealed)
