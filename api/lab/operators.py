"""A strategy's operators alone over data: its bars, lines and signals, without an account."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agents.money import Quote, rates_by
from agents.risk import no_limits
from api.lab.backtest import traded_names
from api.lab.choice import Chosen
from api.lab.data import Traded
from api.lab.ledger import Ledger
from api.lab.setup import ACCOUNT, SizedBy, configured, folds
from infra.errors import SettingsError
from producers.specs import account_config
from schemas.configuration import Sizing
from streams.programs import NotRunnable


def operated(
    chosen: Chosen, data: Sequence[Traded], progress: Callable[[int], None] = lambda _: None
) -> tuple[Ledger, list[str]]:
    """What was made, and the listings that the strategy trades. Raises SettingsError."""
    names = [traded.source.name for traded in data]
    trade = traded_names(chosen, data)
    account = account_config(data[0].spec, ACCOUNT, names)
    specs = {traded.source.name: traded.listing for traded in data}
    setup = configured(list(specs.values()), account, no_limits(ACCOUNT), chosen, SizedBy(Sizing.LOTS, 0.1), trade)
    quotes: dict[str, Quote] = {}
    ledger = Ledger(specs, rates_by(account, specs, quotes))
    try:
        fold = folds(setup, chosen, names, bars_of=names).fold
    except NotRunnable as error:
        raise SettingsError(str(error)) from error
    ticks = 0
    for traded in data:
        for block in traded.source.blocks(setup.last):
            for output in fold(block):
                ledger.output(output)
            ticks += len(block.quality)
            progress(ticks)
    return ledger, trade
