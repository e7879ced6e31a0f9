"""What is configured, as of each reference number: a pure fold of the numbered records of `reference`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.configuration import AccountConfig
from schemas.events import ListingSpec, OperatorActivation, ReferenceOpen, ReferenceRecord, Repair
from schemas.identity import operator_id


class ReferenceHole(ValueError):
    """A numbered record came before the one that it follows."""


class SpecStep(NamedTuple):
    """`spec` is in force from the first good tick at or after `from_ms` on."""

    from_ms: int
    spec: ListingSpec


class ReferenceView:
    """All records up to number `last`, in order. What a block sees of them is those up to its ref_no."""

    def __init__(self, records: Iterable[ReferenceRecord] = ()) -> None:
        self.last = 0
        self._specs: dict[str, list[ListingSpec]] = {}
        self._activations: list[OperatorActivation] = []
        self._repairs: list[Repair] = []
        self._accounts: dict[str, AccountConfig] = {}
        self._steps: dict[tuple[str, int], tuple[SpecStep, ...]] = {}
        for record in records:
            self.apply(record)

    def apply(self, record: ReferenceRecord) -> None:
        """Takes the next record; an OPEN has no number and changes nothing. Raises ReferenceHole."""
        if isinstance(record, ReferenceOpen):
            return
        if record.ref_no != self.last + 1:
            raise ReferenceHole(f"reference record {record.ref_no} came after {self.last}: {self.last + 1} is missing")
        self.last = record.ref_no
        if isinstance(record, ListingSpec):
            self._specs.setdefault(record.listing, []).append(record)
        elif isinstance(record, OperatorActivation):
            self._activations.append(record)
        elif isinstance(record, Repair):
            self._repairs.append(record)
        elif isinstance(record, AccountConfig):
            self._accounts.setdefault(record.account, record)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        return tuple(self._repairs)

    @property
    def accounts(self) -> Mapping[str, AccountConfig]:
        """The first AccountConfig of each account, by name: it says where the account is, for good."""
        return self._accounts

    def specs(self, listing: str) -> tuple[ListingSpec, ...]:
        """All of the listing's, by number."""
        return tuple(self._specs.get(listing, ()))

    def activations(self, listing: str | None = None) -> tuple[OperatorActivation, ...]:
        """All by number; of a listing: those of instances that ever name it, so that a later one can end an earlier."""
        if listing is None:
            return tuple(self._activations)
        named = {a.instance for a in self._activations if runs_on(a, listing)}
        return tuple(a for a in self._activations if a.instance in named)

    def spec(self, listing: str, ref_no: int, time_ms: int) -> ListingSpec | None:
        """The spec in force at `time_ms` for a block of `ref_no`; None if there is none yet."""
        found = None
        for step in self.spec_steps(listing, ref_no):
            if step.from_ms <= time_ms:
                found = step.spec
        return found

    def spec_steps(self, listing: str, ref_no: int) -> tuple[SpecStep, ...]:
        """Which spec holds from when, for a block of `ref_no`, ascending.

        Of those numbered up to ref_no, the one in force is the last by (effective_from_us, ref_no): a later number
        corrects an earlier one for the same time, and a planned change stays planned.
        """
        key = (listing, ref_no)
        steps = self._steps.get(key)
        if steps is None:
            visible = [s for s in self._specs.get(listing, ()) if s.ref_no <= ref_no]
            visible.sort(key=lambda s: (s.effective_from_us, s.ref_no))
            by_time = {-(-s.effective_from_us // 1000): s for s in visible}
            steps = tuple(SpecStep(from_ms, s) for from_ms, s in by_time.items())
            if ref_no <= self.last:
                self._steps[key] = steps
        return steps


def runs_on(activation: OperatorActivation, listing: str) -> bool:
    """Whether the activation's instance runs on `listing` by it."""
    return activation.active and (not activation.listings or listing in activation.listings)


def replaced_at(activations: Iterable[OperatorActivation]) -> dict[str, int]:
    """Of each operator that a later activation of its instance replaces: that one's reference number."""
    found: dict[str, int] = {}
    running: dict[str, str] = {}
    for activation in activations:
        before = running.get(activation.instance)
        if before is not None:
            found[before] = activation.ref_no
        running[activation.instance] = operator_id(activation.instance, activation.ref_no)
    return found
