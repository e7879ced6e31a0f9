"""The home of a live benchmark: a simulated terminal with many listings, an account, and both agents on all of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from api.accounts import Plan, Share, configure_account, limits_of
from api.lab.choice import Chosen, choose
from api.lab.setup import activated
from infra.clock import SystemClock
from infra.keys import load_or_create
from infra.reference_log import append_reference
from infra.settings import Settings, load_settings
from infra.stack.home import Home
from infra.stack.services import EVERY_PROGRAM, Service, names_of, programs_of
from infra.stack.stack import Running
from producers.specs import account_config, load_spec
from producers.terminal.synthetic import PREFIX, load_of
from schemas.configuration import Sizing
from schemas.events import OperatorActivation, ReferenceRecord
from schemas.identity import parse_listing

ACCOUNT: Final = "bench"
FEED: Final = "bench"
SPEC: Final = "vantage-raw"
BALANCE: Final = 1_000_000.0
LOTS: Final = 0.01
STANDING: Final = 1e-6
"""The market's speed until every service is there."""
BERSERKER: Final = {
    "mean_ms": 20_000,
    "entry_deviations": 1.5,
    "commission_points": 0.0,
    "min_edge_points": 2.0,
    "warm_up_ms": 5_000,
    "cooldown_ms": 5_000,
}
"""The rule at work within a minute: its usual averages take six to be warm."""
SNIPER: Final = "sniper_intraday"
LIMITS: Final[Mapping[str, Any]] = {
    "max_positions": 1_000,
    "max_orders_per_minute": 100_000,
    "max_gross_notional": 1_000.0,
}
"""So wide that each entry becomes an order."""


class Offered(NamedTuple):
    """A load: how many listings, ticks a second of each, and for how long."""

    listings: int
    ticks_per_s: int
    seconds: int

    @property
    def data(self) -> str:
        """As terminal.data asks for it."""
        return f"{PREFIX}{self.listings}x{self.ticks_per_s}x{self.seconds}"

    @property
    def ticks(self) -> int:
        """How many there are in all."""
        return self.listings * self.ticks_per_s * self.seconds

    @property
    def names(self) -> list[str]:
        """The listings (feed/SYMBOL)."""
        return [f"{FEED}/{name}" for name in load_of(self.data).names]


def live_settings(folder: Path, offered: Offered) -> Settings:
    """The settings of a home in `folder`, written there. The market stands until it is let go."""
    sections: dict[str, dict[str, Any]] = {
        "terminal": {
            "kind": "simulated",
            "data": [offered.data],
            "spec": SPEC,
            "speed": STANDING,
            "balance": BALANCE,
            # What is measured is the way to the terminal, not that of a broker behind it.
            "latency_ms": 0.0,
        },
        "recorder": {"feed": FEED, "poll_ms": 50},
        "trade": {"account": ACCOUNT},
    }
    lines: list[str] = []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    Home(folder).create()
    (folder / "tickledger.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_settings(home=folder)


def programs(settings: Settings) -> tuple[Service, ...]:
    """What runs: all of the home but its page."""
    api = EVERY_PROGRAM[-1]
    return tuple(program for program in programs_of(settings) if program is not api)


def services(settings: Settings) -> list[str]:
    """Their names, with broker and database."""
    return list(names_of(programs(settings)))


def strategies() -> list[Chosen]:
    """Both agents."""
    return [choose("berserker", BERSERKER), choose(SNIPER, {})]


def configure(settings: Settings, running: Running, offered: Offered) -> None:
    """Writes the account, both agents and their activations."""
    keys, clock, chosen = load_or_create(settings), SystemClock(), strategies()
    names = offered.names
    spec = load_spec(SPEC, parse_listing(names[0]).symbol, ())
    config = dataclasses.replace(account_config(spec, ACCOUNT, names), balance=Decimal(repr(BALANCE)))
    shares = [Share(one.instance, Sizing.LOTS, LOTS) for one in chosen]
    activations = [activated(one, ()) for one in chosen]
    limits = dataclasses.replace(limits_of(ACCOUNT), **LIMITS)

    def wanted(there: list[ReferenceRecord]) -> list[ReferenceRecord]:
        known = {record.instance: record.parameters for record in there if isinstance(record, OperatorActivation)}
        return [one for one in activations if known.get(one.instance) != one.parameters]

    append_reference(running.kafka, keys, clock, wanted)
    configure_account(running.kafka, keys, clock, Plan(config, shares, limits))
