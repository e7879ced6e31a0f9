"""What a file's name tells, as terminals and vendors name their exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.formats.names import Hint, hint_of
from tests.unit.producers import exports

MINUTE = 60_000


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("EURUSD_M1_202401020000_202412310000.csv", Hint("EURUSD", MINUTE)),
        ("EURUSD.a_M5_202401020000_202412310000.csv.gz", Hint("EURUSD.a", 5 * MINUTE)),
        ("#US500_H1.csv", Hint("#US500", 60 * MINUTE)),
        ("EURUSD M15.csv", Hint("EURUSD", 15 * MINUTE)),
        ("EURUSD_202401020000_202412310000.csv", Hint("EURUSD")),
        ("EURUSD_D1.csv", Hint("EURUSD", too_long="D1")),
        ("DAT_ASCII_EURUSD_T_201405.csv", Hint("EURUSD", histdata="ASCII")),
        ("DAT_MT_EURUSD_M1_2014.csv", Hint("EURUSD", MINUTE, histdata="MT")),
        ("HISTDATA_COM_ASCII_EURUSD_M12014.zip", Hint("EURUSD", MINUTE, histdata="ASCII")),
        ("EURUSD-2014-05.csv", Hint("EURUSD")),
        ("EURUSD_Candlestick_1_M_BID_01.01.2024-31.01.2024.csv", Hint("EURUSD", side="bid")),
        ("20140506_quote.zip", Hint(lean_day="20140506")),
        ("EURUSD/2014/04/06/13h_ticks.bi5", Hint("EURUSD", hour_ms=exports.at(2014, 5, 6, 13))),
        ("EURUSD/2014/12/06/13h_ticks.bi5", Hint("EURUSD")),
        ("ticks.csv", Hint()),
        ("US 500_M1.csv", Hint(bar_ms=MINUTE)),
        ("my data.csv", Hint()),
    ],
)
def test_names(name: str, hint: Hint) -> None:
    assert hint_of(Path("some/folder") / name) == hint
