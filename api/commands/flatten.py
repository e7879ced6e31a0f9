"""`tickledger flatten`: closes all that an account holds."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from api.asked import AccountOption, WhoOption, WhyOption, account_of, ask
from api.start import ConfigOption, HomeOption, JsonOption, settings_of
from schemas.executions import CommandKind


def flatten(
    *,
    why: WhyOption,
    account: AccountOption = "",
    who: WhoOption = "",
    direct: Annotated[
        bool, Parameter(negative="", help="At the terminal itself: without sequencer, desk, gateway and Kafka.")
    ] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Close every position of ours, take back every order, and halt the account.

    With --json: as `tickledger halt`.
    """
    settings = settings_of(home, config, "flatten")
    if direct:
        from producers.gateway.direct import flatten as at_the_terminal

        return at_the_terminal(settings, account_of(settings, account))
    return ask(settings, CommandKind.FLATTEN, account, why, who, as_json=as_json)
