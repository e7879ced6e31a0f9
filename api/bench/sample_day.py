"""The sample day as blocks, made as an import makes them but without a broker, for benchmarks and golden digests."""

from __future__ import annotations

from producers.clocks import ServerClock, parse_zone
from producers.file_writer import pieces
from producers.judge import Judge
from producers.lean import read_quotes
from producers.sample import SampleFile
from schemas.integrity import ZERO_MAC
from schemas.ticks import BlockKind, TickBlock, TickSource

RECEIVED_US = 1_399_593_600_000_000
"""2014-05-09, when all of it had happened."""


def sample_blocks(file: SampleFile, ref_no: int) -> list[TickBlock]:
    """The file's DATA blocks of up to 4,096 ticks, judged, on the clock of New York + 7 h; prev and mac are zero."""
    quotes = read_quotes(file.path, parse_zone(file.tz), RECEIVED_US)
    judge = Judge()
    blocks: list[TickBlock] = []
    first_n = 0
    for piece in pieces(quotes, 0, ServerClock("ny7")):
        quality = judge.judge(piece.columns, TickSource.IMPORT, RECEIVED_US)
        blocks.append(
            piece.columns._replace(
                kind=BlockKind.DATA,
                listing=file.listing,
                epoch=1,
                seq=len(blocks) + 1,
                first_n=first_n,
                ref_no=ref_no,
                received_us=RECEIVED_US,
                server_offset_s=piece.server_offset_s,
                watermark_ms=judge.watermark_ms,
                quality=quality,
                prev=ZERO_MAC,
                mac=ZERO_MAC,
            )
        )
        first_n += len(quality)
    return blocks
