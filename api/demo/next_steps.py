"""What the demo says at its end: lines to copy, as they have to be called from here, and the addresses."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

from infra.cache_dir import DEFAULT_HOME
from infra.settings import Settings
from projections.database import Connection
from schemas.identity import SignalId


def command() -> str:
    """How this program is called from the working directory."""
    script = Path(sys.executable).with_name("tickledger")
    found = shutil.which("tickledger")
    if not script.exists() or (found is not None and Path(found).resolve() == script.resolve()):
        return "tickledger"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))


def lines_to_copy(settings: Settings, config: Path | None, signal: SignalId | None) -> list[str]:
    """Commands that ask for what the demo has brought."""
    where = "" if settings.home.absolute() == DEFAULT_HOME.absolute() else f" --home {shlex.quote(str(settings.home))}"
    where += "" if config is None else f" --config {shlex.quote(str(config))}"
    asked = [
        "query bars --symbol oanda/EURUSD --timeframe H1",
        "query ticks --symbol fxcm/EURUSD --from 2014-05-06T12:30 --to 2014-05-06T12:31",
        "query signals --symbol oanda/EURUSD",
        *([] if signal is None else [f"query audit {shlex.quote(str(signal))}"]),
        "verify",
    ]
    return [f"{command()} {what}{where}" for what in asked]


def a_signal(connection: Connection, listing: str) -> SignalId | None:
    """The last signal of a listing."""
    row = connection.execute(_LAST_SIGNAL, (listing,)).fetchone()
    return None if row is None else SignalId(row[0], listing, row[1])


_LAST_SIGNAL: Final = """
select operators.name, out_seq from tickledger.signals
join tickledger.operators on operators.id = operator_id join tickledger.listings on listings.id = listing_id
where listings.name = %s order by time desc, out_seq desc limit 1
"""
