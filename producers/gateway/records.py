"""Records of executions before they are links: what the writer of the chain fills in is blank."""

from __future__ import annotations

from typing import Any

from schemas.integrity import NONCE_BYTES, ZERO_MAC


def blank(account: str) -> dict[str, Any]:
    """The fields that make a record a link of the account's chain, still empty."""
    return {
        "epoch": 0,
        "nonce": bytes(NONCE_BYTES),
        "seq": 0,
        "account": account,
        "written_us": 0,
        "key_id": "",
        "prev": ZERO_MAC,
        "mac": ZERO_MAC,
    }
