"""Reference records for tests: a spec and the built-in activations, numbered."""

from __future__ import annotations

import dataclasses
from typing import Any

from schemas.events import ListingSpec, OperatorActivation, ReferenceRecord
from schemas.integrity import ZERO_MAC
from streams.activations import missing
from streams.reference import ReferenceView

LISTING = "test/EURUSD"


def spec(digits: int = 5, listing: str = LISTING, effective_from_us: int = 0) -> ListingSpec:
    """A listing of `digits` digits."""
    return ListingSpec(
        epoch=1,
        nonce=bytes(8),
        seq=0,
        ref_no=0,
        effective_from_us=effective_from_us,
        written_us=0,
        listing=listing,
        digits=digits,
        digits_inferred=False,
        contract_size=100_000.0,
        volume_min=0.01,
        volume_max=100.0,
        volume_step=0.01,
        stops_level=0,
        freeze_level=0,
        commission_per_lot_side=0.0,
        currency_base="EUR",
        currency_profit="USD",
        server_clock="ny7",
        description="",
        key_id="k",
        prev=ZERO_MAC,
        mac=ZERO_MAC,
    )


def built_in(instance: str, **changes: Any) -> OperatorActivation:
    """The activation of a built-in instance."""
    found = {a.instance: a for a in missing([])}[instance]
    return dataclasses.replace(found, **changes)


def view(*records: ReferenceRecord) -> ReferenceView:
    """The records as a view, numbered from 1."""
    return ReferenceView(dataclasses.replace(r, ref_no=k) for k, r in enumerate(records, start=1))


def usual(last: int = 100) -> ReferenceView:
    """A spec, both built-in activations, and more specs that change nothing, up to number `last`."""
    return view(spec(), built_in("bars"), built_in("berserker"), *[spec()] * (last - 3))
