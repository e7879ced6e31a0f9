"""A broker that only these tests write to, and accounts of their own on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conftest import StartStack, TestStack
from tests.integration.desk.account_day import AccountDay


@pytest.fixture(scope="package")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    """A broker with all topics, without a database."""
    with start_stack(services={"kafka"}) as running:
        yield running


@pytest.fixture
def new_day(broker: TestStack) -> Callable[..., AccountDay]:
    """Makes an account that no other test uses."""
    return lambda **more: AccountDay(broker.kafka, **more)


@pytest.fixture
def day(new_day: Callable[..., AccountDay]) -> AccountDay:
    return new_day()
