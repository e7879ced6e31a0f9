"""`tickledger resume`: entries of an account again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from api.asked import AccountOption, WhoOption, WhyOption, ask
from api.start import ConfigOption, HomeOption, JsonOption, settings_of
from infra.errors import Refused
from schemas.executions import CommandKind


def resume(
    *,
    why: WhyOption,
    account: AccountOption = "",
    who: WhoOption = "",
    within: Annotated[float, Parameter(help="Seconds after which it is dropped, since it adds risk.")] = 60.0,
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Let an account that was halted, or that a limit stopped, make entries again.

    It adds risk: if no sequencer takes it in time, it is dropped. With --json: as `tickledger halt`.
    """
    if within <= 0:
        raise Refused(f"--within {within:g} is not above 0: it is how many seconds the command holds")
    settings = settings_of(home, config, "resume")
    return ask(settings, CommandKind.RESUME, account, why, who, valid_s=within, as_json=as_json)
