"""Two listings on a real broker and a strategy that runs on the first and reads both."""

from __future__ import annotations

from typing import Any

from agents.strategy_program import StrategyProgram
from infra.kafka import end_of
from schemas.catalogue import partition_of
from schemas.events import OperatorActivation
from schemas.registry import decode
from streams import outputs
from streams.fold import Output
from streams.graph_programs import graph_activation
from streams.merged_fold import MergedFold, Place, merged_on
from streams.merged_reader import MergedReader
from tests.integration.streams.line import KEYS, Line
from tests.integration.streams.partitions import Reader
from tests.property.references import spec
from tickledger import Enter, Exit, Flat, other, strategy
from tickledger.ta import ema


class Pair:
    """The listings `own` and `further`, with specs, and bars on both; `bare`: the further one has neither."""

    def __init__(self, own: Line, further: Line, *, bare: bool = False) -> None:
        self.own, self.further = own, further
        self.instance = f"pair-{own.name}"
        for line in (own,) if bare else (own, further):
            line.configure(spec(listing=line.listing), line.activation("bars"))
        further.ref_no = own.ref_no = max(own.ref_no, further.ref_no)

    def program(self, length: int = 2) -> StrategyProgram:
        """Signals on nearly any bars, which depend on those of both."""
        further = self.further.listing

        @strategy(version=1, bars="M1")
        def pair(b: Any) -> Any:
            ratio = b.close / other(further).close
            up = ratio > ema(ratio, length)
            yield Enter.long(up, Exit(stop=abs(ratio)))
            yield Flat(~up)

        return pair.program()

    def activate(self, one: OperatorActivation | None = None) -> str:
        """Has it run from the next blocks on; the operator that it is then."""
        made = graph_activation(self.instance, self.program(), listings=(self.own.listing,)) if one is None else one
        self.own.configure(made)
        self.further.ref_no = self.own.ref_no
        return f"{made.instance}@{self.own.ref_no}"

    def signals(self) -> list[bytes]:
        """What lies on the topic, without holes, copies the same to the byte."""
        return self.own.found("signals")

    def expected(self) -> list[bytes]:
        """What the blocks that were written prove, the further listing's all before the first one's."""
        found: dict[str, list[bytes]] = {}
        view = self.own.view()
        for activation in merged_on(view, self.own.listing):
            fold = MergedFold(activation, self.own.listing, view)
            made = []
            for line in (self.further, self.own):
                for block in line.blocks:
                    before = fold.places[line.listing]
                    if block.seq != before.seq + 1:
                        fold.repaired(line.listing, Place(block.seq - 1, block.first_n, before.ref_no))
                    made += fold.fold(line.listing, [block])
            found[fold.operator] = _values(made)
        return [value for operator in sorted(found) for value in found[operator]]

    def read(self, reader: Reader) -> None:
        """Lets a worker of the first listing's partition read all that is on the logs."""
        reader.read()
        merged = self.merged(reader)
        ends = {p: end_of(reader.kafka, "ticks", p) for p in (self.own.partition, self.further.partition)}
        while any(
            chain._follower.scanned_to < ends[partition_of("ticks", chain.listing)]
            for one in merged
            for chain in one._chains
        ):
            reader.part.merge()
        assert reader.producer.flush(30) == 0

    def merged(self, reader: Reader) -> list[MergedReader]:
        """What the worker reads for its instances; other tests may have theirs on the partition."""
        return [one for one in reader.part._merged if one.fold.listing == self.own.listing]

    def newest_ms(self) -> int:
        """The time of the newest signal."""
        return max((decode(value).time_ms for value in self.signals()), default=0)  # type: ignore[union-attr]


def _values(made: list[Output]) -> list[bytes]:
    return [outputs.value_of(record, KEYS, KEYS.current) for output in made for record in output.records()]
