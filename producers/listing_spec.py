"""What a listing is, for `reference`: told by a TOML file, or its digits found in the prices.

A file, every key optional; what it leaves out stays as the listing has it, else unknown:

    digits = 5                      # of a price; a point is 10^-digits
    contract_size = 100000.0        # units of the base currency in one lot
    volume_min = 0.01               # smallest order, lots
    volume_max = 500.0              # largest order, lots
    volume_step = 0.01              # step of an order's size, lots
    stops_level = 0                 # least distance of stops from the price, points
    freeze_level = 0                # distance within which an order can't be changed, points
    commission_per_lot_side = 3.0   # of one side of one lot
    commission_currency = "USD"     # of the commission; left out: the account's
    currency_base = "EUR"           # bought
    currency_profit = "USD"         # of the price
    margin_mode = "FOREX"           # or CFD, CFD_LEVERAGE: docs/specs.md
    margin_rate = 1.0               # share of the full margin that is asked
    swap_mode = "POINTS"            # what swaps are in: POINTS, PERCENT a year, MONEY; or NONE
    swap_long = -7.2                # a long's, of a night and a lot
    swap_short = 3.1                # a short's
    swap_triple_day = 3             # the day whose night counts thrice: 0 = Sunday
    description = "Euro vs US Dollar"
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from infra.errors import BadFile, FileUnreadable
from producers.specs.keys import COSTS
from schemas.configuration import MarginMode, SwapMode
from schemas.events import ListingSpec
from schemas.integrity import UNWRITTEN

MAX_DIGITS: Final = 8
"""Most digits of a price, as at MT5; what has more is compared in points of 10^-8."""
DEFAULT_SERVER_CLOCK: Final = "ny7"

_INTEGERS: Final = {"digits": MAX_DIGITS, "stops_level": 10**9, "freeze_level": 10**9, "swap_triple_day": 6}
_SIGNED: Final = ("swap_long", "swap_short")
_NUMBERS: Final = (
    "contract_size", "volume_min", "volume_max", "volume_step", "commission_per_lot_side", "margin_rate", *_SIGNED,
)  # fmt: skip
_TEXTS: Final = ("currency_base", "currency_profit", "commission_currency", "description")
_MODES: Final[dict[str, type[MarginMode] | type[SwapMode]]] = {"margin_mode": MarginMode, "swap_mode": SwapMode}
_KEYS: Final = (*_INTEGERS, *_NUMBERS, *_TEXTS, *_MODES)


def read_spec(path: Path) -> dict[str, Any]:
    """The keys that a spec file tells, checked. Raises BadFile with the key, its value and what it can be."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: is not TOML: {error}") from error
    for key, value in told.items():
        _check(path, key, value)
    smallest, largest = told.get("volume_min", 0), told.get("volume_max", 0)
    if largest and smallest > largest:
        raise BadFile(f"{path}: volume_min {smallest} is above volume_max {largest}: correct one of them")
    if told.get("swap_mode", "NONE") == "NONE" and (told.get("swap_long") or told.get("swap_short")):
        raise BadFile(f"{path}: swap_long and swap_short need swap_mode beside them: POINTS, PERCENT or MONEY")
    return {key: _typed(key, value) for key, value in told.items()}


def wanted_spec(
    listing: str,
    now: ListingSpec | None,
    told: dict[str, Any],
    digits: int,
    server_clock: str | None,
) -> ListingSpec | None:
    """What is to be written so that the listing is as told; None if it is already.

    `now`: what holds for the listing. `told`: from `read_spec`, or empty. `digits`: found in the prices; they count
    while none were told, and only widen. `server_clock`: None for what the listing has, New York + 7 h if it has none.
    The chain's fields are the writer's.
    """
    spec = unknown_spec(listing) if now is None else now
    changes = dict(told)
    if server_clock is not None:
        changes["server_clock"] = server_clock
    if "digits" in told:
        changes["digits_inferred"] = False
    elif spec.digits_inferred:
        changes["digits"] = max(spec.digits, digits)
    wanted = replace(spec, **changes)
    return None if wanted == now else wanted


def spec_of(listing: str, records: Iterable[object]) -> ListingSpec | None:
    """The ListingSpec that holds for `listing` by the records of `reference` in order; None if it has none."""
    found = [record for record in records if isinstance(record, ListingSpec) and record.listing == listing]
    return found[-1] if found else None


def unknown_spec(listing: str) -> ListingSpec:
    """The spec of a listing of which nothing is known; the chain's fields are its writer's."""
    return ListingSpec(
        listing=listing,
        digits=0,
        digits_inferred=True,
        contract_size=0.0,
        volume_min=0.0,
        volume_max=0.0,
        volume_step=0.0,
        stops_level=0,
        freeze_level=0,
        commission_per_lot_side=0.0,
        currency_base="",
        currency_profit="",
        server_clock=DEFAULT_SERVER_CLOCK,
        description="",
        **UNWRITTEN,
    )


def digits_of(*prices: NDArray[np.float64]) -> int:
    """The most decimal digits that any price has in its shortest form; of float64[n] each, finite ones above zero.

    A double is the nearest to k / 10^d exactly if the division of the two gives it, while both are below 2^53.
    """
    rest = np.concatenate(prices)
    rest = rest[np.isfinite(rest) & (rest > 0)]
    for digits in range(MAX_DIGITS):
        scale = 10.0**digits
        rest = rest[np.rint(rest * scale) / scale != rest]
        if not len(rest):
            return digits
    return MAX_DIGITS


def _typed(key: str, value: Any) -> Any:
    return float(value) if key in _NUMBERS else _MODES[key][value] if key in _MODES else value


def _check(path: Path, key: str, value: object) -> None:
    if key not in _KEYS:
        near = get_close_matches(key, _KEYS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it can have {', '.join(_KEYS)}"
        if key == "server_clock":
            hint = "--server-clock tells it"
        elif key in COSTS or isinstance(value, dict):
            hint = "it is for the --spec of a backtest; a log keeps what a listing is, not an account or a venue"
        raise BadFile(f"{path}: unknown key {key!r}: {hint}")
    if key in _MODES:
        modes = [mode.name for mode in _MODES[key] if mode.name != "UNKNOWN"]
        if value not in modes:
            raise BadFile(f"{path}: {key} = {value!r}: it must be one of {', '.join(modes)}")
        return
    if key in _TEXTS:
        if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
            raise BadFile(f"{path}: {key} = {value!r}: it must be a text of at most 200 printable characters")
        return
    if key in _INTEGERS:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _INTEGERS[key]:
            raise BadFile(f"{path}: {key} = {value!r}: it must be a whole number from 0 to {_INTEGERS[key]}")
        return
    if key in _SIGNED:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise BadFile(f"{path}: {key} = {value!r}: it must be a number")
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise BadFile(f"{path}: {key} = {value!r}: it must be a number, zero or above")
