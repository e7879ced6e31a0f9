"""A broker that only these tests write to, and accounts of their own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import StartStack, TestStack
from tests.integration.sequencer.account import Account


@pytest.fixture(scope="package")
def broker(start_stack: StartStack) -> Iterator[TestStack]:
    """A broker with all topics, without a database."""
    with start_stack(services={"kafka"}) as running:
        yield running


@pytest.fixture
def account(broker: TestStack) -> Account:
    """An account that no other test uses, with a feed of its own."""
    return Account(broker.kafka)
