"""`tickledger strategies`: the strategies that ship, and those in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from api.lab.choice import BUILT_IN, Chosen, choose
from api.start import JsonOption
from streams.strategy_file import names_in, shipped


def strategies(*files: Annotated[Path, Parameter(help="Files of one's own.")], as_json: JsonOption = False) -> int:
    """List the strategies that ship, and those in files of one's own, with their parameters.

    Each can be named in `tickledger backtest`; the file of one that ships is there to be copied.
    """
    listed = [_said(choose(name, {}), str(path)) for name, path in shipped().items()]
    listed += [_said(choose(name, {}), "built in") for name in BUILT_IN]
    for path in files:
        listed += [_said(choose(f"{path}:{name}", {}), f"{path}:{name}") for name in names_in(path)]
    print(json.dumps(listed) if as_json else "\n\n".join(map(_text, listed)))
    return 0


def _said(chosen: Chosen, place: str) -> dict[str, Any]:
    bounds = {} if chosen.strategy is None else chosen.strategy.parameters
    return {
        "name": chosen.name,
        "version": chosen.version,
        "bars": chosen.timeframe.name if chosen.built_in is None else "ticks",
        "reads": list(chosen.listings),
        "doc": chosen.doc,
        "file": place,
        "parameters": {
            name: {"default": value} | ({"low": bounds[name].low, "high": bounds[name].high} if name in bounds else {})
            for name, value in chosen.parameters.items()
        },
    }


def _text(one: dict[str, Any]) -> str:
    lines = [f"{one['name']} {one['version']} ({one['bars']})", *(f"  {line}" for line in one["doc"].splitlines())]
    for name, about in one["parameters"].items():
        bounds = f", from {about['low']:g} to {about['high']:g}" if "low" in about else ""
        lines.append(f"  -p {name}={about['default']}{bounds}")
    if one["reads"]:
        lines.append(f"  reads {', '.join(one['reads'])} too")
    return "\n".join([*lines, f"  {one['file']}"])
