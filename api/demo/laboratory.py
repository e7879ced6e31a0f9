"""The signals of a played day beside those of the laboratory's backtest over the recorded topic."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

from api.lab.backtest import Request, run_backtest
from api.lab.choice import Chosen
from api.lab.ledger import Sum
from api.lab.log_data import from_log
from api.lab.setup import SizedBy
from infra.kafka import read_range
from infra.settings import Settings
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Derivations
from schemas.configuration import Sizing
from schemas.events import Signal
from schemas.identity import split_operator
from schemas.integrity import ZERO_MAC, KeyRing
from schemas.registry import decided_part, encode
from streams.merged_fold import listings_of


class Compared(NamedTuple):
    """A strategy's signals on a listing, as they were made live and as the laboratory makes them."""

    instance: str
    listing: str
    live: int
    equal: bool


def compare_signals(
    settings: Settings, bootstrap: str, keys: KeyRing, listing: str, strategies: list[Chosen]
) -> list[Compared]:
    """The signals of each strategy that runs on a listing, in decision bytes."""
    made = live_signals(bootstrap, keys, listing)
    found = []
    reads = [(listing,) if one.graph is None else listings_of(one.graph, listing) for one in strategies]
    names = list(dict.fromkeys(name for read in reads for name in read))
    with ExitStack() as kept:
        data = from_log(names, settings.terminal.spec, [], settings.home, settings.file, kept)
        by_name = {one.source.name: one for one in data}
        for chosen, read in zip(strategies, reads, strict=True):
            sized = SizedBy(Sizing.LOTS, 0.01)
            traded = [by_name[name] for name in read]
            run = run_backtest(Request(chosen=chosen, data=traded, sized=sized, trade=[listing]))
            live = made.get(chosen.instance, [])
            digest = hashlib.sha256(f"{chosen.instance} {listing} {_sum(live)}\n".encode() if live else b"").hexdigest()
            found.append(Compared(chosen.instance, listing, len(live), digest == run.digests["signals"]))
    return found


def live_signals(bootstrap: str, keys: KeyRing, listing: str) -> dict[str, list[Signal]]:
    """The signals taken from the topic, by instance, in their order."""
    found: dict[str, list[Signal]] = {}
    for signal in _signals(bootstrap, keys, listing):
        found.setdefault(split_operator(signal.operator)[0], []).append(signal)
    return found


def _signals(bootstrap: str, keys: KeyRing, listing: str) -> Iterator[Signal]:
    partition = partition_of("signals", listing)
    derivations = Derivations("signals", keys)
    for batch in read_range(bootstrap, "signals", partition):
        for message in batch:
            if message.key() == listing.encode():
                judged = derivations.judge(partition, message.offset() or 0, message.key(), message.value())
                if judged.verdict is Verdict.TAKE:
                    yield judged.record


def _sum(signals: list[Signal]) -> str:
    total = Sum()
    for signal in signals:
        unsealed = dataclasses.replace(signal, key_id="", mac=ZERO_MAC)
        total.add(decided_part(encode(unsealed), unsealed))
    return total.hex()
