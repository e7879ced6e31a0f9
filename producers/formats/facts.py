"""What was found in files, in numbers and in words: every report says it, and `--dry-run` shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from schemas.times import iso_ms

FILL_RULE_BARS = (
    "a bar is four ticks (open, low, high, close if it rises, else open, high, low, close) at its start, a third, two "
    "thirds "
    "and a second before its end; between them the path is taken as continuous, so a stop inside a bar fills at its "
    "own "
    "price, and one in a gap between bars at the open"
)
FILL_RULE_TICKS = "an order fills at the quote that holds when it arrives, a stop at the first tick beyond it"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without rows while the market was open; UTC times of the rows around it."""

    from_ms: int
    to_ms: int
    missing: int
    """Bars, or minutes of ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What one listing's files were found to be. Times UTC milliseconds."""

    files: tuple[str, ...]
    """In the order of time."""
    twins: tuple[str, ...] = ()
    """Files left out because they are the same as another."""
    formats: tuple[str, ...]
    symbol: str
    clock: str
    """The clock of the files' times."""
    clock_from: str
    """told, by the format, by the rows, or assumed."""
    bar_ms: int
    """Length of the bars; 0 for ticks."""
    stamp: str
    """open or close for bars, else empty."""
    stamp_from: str
    """told, by the format, by where weeks begin and end, or assumed."""
    digits: int
    digits_from: str
    """told or found."""
    rows: int
    ticks: int
    starts_ms: int
    ends_ms: int
    real_share: float
    """Real ticks of all, 0 to 1: MT5's modelling quality."""
    spread_from: str
    """ask, column, or told (assumed by the caller, in points)."""
    fill_rule: str
    missing: int
    """Bars (for ticks: minutes) without a row while the market was open."""
    gaps: tuple[Gap, ...]
    """The longest, longest first."""
    duplicates: int
    """Bars that were there twice, taken once."""
    skipped: int
    """Rows before both bid and ask were known."""
    refused: int
    """Ticks that the judge calls broken."""
    reasons: dict[str, int] = field(default_factory=dict)
    """The same by reason."""
    head: tuple[str, ...] = ()
    """The first rows as they stand in the file."""
    warnings: tuple[str, ...] = ()

    @property
    def point(self) -> float:
        """Least step of a price."""
        return float(f"1e-{self.digits}")

    def as_json(self) -> dict[str, Any]:
        """For a manifest or `--json`."""
        out = {name: getattr(self, name) for name in self.__slots__}
        out["gaps"] = [{"from_ms": g.from_ms, "to_ms": g.to_ms, "missing": g.missing} for g in self.gaps]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in out.items()}

    def lines(self) -> list[str]:
        """The facts as a person reads them, without the warnings."""
        what = f"{_frame(self.bar_ms)} bars" if self.bar_ms else "ticks"
        unit = "bars" if self.bar_ms else "minutes"
        said = [
            f"data: {self.symbol}, {' and '.join(self.formats)} ({what}), {self.rows:,} rows, {self.ticks:,} ticks in "
            f"{len(self.files)} file{'s' if len(self.files) != 1 else ''}",
            f"range: {iso_ms(self.starts_ms)} to {iso_ms(self.ends_ms)}",
            f"clock of the files: {self.clock} ({self.clock_from})",
        ]
        if self.bar_ms:
            said.append(f"bar stamp: {self.stamp} ({self.stamp_from})")
        said.append(f"digits: {self.digits} ({self.digits_from}), point {self.point:g}")
        spread = {"ask": "from the files' asks", "column": "from the files' spread column", "told": "assumed, as told"}
        said.append(f"spread: {spread.get(self.spread_from, self.spread_from)}")
        longest = f"; the longest {self.gaps[0].missing:,} from {iso_ms(self.gaps[0].from_ms)}" if self.gaps else ""
        said.append(f"gaps: {self.missing:,} {unit} without a row while the market was open{longest}")
        said.append(f"modelling quality: {self.real_share:.0%} real ticks")
        said.append(f"fill rule: {self.fill_rule}")
        if self.duplicates:
            said.append(f"duplicates: {self.duplicates:,} bars were there twice, taken once")
        if self.skipped:
            said.append(f"skipped: {self.skipped:,} rows before bid and ask were both known")
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(self.reasons.items()))
        said.append(f"judge: {self.refused:,} ticks refused" + (f" ({reasons})" if reasons else ""))
        return said


def _frame(bar_ms: int) -> str:
    return "H1" if bar_ms == 3_600_000 else f"M{bar_ms // 60_000}"
