"""The Faust worker: one agent for `ticks` runs bars and all strategies; a service, `python -m streams.worker`.

Faust's part is the group: who reads which partition, and how far it got. States are ours: snapshots on a topic of
their own, each with its position.
"""

from __future__ import annotations

import sys

from agents.kernels.warm import warm as warm_graphs
from infra import log
from infra.errors import TickledgerError
from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.addresses import kafka_address
from infra.stack.home import Home
from infra.stack.services import announce, exit_code_of
from streams.app import Service, clock_of, make_app, run
from streams.driver import WORKER, Driver
from streams.operators.warm import warm as warm_operators
from streams.reached import Reached

logger = log.get(__name__)

SERVICE = Service(WORKER, "tickledger-worker", "ticks")


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    try:
        settings = load_settings()
    except TickledgerError as error:
        logger.error("worker can't start", reason=str(error))
        return exit_code_of(error)
    log.configure(WORKER, settings.log.level)
    log.calm()
    try:
        bootstrap = kafka_address(settings)
        driver = Driver(settings.worker, bootstrap, load_or_create(settings), clock_of(settings))
    except TickledgerError as error:
        logger.error("worker can't start", reason=str(error))
        return exit_code_of(error)

    # Now, and not in front of the first bars.
    warm_operators()
    warm_graphs()
    if WORKER in settings.terminal.followers:
        Reached(Home(settings.home), WORKER, bootstrap, SERVICE.group, driver.folded, driver.producer).start()

    def ready() -> None:
        announce(settings.home, WORKER, ready=True)

    run(make_app(settings, bootstrap, SERVICE, driver, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
