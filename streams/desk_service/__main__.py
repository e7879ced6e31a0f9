"""The desk's service: `python -m streams.desk_service`, until SIGTERM."""

from __future__ import annotations

import sys

from infra import log
from infra.errors import TickledgerError
from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.addresses import kafka_address
from infra.stack.services import announce, exit_code_of
from schemas.journal_columns import warm_entries
from streams.app import Service, clock_of, make_app, run
from streams.desk_program import DESK
from streams.desk_service.driver import DeskDriver
from streams.journal_reader import TOPIC
from streams.operators.desk.clock import warm_clock

logger = log.get(__name__)

SERVICE = Service(DESK, "tickledger-desk", TOPIC)


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    try:
        settings = load_settings()
    except TickledgerError as error:
        logger.error("desk can't start", reason=str(error))
        return exit_code_of(error)
    log.configure(DESK, settings.log.level)
    log.calm()
    try:
        bootstrap = kafka_address(settings)
        driver = DeskDriver(settings, bootstrap, load_or_create(settings), clock_of(settings))
    except TickledgerError as error:
        logger.error("desk can't start", reason=str(error))
        return exit_code_of(error)
    # Now, and not in front of the first entries.
    warm_entries()
    warm_clock()

    def ready() -> None:
        announce(settings.home, DESK, ready=True)

    run(make_app(settings, bootstrap, SERVICE, driver, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
