"""A process that writes ListingSpecs onto `reference`. Arguments: the broker's address, the key ring's file, the name
of its feed, and how many; it leaves what is there already alone."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from infra.clock import SystemClock
from infra.errors import TickledgerError
from infra.keys import load
from infra.reference_log import append_reference
from schemas.events import ListingSpec, ReferenceRecord
from tests.chain_logs import specs


def spec_of(listing: str, digits: int = 5) -> ListingSpec:
    """An unnumbered spec."""
    plain = specs()[1]
    assert isinstance(plain, ListingSpec)
    return dataclasses.replace(plain, listing=listing, digits=digits)


def main() -> int:
    bootstrap, ring, feed, count = sys.argv[1:]
    for i in range(int(count)):
        listing = f"{feed}/S{i}"

        def wanted(records: list[ReferenceRecord], listing: str = listing) -> list[ReferenceRecord]:
            there = {r.listing for r in records if isinstance(r, ListingSpec)}
            return [] if listing in there else [spec_of(listing)]

        try:
            # Each of several at once may lose to the others again and again.
            append_reference(bootstrap, load(Path(ring)), SystemClock(), wanted, attempts=100)
        except TickledgerError as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            return error.exit_code
    print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
