"""A home's settings file, as a command writes it for the person who may change it later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infra.errors import home_unusable
from infra.stack.home import Home

FILE: Final = "tickledger.toml"


def write_settings(root: Path, first_line: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the file of the home `root`, which is made. Raises HomeUnusable."""
    lines = [first_line]
    for name, keys in sections.items():
        # JSON's strings, lists and numbers are TOML's.
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())]
    Home(root).create()
    file = root / FILE
    try:
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise home_unusable(file, error) from None
