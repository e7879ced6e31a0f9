"""`tickledger up`: everything that the home's settings ask for, in the foreground until Ctrl-C."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from api.server.host import check_host
from api.start import ConfigOption, HomeOption, make_log, settings_of, tell
from infra.stack import up as stack
from infra.stack.addresses import shown_postgres
from infra.stack.stack import Running


def up(
    *,
    home: HomeOption = None,
    config: ConfigOption = None,
    no_play: Annotated[bool, Parameter(negative="", help="Accepted for scripts: `up` never plays anything.")] = False,
) -> int:
    """Start all services of the home and keep them running until Ctrl-C or `tickledger down`."""
    settings = settings_of(home, config, "up")
    check_host(settings)

    def ready(running: Running) -> None:
        tell(f"ready: Kafka {running.kafka}, PostgreSQL {shown_postgres(settings)}, home {settings.home}")
        tell("Ctrl-C, or `tickledger down`, ends it")

    stack.up(settings, make_log(settings), ready, tell)
    return 0
