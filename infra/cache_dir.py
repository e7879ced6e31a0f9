"""Where what all homes share is kept, for commands that need nothing else of the settings and start quickly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DEFAULT_HOME: Final = Path(".tickledger")
_PREFIX: Final = "TICKLEDGER_"


def shared_cache() -> Path:
    """The folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tickledger"


def cache_dir_of(home: Path | None, config: Path | None) -> Path:
    """The `cache_dir` of the settings of a command; no settings are loaded where no file can tell it. Raises
    SettingsError."""
    own = home or Path(os.environ.get(f"{_PREFIX}HOME") or DEFAULT_HOME)
    if config is None and not os.environ.get(f"{_PREFIX}CONFIG") and not os.path.lexists(own / "tickledger.toml"):
        told = os.environ.get(f"{_PREFIX}CACHE")
        return Path(told).expanduser().absolute() if told else shared_cache()
    from infra.settings import load_settings

    return load_settings(home, config).cache_dir
