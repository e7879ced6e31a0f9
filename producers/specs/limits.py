"""Reads a file of risk limits; what may stand in it is the desk's affair (agents/risk/limits.py)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from infra.errors import BadFile, FileUnreadable


def read_limits(path: Path) -> dict[str, Any]:
    """The table of a TOML file. Raises BadFile."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: is not TOML: {error}") from error
