"""A broker of these tests' own: what they put onto it would be found by whoever verifies a shared one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import StartStack, TestStack
from tests.integration.log.place import Place


@pytest.fixture(scope="package")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    """A broker with all topics, without a database."""
    with start_stack(services={"kafka"}) as running:
        yield running


@pytest.fixture
def place(broker: TestStack) -> Place:
    """A listing that no other test uses."""
    return Place(broker)
