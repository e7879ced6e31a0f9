"""Where page and API may listen: on this machine alone, until they can tell who asks."""

from __future__ import annotations

from typing import Final

from infra.errors import SettingsError
from infra.settings import Settings

LOCAL: Final = ("127.0.0.1", "localhost")


def check_host(settings: Settings) -> None:
    """Raises SettingsError for an address that others reach."""
    if settings.api.host not in LOCAL:
        raise SettingsError(
            f"api.host = {settings.api.host!r}: page and API ask nobody who they are, so they listen on 127.0.0.1 "
            "only; reach them from another machine through a tunnel (ssh -L), until they can tell who asks; unset it"
        )
