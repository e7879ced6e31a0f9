"""A broker that only these tests write to, and listings of their own on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import StartStack, TestStack
from tests.integration.streams.line import Line


@pytest.fixture(scope="package")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    """A broker with all topics, without a database."""
    with start_stack(services={"kafka"}) as running:
        yield running


@pytest.fixture
def new_line(broker: TestStack) -> Callable[..., Line]:
    """Makes a listing that no other test uses."""
    return lambda beside=None: Line(broker.kafka, beside)


@pytest.fixture
def line(new_line: Callable[..., Line]) -> Line:
    return new_line()
