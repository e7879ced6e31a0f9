"""The options that `paper` and `live` share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter

from api.accounts import Consensus
from api.lab.choice import choose, parsed_values
from api.lab.options import LabOptions
from api.trading.strategies import Traded
from infra.errors import SettingsError

USUAL_TERMINAL: Final = "official" if sys.platform == "win32" else "rpyc"


@Parameter(name="*", negative="")
@dataclass(kw_only=True)
class TradingOptions:
    """What is traded, on which terminal."""

    symbol: Annotated[
        list[str] | None, Parameter(help="A symbol as the real terminal spells it; default its market watch.")
    ] = None
    account: Annotated[str | None, Parameter(help="Name of the account on the log; default paper, or live.")] = None
    lots: Annotated[float | None, Parameter(help="Size of an entry, lots; default 0.1.")] = None
    risk: Annotated[str | None, Parameter(help="Size by the loss at the stop instead: a share of equity, 0.5%.")] = None
    limits: Annotated[
        Path | None, Parameter(help="TOML of risk limits; default as the account has them, at first the usual ones.")
    ] = None
    p: Annotated[
        list[str] | None, Parameter(name=["-p", "--parameter"], help="A parameter of the one strategy, name=value.")
    ] = None
    consensus: Annotated[
        Consensus | None,
        Parameter(
            help="The first of the named strategies and the others: independent (default), agree, veto or weigh."
        ),
    ] = None
    terminal: Annotated[
        Literal["official", "rpyc"] | None,
        Parameter(help="How the real terminal is reached; default official on Windows, rpyc elsewhere."),
    ] = None
    host: Annotated[str | None, Parameter(help="Host of its rpyc server; default 127.0.0.1.")] = None
    port: Annotated[int | None, Parameter(help="Port of its rpyc server; default 18812.")] = None
    no_browser: Annotated[bool, Parameter(negative="", help="Don't open the page.")] = False

    def wanted(self) -> dict[str, Any]:
        """What `api.trading.home.Wanted` takes."""
        return {
            "terminal": self.terminal, "host": self.host, "port": self.port, "symbols": self.symbol or (),
            "account": self.account,
        }  # fmt: skip

    def traded(self, strategies: Sequence[str]) -> Traded:
        """What is to be traded. Raises SettingsError, BadStrategy and its kin."""
        sized = LabOptions(lots=self.lots, risk=self.risk).sized()
        if self.p and len(strategies) != 1:
            raise SettingsError(
                f"-p {self.p[0]}: it is of one strategy, and {len(strategies)} are named: start with one, and add "
                "others by tickledger strategies add"
            )
        if self.consensus not in (None, "independent") and len(strategies) < 2:
            raise SettingsError(
                f"--consensus {self.consensus} is of the strategies that are named, and that is {len(strategies)}: "
                "name all of them, the one first that the others agree with, veto or weigh"
            )
        chosen = [choose(one, parsed_values(self.p or [])) for one in strategies]
        return Traded(chosen, sized, self.limits, self.consensus)
