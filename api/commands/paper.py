"""`tickledger paper`: live ticks of a real terminal, traded on paper."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from api.paper.home import Wanted, account_on_paper, paper_home
from api.server.host import check_host
from api.start import ConfigOption, HomeOption
from api.trading.news import TerminalTrouble
from api.trading.options import USUAL_TERMINAL, TradingOptions
from api.trading.session import trade
from api.trading.strategies import Trading
from infra import log
from infra.stack.home import Home


def paper(
    *strategy: Annotated[str, Parameter(help="A file of one's own, FILE:NAME of several in it, or one that ships.")],
    options: TradingOptions | None = None,
    balance: Annotated[float | None, Parameter(help="What the account begins with; default 10,000.")] = None,
    spec: Annotated[str | None, Parameter(help="Preset or file of commission and terms; default vantage-raw.")] = None,
    home: HomeOption = None,
    config: ConfigOption = None,
) -> None:
    """Trade strategies on live ticks of a real terminal, on paper: no order is ever sent there.

    Orders go to a trade server of our own, which fills them on the real terminal's quotes. Stays up until Ctrl-C; a
    page shows all of it. A home goes on with what it traded before; strategies that are named come to it.
    """
    options = options or TradingOptions()
    traded = options.traded(strategy)
    wanted = Wanted(**options.wanted(), balance=balance, spec=spec)
    found = paper_home(home, config, wanted, USUAL_TERMINAL)
    settings = found.settings
    check_host(settings)
    log.configure("paper", settings.log.level if settings.log.level != "info" else "warning")
    own = Trading(settings, account_on_paper(found), found.listings, traded)

    def what() -> list[str]:
        return [
            f"ticks of {', '.join(found.symbols)} from {found.terminal}, logged in as {found.source}; it is asked for "
            "quotes and never sent an order",
            f"account {settings.trade.account} trades {', '.join(own.instances)} on paper",
        ]

    trade(found, own, config, what, TerminalTrouble(Home(settings.home)), no_browser=options.no_browser)
