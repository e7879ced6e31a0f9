"""Something that is away, or doesn't get through: since when, told once, and told again when that is over."""

from __future__ import annotations

from producers.gateway.alarms import Alarms
from schemas.events import Severity
from schemas.times import iso_ms


class Outage:
    """One outage after the other of one thing. Times are microseconds UTC of the gateway's clock."""

    def __init__(
        self, alarms: Alarms, away: str, back: str, *, about: str = "", severity: Severity = Severity.CRITICAL
    ) -> None:
        """`away`, `back`: codes of the alerts; `about`: what tells them from others of their codes."""
        self._alarms, self._away, self._back = alarms, away, back
        self._prefix, self._severity = f"{about}/" if about else "", severity
        self._since_us: int | None = None
        self._told = False

    def __bool__(self) -> bool:
        """Whether it is away."""
        return self._since_us is not None

    @property
    def since(self) -> str:
        """When it began; now it is away."""
        assert self._since_us is not None
        return iso_ms(self._since_us // 1000)

    def begin(self, since_us: int) -> None:
        """It is away, since then unless it already was."""
        if self._since_us is None:
            self._since_us = since_us

    def tell(self, what: str, so: str) -> None:
        """Tells people, once an outage: what it is, and what follows from it."""
        # By its beginning it is told from an earlier one, also of a gateway before this.
        self._alarms.tell(self._away, self._severity, self._about, f"{what}, since {self.since}; {so}")
        self._told = True

    def end(self, what: str, was: str = "it was away") -> None:
        """It is back; people are told `what` if they were told that it was away."""
        if self._told:
            self._alarms.over(self._away, self._about)
            self._alarms.tell(self._back, Severity.INFO, self._about, f"{what}; {was} since {self.since}")
        self._since_us, self._told = None, False

    @property
    def _about(self) -> str:
        return f"{self._prefix}{self.since}"
