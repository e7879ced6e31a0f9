"""What a person asks of an account: a command on its chain, written, read back, and said."""

from __future__ import annotations

import getpass
import json
import os
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from api.start import running_stack
from infra.errors import NotReady, Refused, SettingsError
from schemas.executions import Command, CommandKind
from schemas.integrity import ZERO_MAC, ZERO_NONCE

if TYPE_CHECKING:
    from infra.clock import Clock
    from infra.settings import Settings
    from schemas.integrity import KeyRing

AccountOption = Annotated[str, Parameter(name="--account", help="Account; default the setting trade.account.")]
WhyOption = Annotated[str, Parameter(name="--why", help="Why: it stays on the log.")]
WhoOption = Annotated[str, Parameter(name="--who", help="Who asks; default the user of this machine.")]
ATTEMPTS: Final = 5
"""So often a command is written again that another's opening made void."""


def account_of(settings: Settings, account: str) -> str:
    """The account that is meant. Raises SettingsError if none is."""
    found = account or settings.trade.account
    if not found:
        raise SettingsError("no account is named: give --account, or the setting trade.account")
    return found


def who_and_why(who: str, why: str) -> tuple[str, str]:
    """Who asks, if nobody is named the user of this machine, and why. Raises Refused if that is empty."""
    if not why.strip():
        raise Refused("--why is empty: say why, it stays on the log")
    if who:
        return who, why
    try:
        return getpass.getuser(), why
    except (KeyError, OSError):
        return f"uid {os.getuid()}", why


def ask(
    settings: Settings, kind: CommandKind, account: str, why: str, who: str, *, valid_s: float = 0, as_json: bool
) -> int:
    """Writes a command and prints what the log then has. `valid_s`: it is dropped if it is taken later; 0 = never.

    Raises UnknownAccount with the accounts that there are, Fenced if others' commands come in between all the time.
    """
    from infra.account_log import partition_of_account
    from infra.keys import load_or_create
    from infra.stack.services import KAFKA

    who, why = who_and_why(who, why)
    named = account_of(settings, account)
    with running_stack(settings, frozenset({KAFKA})) as running:
        keys = load_or_create(settings)
        clock = _clock(settings, must=valid_s > 0)
        partition = partition_of_account(running.kafka, keys, named)
        command = Command(
            epoch=0,
            nonce=ZERO_NONCE,
            seq=0,
            account=named,
            written_us=0,
            kind=kind,
            who=who,
            why=why,
            argument="",
            valid_until_us=clock.now_us() + int(valid_s * 1e6) if valid_s else 0,
            key_id="",
            prev=ZERO_MAC,
            mac=ZERO_MAC,
        )
        number = _written(running.kafka, keys, clock, command, partition)
    said = {
        "command": number,
        "kind": str(kind),
        "account": named,
        "who": who,
        "why": why,
        "valid_until_us": command.valid_until_us,
    }
    until = f"; it is dropped unless it is taken within {valid_s:g} s" if valid_s else ""
    print(json.dumps(said) if as_json else f"{kind} of {named} by {who} is command {number} on the log{until}")
    return 0


def _written(bootstrap: str, keys: KeyRing, clock: Clock, command: Command, partition: int) -> int:
    """The number of the command in its chain, once it is read back."""
    from infra.account_log import AccountWriter
    from infra.chain_follower import Fenced

    left = ATTEMPTS
    while True:
        left -= 1
        with AccountWriter(bootstrap, keys, clock, "commands", command.account, partition) as writer:
            opened = None
            try:
                opened = writer.open()
                writer.write(command)
                writer.drain()
                writer.anchor()
                return writer.head.seq
            except Fenced:
                if opened is not None and writer.head.seq > opened.seq and not writer.pending:
                    # Another's opening came right behind it, and makes nothing void that lies before it.
                    return writer.head.seq
                if not left:
                    raise


def _clock(settings: Settings, *, must: bool) -> Clock:
    """The clock of the account's services. A halt doesn't wait for a market's time; what adds risk does."""
    from infra.clock import SystemClock
    from infra.market_clock import service_clock

    try:
        return service_clock(settings)
    except NotReady:
        if must:
            raise
        return SystemClock()
