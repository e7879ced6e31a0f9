"""The replay driver over several listings."""

from __future__ import annotations

import dataclasses

from schemas.ticks import TickBlock
from streams.fold import ListingFold
from streams.replay import Digests, replay
from tests.property.references import built_in, spec, view
from tests.property.tick_logs import Knobs, random_log, recut

NAMES = ("a/EURUSD", "b/EURUSD")
REFERENCE = view(*[spec(listing=name) for name in NAMES], built_in("bars"), built_in("berserker"), *[spec()] * 40)


def logs() -> list[list[TickBlock]]:
    found = [random_log(Knobs(seed, 40, 30, 2_000, 0.1, 0.1, False)) for seed in (1, 2)]
    return [
        [b._replace(listing=name, ref_no=b.ref_no + 3) for b in log] for name, log in zip(NAMES, found, strict=True)
    ]


def digests(blocks: list[TickBlock]) -> dict[tuple[str, str, str], str]:
    found = Digests()
    for output in replay(blocks, REFERENCE):
        found.add(output)
    assert sum(found.counts.values()) > 100
    return dict(found.hex())


def test_listings_do_not_touch_each_other_however_they_are_mixed() -> None:
    first, second = logs()
    mixed = [block for pair in zip(first, second, strict=True) for block in pair]
    apart = digests(first + second)
    assert digests(mixed) == apart
    assert {listing for _, _, listing in apart} == set(NAMES)


def test_digests_are_of_decisions_and_know_nothing_of_reference_numbers() -> None:
    first, _ = logs()
    later = [block._replace(ref_no=block.ref_no + 5) for block in first]
    assert digests(later) == digests(first)


def test_a_changed_price_changes_the_digest() -> None:
    first, _ = logs()
    before = digests(first)
    block = next(b for b in first if len(b.bid) and not b.quality.any())
    block.bid[0] += 1e-5
    assert digests(first) != before


def test_tiny_blocks_are_folded_together_and_nothing_is_held_back_at_the_end() -> None:
    first, _ = logs()
    singles = recut(first, [1])
    outputs = list(replay(singles, REFERENCE))
    fold = ListingFold(NAMES[0], REFERENCE)
    one_by_one = [o for block in singles for o in fold.fold([block])]
    assert sum(len(o.columns) for o in outputs) == sum(len(o.columns) for o in one_by_one)
    assert len(outputs) < len(one_by_one)
    assert dataclasses.asdict(outputs[-1].records()[-1]) == dataclasses.asdict(one_by_one[-1].records()[-1])
