"""`tickledger halt`: no new entries of an account."""

from __future__ import annotations

from api.asked import AccountOption, WhoOption, WhyOption, ask
from api.start import ConfigOption, HomeOption, JsonOption, settings_of
from schemas.executions import CommandKind


def halt(
    *,
    why: WhyOption,
    account: AccountOption = "",
    who: WhoOption = "",
    home: HomeOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> int:
    """Stop an account: it makes no new entry until `tickledger resume`. Its stops, targets and exits go on.

    With --json: {"command", "kind", "account", "who", "why", "valid_until_us"}.
    """
    return ask(settings_of(home, config, "halt"), CommandKind.HALT, account, why, who, as_json=as_json)
