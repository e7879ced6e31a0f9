"""One file into columns of ticks, piece by piece, whatever its format; and what was seen on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.errors import BadFile
from producers.cache import ColumnWriter
from producers.formats import asks as bar_asks
from producers.formats import dukascopy, lean_files, parquet
from producers.formats.building import Building, MoreDigits
from producers.formats.layouts import find_layout
from producers.formats.names import Hint, hint_of
from producers.formats.source import Damage, FileNotes, ReadOptions, Source
from producers.formats.text import chunks
from producers.formats.text_rows import text_batches

HEAD_ROWS: Final = 3


def read_into(path: Path, options: ReadOptions, writer: ColumnWriter, asks: Path | None = None) -> FileNotes:
    """Reads `path` and appends its ticks; `asks`: bars of asks beside its bars of bids.

    Raises BadFile and Refused; damage inside a file is in the notes.
    """
    hint = hint_of(path)
    if hint.too_long and options.columns is None:
        raise BadFile(f"{path}: its name says {hint.too_long}: bars above H1 say too little of the path; export M1")
    digits = 0
    while True:
        try:
            return _read_once(path, hint, options, digits, writer, asks)
        except MoreDigits as more:
            digits = more.args[0]
            writer.restart()


def _read_once(
    path: Path, hint: Hint, options: ReadOptions, digits: int, writer: ColumnWriter, asks: Path | None
) -> FileNotes:
    source = _source_of(path, hint, options)
    if asks is not None:
        source = bar_asks.joined(source, _source_of(asks, hint_of(asks), options), path, asks)
    notes = FileNotes(format=source.format, symbol=source.symbol or hint.symbol, digits=digits)
    notes.warnings.extend(source.warnings)
    notes.head, notes.starts_ms, notes.sha256 = source.head, source.starts_ms, source.sha256
    notes.ends_ms = source.starts_ms
    building = Building(path, source, hint, options, notes, writer)
    try:
        for batch in source.batches:
            building.add(batch)
    except Damage as damage:
        tells = source.format == "lean" and not source.bars
        if not notes.rows and not tells:
            raise BadFile(f"{path}{damage.args[0]}; no row before it is whole") from None
        before = "" if tells else f"; the {notes.rows} rows before it are whole"
        notes.damage = f"{path}{damage.args[0]}{before}"
    building.finish()
    return notes


def _source_of(path: Path, hint: Hint, options: ReadOptions) -> Source:
    """The reader of a file. Raises BadFile."""
    told = options.format
    name = path.name.lower()
    if name.endswith((".bi5", ".bi5.gz", ".bi5.zip")) or told == "dukascopy-bi5":
        return dukascopy.source(path, hint, options)
    if name.endswith((".parquet", ".pq")) or told == "parquet":
        return parquet.source(path, options)
    texts = chunks(path)
    first = next(texts, b"")
    if told == "lean" or (told is None and options.columns is None and lean_files.looks_like(first, hint)):
        return lean_files.source(path, first, hint, options)
    layout = find_layout(path, first[: 2**18], hint, told, options.columns)
    lines = first[:4096].decode("utf-8", errors="replace").splitlines()
    return Source(
        format=layout.format,
        batches=text_batches(path, layout, first, texts),
        bars=layout.bars,
        clock=layout.clock,
        symbol=None if layout.symbol is None else layout.symbol.replace("/", ""),
        stamp="" if layout.format == "csv" else "open",
        head=lines[layout.header_lines : layout.header_lines + HEAD_ROWS],
        warnings=layout.warnings,
        ask_side=layout.format == "dukascopy-bars" and hint.side == "ask",
    )
