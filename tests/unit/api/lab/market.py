"""Markets for tests of the laboratory: quotes from a seeded walk, as a listing with its costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from api.lab.backtest import Request, run_backtest
from api.lab.choice import choose
from api.lab.data import Traded, cut
from api.lab.run import Run
from api.lab.setup import SizedBy
from producers.specs import for_digits, listing_spec, load_spec
from schemas.configuration import Sizing
from schemas.ticks import BlockKind, TickBlock, TickSource

MONDAY_MS = 1_704_672_000_000
"""2024-01-08 00:00 UTC."""
TENTH = SizedBy(Sizing.LOTS, 0.1)


class Quoted:
    """A listing's ticks in memory, cut into blocks at `cuts`."""

    def __init__(self, name: str, block: TickBlock, cuts: Sequence[int] = ()) -> None:
        self._block, self._name = block, name
        edges = sorted({0, len(block.quality), *(at for at in cuts if at < len(block.quality))})
        self._edges = edges

    @property
    def name(self) -> str:
        return self._name

    @property
    def digits(self) -> int:
        return 5

    @property
    def facts(self) -> Mapping[str, Any]:
        times = self._block.time_ms
        return {
            "listing": self._name, "formats": ["test"], "files": [], "ticks": len(times), "starts_ms": int(times[0]),
            "ends_ms": int(times[-1]), "real_share": 1.0, "digits": 5,
        }  # fmt: skip

    def inputs(self) -> list[dict[str, Any]]:
        return []

    def blocks(self, ref_no: int) -> Iterator[TickBlock]:
        for seq, (start, end) in enumerate(zip(self._edges, self._edges[1:], strict=False), start=1):
            yield cut(self._block, start, end)._replace(seq=seq, ref_no=ref_no)


def walk(ticks: int, seed: int = 1, *, step: float = 0.00004, every_ms: int = 1_500) -> TickBlock:
    """A seeded walk around 1.1 with a spread of 2 to 6 points and sometimes several ticks in a millisecond."""
    random = np.random.default_rng(seed)
    bid = np.round(1.1 + np.cumsum(random.normal(0, step, ticks)), 5)
    ask = np.round(bid + random.integers(2, 7, ticks) / 1e5, 5)
    waits = random.integers(0, 2 * every_ms, ticks)
    waits[random.random(ticks) < 0.05] = 0
    return quotes((MONDAY_MS + np.cumsum(waits)).tolist(), bid.tolist(), ask.tolist())


def quotes(times: Sequence[int], bids: Sequence[float], asks: Sequence[float]) -> TickBlock:
    """A block of these quotes."""
    count = len(times)
    return TickBlock(
        kind=BlockKind.DATA, listing="test/EURUSD", epoch=1, nonce=bytes(8), seq=1, first_n=0, ref_no=1,
        source=TickSource.IMPORT, received_us=0, server_offset_s=7_200, gap=False, watermark_ms=int(times[-1]),
        time_ms=np.array(times, np.int64), bid=np.array(bids), ask=np.array(asks), last=np.empty(0),
        volume=np.empty(0), flags=np.zeros(count, np.int32), quality=np.zeros(count, np.int32), key_id="",
        prev=bytes(16), mac=bytes(16),
    )  # fmt: skip


def traded(
    block: TickBlock, cuts: Sequence[int] = (), overrides: Sequence[str] = (), preset: str = "generic"
) -> Traded:
    """`block` as test/EURUSD with the costs of a preset."""
    name = block.listing
    spec = for_digits(load_spec(preset, name.partition("/")[2], overrides), 5)
    return Traded(Quoted(name, block, cuts), spec, listing_spec(spec, name, 5), (), ())


def run(strategy: str, *data: Traded, sized: SizedBy = TENTH, **values: Any) -> Run:
    """A backtest of a strategy that ships or a file's."""
    return run_backtest(Request(chosen=choose(strategy, values), data=data, sized=sized))
