"""Which partition an account has: what its first AccountConfig on `reference` says; a later one moves nothing."""

from __future__ import annotations

from infra.kafka import end_of
from infra.reference_log import read_reference
from schemas.configuration import AccountConfig
from schemas.integrity import KeyRing


class AccountPartitions:
    """Asked for an account that it doesn't know it reads on, if `reference` has more by then.

    Whoever writes for an account has read its AccountConfig before, so one that is not there then is nobody's.
    """

    def __init__(self, bootstrap: str, keys: KeyRing) -> None:
        self._bootstrap, self._keys = bootstrap, keys
        self._found: dict[str, int] = {}
        self._read_to = 0

    def __call__(self, account: str) -> int | None:
        """The account's partition of its topics, None if there is no such account. Raises Unreachable."""
        if account not in self._found:
            end = end_of(self._bootstrap, "reference", 0)
            if end > self._read_to:
                records, _ = read_reference(self._bootstrap, self._keys)
                for record in records:
                    if isinstance(record, AccountConfig):
                        self._found.setdefault(record.account, record.partition)
                self._read_to = end
        return self._found.get(account)
