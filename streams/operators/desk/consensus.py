"""How several instances decide one account's entries together, by the role that each has in it.

- trade (also an empty role): its entries are traded.
- agree: an entry is traded once every active instance of this role has entered the same side of the listing; it is the
  entry of the one that completes the agreement, and its plan and its LEVELS and EXIT rule the position.
- veto: never trades; while its last entry is for one side, entries of others to the opposite side are denied.
- allow: never trades; if there is one, entries of others need one whose last entry is for the same side.
- weigh: never trades; while its last entry is for the opposite side, the size of others is cut by its weight.
- alone: its entries are traded whatever the others say.

An instance's opinion of a listing is the side of its last ENTER, until its EXIT, its next ENTER or the time after which
that entry would be closed (max_hold).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.events import Side, Signal
from streams.operators.desk.state import NEVER_US, DeskState, Opinion, place

TRADE: Final = "trade"
AGREE: Final = "agree"
VETO: Final = "veto"
ALLOW: Final = "allow"
WEIGH: Final = "weigh"
ALONE: Final = "alone"
ROLES: Final = (TRADE, AGREE, VETO, ALLOW, WEIGH, ALONE)


class Consent(NamedTuple):
    """What the others say to an entry: `scale` of its size; `code` and `reason` are empty unless it isn't traded."""

    scale: float = 1.0
    code: str = ""
    reason: str = ""


def note(state: DeskState, instance: str, signal: Signal) -> None:
    """Keeps the side that an ENTER speaks for."""
    until = signal.time_ms * 1_000 + signal.max_hold_ms * 1_000 if signal.max_hold_ms > 0 else NEVER_US
    state.opinions[place(instance, signal.listing)] = Opinion(signal.side, until)


def forget(state: DeskState, instance: str, listing: str, side: Side) -> None:
    """Ends an opinion by an EXIT of its side, or of both."""
    key = place(instance, listing)
    opinion = state.opinions.get(key)
    if opinion is not None and (side not in (Side.LONG, Side.SHORT) or side is opinion.side):
        del state.opinions[key]


def consent(state: DeskState, instance: str, signal: Signal, us: int) -> Consent:
    """What the account's other instances say to this entry."""
    own = state.strategies[instance].role or TRADE
    if own == ALONE:
        return Consent()
    if own not in (TRADE, AGREE):
        return Consent(0.0, own, f"{instance} has the role {own}: it doesn't trade itself")
    scale, allowed = 1.0, None
    for name in _others(state):
        other = state.strategies[name]
        if name == instance:
            continue
        opinion = state.opinions.get(place(name, signal.listing))
        side = opinion.side if opinion is not None and us < opinion.until_us else Side.NONE
        same, opposite = side is signal.side, side is not Side.NONE and side is not signal.side
        if other.role == VETO and opposite:
            return Consent(0.0, VETO, f"{name} is for the other side")
        if other.role == AGREE and own == AGREE and not same:
            return Consent(0.0, AGREE, f"{name} has not entered the same side")
        if other.role == ALLOW:
            allowed = allowed or same
        if other.role == WEIGH and opposite:
            scale *= min(max(1.0 - other.weight, 0.0), 1.0)
    if allowed is False:
        return Consent(0.0, ALLOW, "no instance of role allow is for this side")
    return Consent(scale) if scale > 0 else Consent(0.0, WEIGH, "the instances that weigh are for the other side")


def _others(state: DeskState) -> list[str]:
    """Active instances that do anything but trade by themselves."""
    names = state.cache.get("others")
    if names is None:
        names = [name for name, s in sorted(state.strategies.items()) if s.active and s.role not in ("", TRADE, ALONE)]
        state.cache["others"] = names
    assert isinstance(names, list)
    return names
