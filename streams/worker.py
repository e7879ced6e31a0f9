"""The Faust worker: one agent for `ticks` runs bars and all strategies; a service, `python -m streams.worker`.

Faust's part is the group: who reads which partition, and how far it got. States are ours: snapshots on a topic of
their own, each with its position.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import faust

from infra import log
from infra.clock import SystemClock
from infra.errors import TickledgerError
from infra.keys import load_or_create
from infra.settings import load_settings
from infra.stack.addresses import kafka_address
from infra.stack.services import announce
from streams.app import make_app
from streams.driver import Driver

logger = log.get(__name__)


def main() -> int:
    """Runs the service until SIGTERM; returns the exit code."""
    try:
        settings = load_settings()
    except TickledgerError as error:
        logger.error("worker can't start", reason=str(error))
        return error.exit_code
    log.configure("worker", settings.log.level)
    log.calm()
    try:
        bootstrap = kafka_address(settings)
        driver = Driver(settings.worker, bootstrap, load_or_create(settings), SystemClock())
    except TickledgerError as error:
        logger.error("worker can't start", reason=str(error))
        return error.exit_code

    def ready() -> None:
        announce(settings.home, "worker", ready=True)

    app = make_app(settings, bootstrap, driver, ready)
    with Path(os.devnull).open("w") as nowhere:
        # Its spinner and cursor codes go nowhere, and its logs through ours.
        _Worker(app, redirect_stdouts=False, quiet=True, stdout=nowhere).execute_from_commandline()
    return 0


class _Worker(faust.Worker):  # type: ignore[misc]
    def _setup_logging(self) -> None:
        self.spinner = None


if __name__ == "__main__":
    sys.exit(main())
