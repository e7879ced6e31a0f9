"""The MAC that ends every fact: who wrote it held a key, and not a byte of it has changed since.

MAC = the first 16 bytes of HMAC-SHA256(key, topic, 0x00, the Kafka value without its last 16 bytes).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final

MAC_BYTES: Final = 16
NONCE_BYTES: Final = 8
ZERO_MAC: Final = bytes(MAC_BYTES)
ZERO_NONCE: Final = bytes(NONCE_BYTES)
MIN_KEY_BYTES: Final = 16
UNWRITTEN: Final[Mapping[str, Any]] = {
    "epoch": 0, "nonce": ZERO_NONCE, "seq": 0, "ref_no": 0, "effective_from_us": 0, "written_us": 0,
    "key_id": "", "prev": ZERO_MAC, "mac": ZERO_MAC,
}  # fmt: skip
"""The chain's fields of a record of `reference` that is still to be written: its writer fills them in."""
_BLOCK_BYTES: Final = 64
"""SHA-256's block."""


class UnknownKey(ValueError):
    """A record names a key that the ring doesn't have."""


class KeyRing:
    """Keys by id; `current` is the one that writers use. Its text form never shows a key."""

    __slots__ = ("_keys", "_primed", "current")

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        short = [name for name, key in keys.items() if len(key) < MIN_KEY_BYTES]
        if short:
            raise ValueError(f"key {short[0]!r} has fewer than {MIN_KEY_BYTES} bytes: make a longer one")
        if current not in keys:
            raise ValueError(
                f"current key {current!r} is not in the ring, which has {', '.join(sorted(keys)) or 'none'}"
            )
        self._keys = dict(keys)
        self._primed: dict[tuple[str, str], tuple[hashlib._Hash, hashlib._Hash]] = {}
        self.current = current

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(sorted(self._keys))}; current {self.current})"

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def mac(self, topic: str, key_id: str, value: bytes) -> bytes:
        """The 16 bytes that `value` (a whole Kafka value; its last 16 bytes don't count) must end in on `topic`.

        Raises UnknownKey.
        """
        inner, outer = self._prime(topic, key_id)
        running, ending = inner.copy(), outer.copy()
        running.update(memoryview(value)[:-MAC_BYTES])
        ending.update(running.digest())
        return ending.digest()[:MAC_BYTES]

    def seal(self, topic: str, key_id: str, value: bytes) -> bytes:
        """`value` with its last 16 bytes replaced by its MAC."""
        return value[:-MAC_BYTES] + self.mac(topic, key_id, value)

    def holds(self, topic: str, key_id: str, value: bytes) -> bool:
        """Whether `value` ends in its MAC. False for an unknown key."""
        try:
            return hmac.compare_digest(self.mac(topic, key_id, value), value[-MAC_BYTES:])
        except UnknownKey:
            return False

    def hold_all(self, topic: str, key_id: str, values: Iterable[bytes]) -> bool:
        """Whether each of the values ends in its MAC by that key: `holds` of each, in one go."""
        try:
            inner, outer = self._prime(topic, key_id)
        except UnknownKey:
            return False
        for value in values:
            running, ending = inner.copy(), outer.copy()
            running.update(memoryview(value)[:-MAC_BYTES])
            ending.update(running.digest())
            if not hmac.compare_digest(ending.digest()[:MAC_BYTES], value[-MAC_BYTES:]):
                return False
        return True

    def _prime(self, topic: str, key_id: str) -> tuple[hashlib._Hash, hashlib._Hash]:
        """HMAC's two hashes (RFC 2104) with the key, and the topic, in them: hmac's own objects cost more to copy."""
        primed = self._primed.get((topic, key_id))
        if primed is None:
            key = self._keys.get(key_id)
            if key is None:
                raise UnknownKey(f"key {key_id!r} is not in the ring: it has {', '.join(sorted(self._keys))}")
            block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(_BLOCK_BYTES, b"\x00")
            inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + topic.encode() + b"\x00")
            primed = self._primed[topic, key_id] = (inner, hashlib.sha256(bytes(byte ^ 0x5C for byte in block)))
        return primed
