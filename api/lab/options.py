"""The options that the laboratory's commands share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from api.lab.setup import SizedBy
from infra.errors import SettingsError
from schemas.configuration import Sizing


@Parameter(name="*", negative="")
@dataclass(kw_only=True)
class LabOptions:
    """What a run is told."""

    symbol: Annotated[
        list[str] | None,
        Parameter(help="Of the files, if their names don't tell; without files: feed/SYMBOL of the log."),
    ] = None
    spec: Annotated[
        str | None, Parameter(help="What trading costs: a preset (vantage-raw, generic …) or a TOML file.")
    ] = None
    set_: Annotated[
        list[str] | None, Parameter(name="--set", help="One value of the spec, key=value; may be repeated.")
    ] = None
    lots: Annotated[float | None, Parameter(help="Size of an entry, lots.")] = None
    risk: Annotated[str | None, Parameter(help="Size by the loss at the stop: a share of equity, 0.5%.")] = None
    volatility: Annotated[str | None, Parameter(help="Size by the yearly volatility aimed at, 10%.")] = None
    kelly: Annotated[str | None, Parameter(help="Size by a share of Kelly, 25%; capped.")] = None
    limits: Annotated[Path | None, Parameter(help="TOML of risk limits; default the broker's own only.")] = None
    convert: Annotated[
        list[Path] | None, Parameter(help="Files of pairs that only convert money into the account's currency.")
    ] = None
    from_: Annotated[
        str | None, Parameter(name="--from", help="Trade from this time on, 2024-01-01 or 2024-01-01T12:00.")
    ] = None
    to: Annotated[str | None, Parameter(help="Up to this time, exclusive.")] = None
    p: Annotated[
        list[str] | None, Parameter(name=["-p", "--parameter"], help="A parameter of the strategy, name=value.")
    ] = None
    format_: Annotated[
        str | None, Parameter(name="--format", help="Format of the files; default what they look like.")
    ] = None
    feed: Annotated[str, Parameter(help="Name of the files' source of quotes.")] = "import"
    tz: Annotated[str | None, Parameter(help="The files' clock: an IANA name, UTC-05 …", allow_leading_hyphen=True)] = (
        None
    )
    server_clock: Annotated[
        str | None, Parameter(help="The broker's clock: ny7, eu, utc or +H.", allow_leading_hyphen=True)
    ] = None
    columns: Annotated[str | None, Parameter(help="Names of a CSV's columns, time,bid,ask …")] = None
    point_factor: Annotated[float | None, Parameter(help="Dukascopy's points in a price of 1.")] = None
    stamp: Annotated[str | None, Parameter(help="Bars are stamped at their open or close.")] = None
    cache: Annotated[Path | None, Parameter(help="Folder of parsed files; default in the user's cache.")] = None

    def sized(self) -> SizedBy:
        """How entries are sized: by one of the options, 0.1 lots without any. Raises SettingsError."""
        told = {name: getattr(self, name) for name in ("lots", "risk", "volatility", "kelly")}
        given = [name for name, value in told.items() if value is not None]
        if len(given) > 1:
            raise SettingsError(f"--{given[0]} and --{given[1]} both size entries: use one of them")
        if not given or given == ["lots"]:
            lots = 0.1 if self.lots is None else self.lots
            if not 0 < lots <= 10_000:
                raise SettingsError(f"--lots {lots}: it must be above 0")
            return SizedBy(Sizing.LOTS, lots)
        name = given[0]
        kinds = {"risk": Sizing.RISK, "volatility": Sizing.VOLATILITY, "kelly": Sizing.KELLY}
        most = {"risk": 0.5, "volatility": 5.0, "kelly": 1.0}
        return SizedBy(kinds[name], share(told[name], f"--{name}", most[name]))

    def as_json(self) -> dict[str, Any]:
        """What was told, for a manifest."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: [str(one) for one in value] if name == "convert" else str(value) if isinstance(value, Path) else value
            for name, value in found.items()
            if value is not None and name != "cache"
        }


def share(text: str, option: str, most: float) -> float:
    """`0.5%` or `0.005` as a share. Raises SettingsError."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise SettingsError(f"{option} {text}: it is a share, such as 0.5%") from None
    if not 0 < value <= most:
        hint = f"; did you mean {text}%?" if not text.endswith("%") and 0 < value <= 10 else ""
        raise SettingsError(f"{option} {text}: it must be above 0 and at most {most:.0%}{hint}")
    return value
