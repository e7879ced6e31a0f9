"""Records that are made quickly are those of a frozen dataclass."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from schemas.records import quickly_made


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    name: str
    kind: float = 1.5
    volume: int


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    name: str
    kind: float = 1.5
    volume: int


def test_it_says_compares_and_hashes_as_any() -> None:
    made = Quick(name="a", volume=2)
    assert repr(made) == "Quick(name='a', kind=1.5, volume=2)"
    assert made == Quick(name="a", kind=1.5, volume=2) != Quick(name="b", volume=2)
    assert hash(made) == hash(Usual(name="a", volume=2))
    assert type(made) is Quick


def test_it_stays_as_it_was_made() -> None:
    made = Quick(name="a", volume=2)
    with pytest.raises(FrozenInstanceError):
        made.volume = 3  # type: ignore[misc]  # what must not work
    with pytest.raises(FrozenInstanceError):
        del made.volume
    assert replace(made, volume=3) == Quick(name="a", volume=3)


def test_it_can_be_copied_and_sent() -> None:
    made = Quick(name="a", volume=2)
    assert pickle.loads(pickle.dumps(made)) == deepcopy(made) == made


@pytest.mark.parametrize("told", [{"name": "a"}, {"name": "a", "volume": 1, "size": 1}])
def test_a_field_too_few_or_too_many_is_an_error(told: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=r"volume|size"):
        Quick(**told)  # type: ignore[arg-type]  # what must not work
