"""What a symbol and its account cost, for a backtest: presets with sources, a TOML file, `--set key=value`."""

from producers.specs.limits import read_limits
from producers.specs.load import load_spec, preset_names
from producers.specs.records import account_config, for_digits, listing_spec
from producers.specs.spec import LabSpec

__all__ = [
    "LabSpec",
    "account_config",
    "for_digits",
    "listing_spec",
    "load_spec",
    "preset_names",
    "read_limits",
]
