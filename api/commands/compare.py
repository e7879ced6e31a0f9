"""`tickledger compare`: where two runs differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.start import JsonOption
from infra.errors import SettingsError


def compare(
    run: Annotated[Path, Parameter(help="Folder of a run.")],
    other: Annotated[Path, Parameter(help="Folder of another.")],
    /,
    *,
    as_json: JsonOption = False,
) -> int:
    """Show the first event in which two runs differ, and their metrics side by side.

    Exit 0 all events are the same, 1 they differ, 2 could not compare.
    """
    from api.lab.compare import compare as compared

    for folder in (run, other):
        if not (folder / "manifest.json").is_file():
            raise SettingsError(f"{folder} has no results of a backtest: name the folder that it wrote")
    found = compared(run, other)
    print(json.dumps(found.as_json()) if as_json else found.text())
    return 0 if found.same else 1
