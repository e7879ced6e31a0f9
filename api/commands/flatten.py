"""`tickledger flatten`: closes all that an account holds."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from api.asked import AccountOption, WhoOption, WhyOption, account_of, ask, who_and_why
from api.start import ConfigOption, HomeOption, JsonOption, settings_of, tell
from infra.errors import Refused
from schemas.executions import CommandKind


def flatten(
    *,
    why: WhyOption,
    account: AccountOption = "",
    who: WhoOption = "",
    direct: Annotated[
        bool, Parameter(negative="", help="At the terminal itself: without sequencer, desk, gateway and Kafka.")
    ] = False,
    everything: Annotated[
        bool, Parameter(negative="", help="With --direct: also positions and orders that aren't ours.")
    ] = False,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Close every position of ours, take back every order, and halt the account.

    With --direct nothing is halted; who and why come onto the log as an alert when that is back. It ends with 1 while
    something is left that is or may be ours. With --json: as `tickledger halt`; with --direct {"kind", "direct",
    "account", "who", "why", "left", "doubtful", "others"}, the last three tickets of what is still at the terminal: of
    ours, what may be ours, of others.
    """
    if everything and not direct:
        raise Refused("--everything needs --direct: the desk closes only what is ours")
    settings = settings_of(home, config, "flatten")
    if not direct:
        return ask(settings, CommandKind.FLATTEN, account, why, who, as_json=as_json)
    from producers.gateway.direct import flatten as at_the_terminal

    named = account_of(settings, account)
    who, why = who_and_why(who, why)
    left = at_the_terminal(settings, named, who=who, why=why, everything=everything, say=tell if as_json else print)
    if as_json:
        said = {"kind": str(CommandKind.FLATTEN), "direct": True, "account": named, "who": who, "why": why}
        print(json.dumps(said | {"left": left.ours, "doubtful": left.doubtful, "others": left.others}))
    return left.exit_code
