"""Tables as Parquet: a frame at once, or rows as they come, of which only some are in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import polars as pl

_ZSTD: Final[Mapping[str, Any]] = {"compression": "zstd", "compression_level": 1}
_OS_ERROR: Final = re.compile(r"\(os error (\d+)\)")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Writes a frame. Raises OSError."""
    with _os_errors():
        frame.write_parquet(path, **_ZSTD)


def write_pieces(pieces: Iterable[pl.DataFrame], schema: Mapping[str, Any], group: int, path: Path) -> None:
    """Writes frames of one schema, one behind the other, in groups of `group` rows; a few are in memory at a time.

    Raises OSError, and what `pieces` raises.
    """
    from polars.io.plugins import register_io_source

    def source(*_: object) -> Iterator[pl.DataFrame]:
        # All columns and rows are asked for.
        return iter(pieces)

    with _os_errors():
        rows = register_io_source(source, schema=dict(schema))
        rows.sink_parquet(path, row_group_size=group, **_ZSTD)


@contextmanager
def _os_errors() -> Iterator[None]:
    """What the system refused, which polars tells in words, as the error that it was."""
    from polars.exceptions import PolarsError

    try:
        yield
    except PolarsError as error:
        found = _OS_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
