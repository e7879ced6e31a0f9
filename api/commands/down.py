"""`tickledger down`: ends what runs on the home."""

from __future__ import annotations

from api.start import ConfigOption, HomeOption, settings_of, tell
from infra.stack import up as stack


def down(*, home: HomeOption = None, config: ConfigOption = None) -> int:
    """End the services of the home in order, whoever started them."""
    settings = settings_of(home, config, "down")
    tell("ended" if stack.down(settings, tell) else f"nothing runs on {settings.home}")
    return 0
