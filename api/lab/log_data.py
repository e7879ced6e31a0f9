"""The data of a backtest from the home's log: a range of `ticks`, chain and MACs checked on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from api.lab.data import Traded
from api.lab.log_blocks import blocks_of
from api.start import running_stack, settings_of
from infra.chain_follower import read_repairs
from infra.errors import Refused, SettingsError
from infra.kafka import read_range
from infra.keys import load_or_create
from infra.reference_log import read_reference
from producers.listing_spec import spec_of
from producers.specs import for_digits, listing_spec, load_spec
from schemas.accept import Verdict
from schemas.catalogue import partition_of
from schemas.chains import Chains
from schemas.events import ListingSpec
from schemas.identity import parse_listing
from schemas.integrity import KeyRing
from schemas.runs import RunReader
from schemas.ticks import BlockKind, TickBlock
from streams.operators.base import Segment
from streams.run_segments import run_segments

_BATCH = 200


class LogSource:
    """A listing's ticks from the log, as far as it is written when they are asked for.

    Raises Refused at a damaged record: what was read before it is whole, and `verify` says more.
    """

    def __init__(self, kafka: str, keys: KeyRing, listing: str, digits: int) -> None:
        self._kafka, self._keys, self._listing, self._digits = kafka, keys, listing, digits
        self._facts: dict[str, Any] = {
            "listing": listing,
            "formats": ["log"],
            "files": [],
            "digits": digits,
            "ticks": 0,
            "starts_ms": -(2**62),
            "ends_ms": 2**62,
            "real_share": 1.0,
            "reasons": {},
        }

    @property
    def name(self) -> str:
        return self._listing

    @property
    def digits(self) -> int:
        return self._digits

    @property
    def facts(self) -> Mapping[str, Any]:
        return self._facts

    def inputs(self) -> list[dict[str, Any]]:
        return [{"listing": self._listing, "topic": "ticks", "ticks": self._facts["ticks"]}]

    def blocks(self, ref_no: int) -> Iterator[TickBlock]:
        """The listing's blocks, with `ref_no` in place of their own: the run has a reference of its own."""
        facts = self._facts
        for block in blocks_of(self._listing, ref_no, self._segments(self._listing.encode())):
            if block.seq == 1:
                facts["starts_ms"], facts["ticks"] = int(block.time_ms[0]), 0
            facts["ticks"] += len(block.quality)
            facts["ends_ms"] = int(block.time_ms[-1])
            yield block

    def _segments(self, key: bytes) -> Iterator[Segment]:
        partition = partition_of("ticks", key)
        chains = Chains("ticks", self._keys, read_repairs(self._kafka, self._keys))
        runs = RunReader(chains, self._keys, partition)
        for batch in read_range(self._kafka, "ticks", partition, batch=_BATCH):
            records = [(m.offset() or 0, m.value()) for m in batch if m.key() == key]
            at, most = 0, len(records)
            while at < len(records):
                run = runs.read(key, [value for _, value in records[at : at + most]])
                if run is None:
                    offset, value = records[at]
                    judged = chains.judge(partition, offset, key, value)
                    if judged.alert and judged.verdict is Verdict.STOP:
                        raise Refused(
                            f"the log of {self._listing} stops at offset {offset} of ticks/{partition}: "
                            f"{judged.reason}; tickledger verify says more"
                        )
                    if judged.verdict is Verdict.TAKE and judged.record.kind == BlockKind.DATA:
                        yield from run_of(judged.record)
                    at, most = at + 1, 1
                    continue
                yield from run_segments(run)
                at, most = at + run.links, 2 * most


def from_log(
    symbols: Sequence[str],
    spec_name: str | None,
    overrides: Sequence[str],
    home: Path | None,
    config: Path | None,
    kept: ExitStack,
) -> list[Traded]:
    """The listings of the home's log; the broker runs until `kept` is closed. Raises SettingsError, Unreachable."""
    settings = settings_of(home, config, "backtest")
    running = kept.enter_context(running_stack(settings, frozenset({"kafka"})))
    keys = load_or_create(settings)
    records, _ = read_reference(running.kafka, keys)
    known = sorted({r.listing for r in records if isinstance(r, ListingSpec)})
    found = []
    for symbol in symbols:
        listing = _listing(symbol, known)
        held = spec_of(listing, records)
        assert held is not None
        spec = for_digits(load_spec(spec_name, parse_listing(listing).symbol, overrides), held.digits)
        own = listing_spec(spec, listing, held.digits)
        source = LogSource(running.kafka, keys, listing, held.digits)
        found.append(Traded(source, spec, own, (f"data: {listing} from the log, chain and MACs checked",), ()))
    return found


def run_of(block: TickBlock) -> Iterator[Segment]:
    """A block by itself as a segment."""
    from streams.segments import segments

    return segments([block])


def _listing(symbol: str, known: Sequence[str]) -> str:
    if symbol in known:
        return symbol
    fitting = [name for name in known if name.rpartition("/")[2] == symbol]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(known) or "none: import files first, or name them here"
    if fitting:
        raise SettingsError(f"--symbol {symbol} is of several feeds: write one of {', '.join(fitting)}")
    raise SettingsError(f"--symbol {symbol}: the log has no such listing; there is {there}")
