"""`tickledger live`: strategies on a terminal's own demo account."""

from __future__ import annotations

import shlex
from typing import Annotated

from cyclopts import Parameter

from api.demo import next_steps
from api.live.home import live_home
from api.server.host import check_host
from api.start import ConfigOption, HomeOption
from api.trading.home import Wanted
from api.trading.news import NewAlerts
from api.trading.options import USUAL_TERMINAL, TradingOptions
from api.trading.session import trade
from api.trading.strategies import Trading
from infra import log


def live(
    *strategy: Annotated[str, Parameter(help="A file of one's own, FILE:NAME of several in it, or one that ships.")],
    options: TradingOptions | None = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Trade strategies on a terminal's own demo account: orders go to the broker. Real accounts are refused.

    Stays up until Ctrl-C; a page shows all of it. Positions stay at the broker then, with their stops and targets. A
    home goes on with what it traded before, on the same account; strategies that are named come to it.
    """
    options = options or TradingOptions()
    traded = options.traded(strategy)
    found, account = live_home(home, config, Wanted(**options.wanted()), USUAL_TERMINAL)
    settings = found.settings
    check_host(settings)
    log.configure("live", settings.log.level if settings.log.level != "info" else "warning")
    own = Trading(settings, account, found.listings, traded)

    def what() -> list[str]:
        kind = str(account.position_mode).lower()
        return [
            f"ticks of {', '.join(found.symbols)} from {found.terminal}, and ORDERS TO IT, logged in as {found.source}",
            f"account {account.account} is that one ({account.currency}, {kind}, 1:{account.leverage:g}) and trades "
            f"{', '.join(own.instances)}",
            "at the end what is open stays at the broker, with its stops and targets there",
        ]

    at_the_end = [
        "what was open is still open at the broker, with its stops and targets there; nothing else moves or closes it "
        "until tickledger live goes on. To close it all now:",
        f"  {next_steps.command()} flatten --direct --why 'enough for today' --home {shlex.quote(str(settings.home))}"
        + ("" if config is None else f" --config {shlex.quote(str(config))}"),
    ]
    trade(found, own, config, what, NewAlerts(), at_the_end, no_browser=options.no_browser)
