"""Loads a spec: presets, a file and `--set` laid over each other, checked as a whole, with what it assumes in words."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Final

from infra.errors import BadFile, FileUnreadable, SettingsError
from producers.specs.keys import BadValue, key_of, value_of_text
from producers.specs.layers import Layer, Values, read_layer
from producers.specs.resolve import check, overlaid, resolved
from producers.specs.sentences import sentences
from producers.specs.spec import LabSpec
from producers.specs.symbols import instrument_of

GENERIC: Final = "generic"
"""What is assumed where nothing is told."""
_PRESETS: Final = files("producers.specs").joinpath("presets")


def preset_names() -> tuple[str, ...]:
    """Names that `--spec` takes, in order."""
    return tuple(sorted(path.name[:-5] for path in _PRESETS.iterdir() if path.name.endswith(".toml")))


def load_spec(name_or_path: str | None, symbol: str, overrides: Sequence[str]) -> LabSpec:
    """The spec of `symbol`: a preset or a TOML file (None: `generic`, and the first sentence says so), with overrides.

    `overrides`: `key=value`; later ones win. Raises BadFile for a file, SettingsError for an unknown name or a bad
    override: the message has key, value and what it can be.
    """
    instrument = instrument_of(symbol)
    presets, own = _layers(name_or_path or GENERIC)
    values: Values = {}
    for layer in presets:
        values |= layer.values_for(instrument, symbol)
    digits, by_hand = values.get("digits", 0), _overrides(overrides)
    told = {} if own is None else own.values_for(instrument, symbol)
    try:
        values = overlaid(values, told)
        check(values)
    except BadValue as error:
        raise BadFile(f"{own.place if own else name_or_path}: {error}") from error
    layers = presets if own is None else [*presets, own]
    interest = {currency: rate for layer in layers for currency, rate in layer.interest.items()}
    try:
        values = overlaid(values, by_hand)
        check(values)
        spec = resolved(instrument, symbol, values, interest, frozenset(told) | frozenset(by_hand), digits)
    except BadValue as error:
        raise SettingsError(f"--set {error}" if by_hand else f"{layers[-1].place}: {error}") from error
    return LabSpec(
        name=layers[-1].place,
        sources=tuple(dict.fromkeys(source for layer in layers for source in layer.sources)),
        assumptions=sentences(spec, instrument, layers, name_or_path is None, overrides),
        **spec,
    )


def _layers(name: str) -> tuple[list[Layer], Layer | None]:
    """The presets that `name` builds on, the first below, and the user's own file if it is one."""
    if name in preset_names():
        return _chain(name), None
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: is not TOML: {error}") from error
    except OSError as error:
        if path.suffix == ".toml" or path.exists() or len(path.parts) > 1:
            raise FileUnreadable(f"{path}: can't be read: {error.strerror or error}") from error
        raise SettingsError(f"there is no spec {name!r}: {_near(name)}, or the path of a TOML file") from error
    own = read_layer(str(path), text)
    if own.base and own.base not in preset_names():
        raise BadFile(f"{path}: base = {own.base!r}: {_near(own.base)}")
    return _chain(own.base or GENERIC), own


def _chain(name: str) -> list[Layer]:
    layer = read_layer(name, _PRESETS.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    return [*(_chain(layer.base) if layer.base else []), layer]


def _near(name: str) -> str:
    near = get_close_matches(name.lower().replace("_", "-"), preset_names(), n=1)
    known = f"there are {', '.join(preset_names())}"
    return f"did you mean {near[0]}? ({known})" if near else known


def _overrides(overrides: Sequence[str]) -> Values:
    values: Values = {}
    for override in overrides:
        name, equals, text = (part.strip() for part in override.partition("="))
        if not (name and equals and text):
            raise SettingsError(f"--set {override!r}: it takes key=value, such as spread_points=12")
        try:
            key = key_of(name)
            values[key] = value_of_text(key, text)
        except BadValue as error:
            raise SettingsError(f"--set {error}") from error
    return values
