"""The service: `python -P -m api.server`."""

from __future__ import annotations

import socket
import sys

import uvicorn

from api.server.app import make_app
from api.server.host import check_host
from api.server.market import Market
from infra import log
from infra.errors import TickledgerError
from infra.settings import Settings, load_settings
from infra.stack import ports
from infra.stack.addresses import postgres_dsn, record_address, recorded_port
from infra.stack.home import Home
from infra.stack.services import announce, exit_code_of

SERVICE = "api"
logger = log.get(__name__)


def listen(settings: Settings, home: Home) -> socket.socket:
    """Listens where settings say; the usual port gives way to another program, so that two homes can run.

    Raises PortTaken for one that settings name.
    """
    asked = settings.api.port
    if asked and "port" in settings.api.model_fields_set:
        return ports.hold("api.port", asked)
    return ports.hold("api.port", *(port for port in (asked, recorded_port(home, SERVICE)) if port), 0)


class _Server(uvicorn.Server):
    """Says that it is ready once it listens."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            announce(self._settings.home, SERVICE)
            logger.info("listens", address=f"http://{ports.ADDRESS}:{self.config.port}")


def main() -> int:
    """Serves until SIGTERM or SIGINT; the exit code."""
    try:
        settings = load_settings()
        log.configure(SERVICE, settings.log.level)
        check_host(settings)
        home = Home(settings.home)
        held = listen(settings, home)
        port = held.getsockname()[1]
        market = Market(settings)
        app = make_app(settings, postgres_dsn(settings), market)
        record_address(home, SERVICE, f"{ports.ADDRESS}:{port}")
        config = uvicorn.Config(
            app,
            host=ports.ADDRESS,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
        _Server(config, settings).run([held])
        market.close()
    except TickledgerError as error:
        logger.error("ends", reason=str(error))
        return exit_code_of(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
