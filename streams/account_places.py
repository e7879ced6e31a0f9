"""Which partition an account has: by its first AccountConfig on `reference`, read on for one not known yet."""

from __future__ import annotations

from streams.reference_follower import ReferenceFollower


class AccountPlaces:
    """Tells readers of an account's topics its partition. One that was configured a moment ago is no intruder's."""

    def __init__(self, reference: ReferenceFollower) -> None:
        self._reference = reference

    def __call__(self, account: str) -> int | None:
        """The account's partition; None if `reference` doesn't have it."""
        config = self._reference.view.accounts.get(account)
        if config is None:
            self._reference.read_on()
            config = self._reference.view.accounts.get(account)
        return None if config is None else config.partition
