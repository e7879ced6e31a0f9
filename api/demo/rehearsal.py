"""Whether a demo could be played in a new home, found out without one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from api.accounts import Consensus
from api.demo.played import Played
from infra.settings import KeySettings, Settings
from streams import activations


def rehearse(settings: Settings, strategies: Sequence[Path], consensus: Consensus | None, *, once: bool) -> None:
    """Raises what keeps a demo of these settings from being played: what `Played` raises, for what it is made of and
    what it writes onto the log of a new home. Nothing is kept of it."""
    with TemporaryDirectory() as aside:
        keys = KeySettings(ring=Path(aside) / "ring.json")
        played = Played(settings.model_copy(update={"keys": keys}), strategies, consensus, once=once)
        known = list(activations.missing([]))
        played.missing_account([*known, *played.missing_activations([*known])])
