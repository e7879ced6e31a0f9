"""The sample day that ships with the program: 2014-05-06 of EURUSD from two feeds (see NOTICE.md for whose it is)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

_HERE: Final = Path(__file__).parent


class SampleFile(NamedTuple):
    """A LEAN quote file of the sample day."""

    listing: str
    """feed/SYMBOL that it is imported as."""
    path: Path
    """The zip; its name starts with the day."""
    tz: str
    """The clock of its times, as `--tz` takes it."""
    ticks: int
    """Rows in it."""


SAMPLE_DAY: Final = (
    SampleFile("oanda/EURUSD", _HERE / "oanda" / "EURUSD" / "20140506_quote.zip", "UTC", 44_864),
    SampleFile("fxcm/EURUSD", _HERE / "fxcm" / "EURUSD" / "20140506_quote.zip", "UTC-05", 102_682),
)
"""Tuesday 2014-05-06, both feeds."""
