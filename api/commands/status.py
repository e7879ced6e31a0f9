"""`tickledger status`: each service's state, process and address."""

from __future__ import annotations

import json

from api.start import ConfigOption, HomeOption, JsonOption, settings_of
from infra.stack.status import all_ready
from infra.stack.status import status as stack_status


def status(*, home: HomeOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> int:
    """Show each service's state. Exit 0 when all are ready, else 1."""
    services = stack_status(settings_of(home, config, "status"))
    if as_json:
        print(json.dumps(services))
    else:
        for name, service in services.items():
            pid = f"pid {service['pid']}" if service["pid"] is not None else ""
            line = (
                f"{name:<10} {service['state']:<9} {service['address'] or '':<22} {pid:<12} {service['reason'] or ''}"
            )
            print(line.rstrip())
    return 0 if all_ready(services) else 1
