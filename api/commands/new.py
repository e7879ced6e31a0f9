"""`tickledger new`: a working strategy with its test."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from infra.errors import CannotWrite, Refused, SettingsError

_STRATEGY = '''"""{name}: a first strategy, to be changed.

Try it:    tickledger backtest {name}.py EURUSD_M1.csv --spec generic --risk 0.5%
Vary it:   tickledger sweep {name}.py EURUSD_M1.csv -p fast=10:60:10 -p slow=50,100,200
Test it:   python -m pytest test_{name}.py
"""

from tickledger import Enter, Exit, Param, strategy
from tickledger.ta import atr, cross_above, cross_below, ema


@strategy(version=1, bars="H1")
def {name}(b, fast=Param(20, 5, 100), slow=Param(50, 20, 400), k=Param(2.0, 0.5, 6.0)):
    """EMA cross; stop k ATR, target twice as far."""
    f, s, r = ema(b.close, fast), ema(b.close, slow), atr(b, 14)
    plan = Exit(stop=k * r, target=2 * k * r)
    yield Enter.long(cross_above(f, s), plan, valid_for="60s")
    yield Enter.short(cross_below(f, s), plan, valid_for="60s")
'''

_TEST = '''"""The strategy says what it should, without any data file."""

import numpy as np

from tickledger.testing import signals_of

from {name} import {name}


def test_it_buys_once_a_fall_has_turned_into_a_rise():
    prices = np.concatenate((np.linspace(1.30, 1.20, 300), np.linspace(1.20, 1.40, 300)))
    signals = signals_of({name}, prices)
    assert [side for kind, side, _ in signals if kind == "ENTER"] == ["LONG"]


def test_every_entry_has_a_stop():
    prices = 1.3 + 0.05 * np.sin(np.arange(2_000) / 80)
    entries = [plan for kind, _, plan in signals_of({name}, prices) if kind == "ENTER"]
    assert entries
    assert all(plan["stop_distance"] > 0 for plan in entries)
'''


def new(name: Annotated[str, Parameter(help="Name of the strategy, as Python writes names: my_cross.")], /) -> int:
    """Write a working strategy, NAME.py, with its test beside it, into the working directory."""
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise SettingsError(f"{name!r} is no name for a strategy: lower-case letters, digits and _, such as my_cross")
    files = {Path(f"{name}.py"): _STRATEGY, Path(f"test_{name}.py"): _TEST}
    _write({path: text.format(name=name) for path, text in files.items()})
    print(f"{name}.py and test_{name}.py are written. Next:")
    print(f"  tickledger backtest {name}.py EURUSD_M1.csv --spec generic --risk 0.5%")
    return 0


def _write(files: Mapping[Path, str]) -> None:
    """All of them or none. Raises Refused for one that is there already, CannotWrite."""
    written: list[Path] = []
    try:
        for path in files:
            if path.exists():
                raise Refused(f"{path} is there already: choose another name, or take it away")
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise CannotWrite(
            f"cannot write {', '.join(map(str, files))} into {Path.cwd()}: {error.strerror or error}: run it in a "
            "folder that you may write to; nothing was written"
        ) from None
