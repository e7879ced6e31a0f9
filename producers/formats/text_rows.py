"""Rows of a text in batches, by the layout that was found; and what is wrong with a row, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.errors import BadFile
from producers.formats import rows
from producers.formats.layouts import Layout
from producers.formats.source import Batch, Damage
from producers.listing_spec import MAX_DIGITS, digits_of


def text_batches(path: Path, layout: Layout, first: bytes, rest: Iterator[bytes]) -> Iterator[Batch]:
    """Rows of a text. Raises Damage behind the batch that is whole."""
    names = layout.values
    roles, empty = np.array(layout.roles(), np.int64), np.array(layout.empty(), np.int64)
    present = [name for name in names if name in layout.names]
    carry = np.full(len(names), np.nan)
    at = np.zeros(rows.AT_LEN, np.int64)
    slow = np.zeros((rows.SLOW_ROOM, 4), np.int64)
    symbol = np.frombuffer((layout.symbol or "").encode(), np.uint8).copy()
    prices = layout.prices
    for _ in range(layout.header_lines):
        first = first.partition(b"\n")[2]
    lines = layout.header_lines
    piece: bytes | None = first
    digits = skipped = 0
    while piece is not None:
        text = np.frombuffer(piece, np.uint8)
        room = piece.count(b"\n") + 1
        time_ms, values = np.zeros(room, np.int64), np.full((len(names), room), np.nan)
        at[:] = 0
        while True:
            problem = rows.parse_rows(
                text, ord(layout.separator), ord(layout.decimal), roles, empty, prices, layout.order, layout.per_ms,
                symbol, carry, at, slow, time_ms, values,
            )  # fmt: skip
            noisy = _read_slow(piece, layout, at, slow, values, carry, prices)
            if isinstance(noisy, str):
                problem = rows.Problem.NUMBER
            if problem != rows.Problem.FULL:
                break
        if isinstance(noisy, int):
            digits = max(digits, noisy)
        count = int(at[rows.ROWS])
        if layout.format.startswith("mt5"):
            # A terminal writes all digits; others write zeros that no price has, or leave out those that it has.
            digits = max(digits, min(int(at[rows.DECIMALS]), MAX_DIGITS))
        else:
            digits = max(digits, digits_of(*values[: prices if layout.bars else 2, :count]))
        told = int(at[rows.OFFSETS])
        skipped += int(at[rows.SKIPPED])
        if told not in (0, count + int(at[rows.SKIPPED])):
            raise BadFile(f"{path}: some of its times tell their offset from UTC and some don't: tell one zone by --tz")
        if count:
            found = {name: values[names.index(name), :count] for name in present}
            yield Batch(time_ms[:count], found, told > 0, digits, lines + 1, skipped)
            skipped = 0
        if problem:
            said = noisy if isinstance(noisy, str) else _said(problem, piece, layout, at)
            raise Damage(f", line {lines + int(at[rows.LINES]) + 1}: {said}")
        lines += int(at[rows.LINES])
        piece = next(rest, None)


def _read_slow(
    piece: bytes,
    layout: Layout,
    at: NDArray[np.int64],
    slow: NDArray[np.int64],
    values: NDArray[np.float64],
    carry: NDArray[np.float64],
    prices: int,
) -> int | str:
    """Numbers that the kernel left: their digits, or what is wrong with one.

    Those with noise behind the digits of a price (1.1370200000000001, as Dukascopy writes it) lose it.
    """
    digits = 0
    for value, row, start, end in slow[: int(at[rows.SLOW])].tolist():
        cell = piece[start:end].decode("utf-8", errors="replace")
        try:
            number = float(cell.replace(layout.decimal, "."))
        except ValueError:
            at[rows.ROWS] = row
            at[rows.LINES] = piece[:start].count(b"\n")
            return f"{layout.values[value]} {cell[:40]!r} is no number"
        rounded = round(number, MAX_DIGITS)
        if abs(number - rounded) <= 4 * np.spacing(abs(number)):
            number = rounded
        values[value, row] = carry[value] = number
        if value < prices:
            digits = max(digits, digits_of(np.array([number])))
    return digits


def _said(problem: int, piece: bytes, layout: Layout, at: NDArray[np.int64]) -> str:
    """What is wrong with a row, in words."""
    start, end, column = int(at[rows.FIELD]), int(at[rows.FIELD_END]), int(at[rows.COLUMN])
    line = piece[int(at[rows.POSITION]) :].partition(b"\n")[0].decode("utf-8", errors="replace").rstrip("\r")
    name = layout.names[column] if column < len(layout.names) else ""
    cell = piece[start:end].decode("utf-8", errors="replace")[:40]
    if problem == rows.Problem.WIDTH:
        cells = line.count(layout.separator) + 1
        return f"{cells} cells instead of {len(layout.names)} ({','.join(layout.names)}): {line[:60]!r}"
    if problem == rows.Problem.EMPTY:
        return f"{name} is empty: {line[:60]!r}"
    if problem == rows.Problem.OTHER_SYMBOL:
        return f"symbol {cell!r} among {layout.symbol!r}: put each symbol into a file of its own"
    if problem == rows.Problem.CLOCK:
        return f"{cell!r} is no date or time as in the first row: {line[:60]!r}"
    if "," in cell and layout.decimal == ".":
        return f"{name} {cell!r} has a decimal comma where the first rows have a point"
    return f"{name} {cell!r} is no number"
