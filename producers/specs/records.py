"""A loaded spec as the records that the desk reads. The chain's fields are the writer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from producers.specs.resolve import rescaled
from producers.specs.spec import LabSpec
from schemas.configuration import AccountConfig
from schemas.events import ListingSpec
from schemas.integrity import UNWRITTEN
from streams.venue.model import VenueModel


def for_digits(spec: LabSpec, digits_found: int) -> LabSpec:
    """The spec for prices of so many digits.

    Prices with more digits than a preset has make its points smaller: spread, stops level, slippage and swaps that the
    preset gives are converted; what a user told is in points of the prices as they are. Digits that were told stay.
    """
    digits = spec.listing["digits"]
    if digits_found <= digits and (digits or "digits" in spec.told):
        return spec
    if "digits" in spec.told:
        many = (
            f"The prices have {digits_found} digits, more than the {digits} told: they count in points of 1e-{digits}."
        )
        return replace(spec, assumptions=(*spec.assumptions, many))
    listing = {**spec.listing, "digits": digits_found}
    if not digits:
        return replace(spec, listing=listing, digits_found=True)
    points = {**listing, **asdict(spec.model), "spread_points": spec.spread_points}
    new = rescaled(points, digits_found - digits, spec.told)
    each = 10 ** (digits_found - digits)
    said = f"The prices have {digits_found} digits where the spec has {digits}: each of its points counts {each}."
    return replace(
        spec,
        digits_found=True,
        listing={key: new.get(key, value) for key, value in listing.items()},
        model=VenueModel(**{key: new.get(key, value) for key, value in asdict(spec.model).items()}),
        spread_points=new.get("spread_points", spec.spread_points),
        assumptions=(*spec.assumptions, said),
    )


def listing_spec(spec: LabSpec, listing: str, digits_found: int) -> ListingSpec:
    """`listing` (feed/SYMBOL) by the spec, for prices of so many digits: see `for_digits`."""
    spec = for_digits(spec, digits_found)
    return ListingSpec(listing=listing, digits_inferred=spec.digits_found, **spec.listing, **UNWRITTEN)


def account_config(spec: LabSpec, account: str, listings: Sequence[str]) -> AccountConfig:
    """The account by the spec, on the feed of the first of `listings` (feed/SYMBOL), whose quotes may convert money."""
    told = spec.account
    return AccountConfig(
        account=account,
        feed=listings[0].partition("/")[0] if listings else "",
        rate_currencies=tuple(told["rates"]),
        rates=tuple(told["rates"].values()),
        conversion_listings=tuple(listings),
        order_base=0,
        partition=0,
        active=True,
        **{key: value for key, value in told.items() if key != "rates"},
        **UNWRITTEN,
    )
