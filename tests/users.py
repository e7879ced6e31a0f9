"""Another user than the one who owns the files, for tests that run as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

_UID: Final = 54_321
STRANGER: Final = f"user {_UID}"
"""As errors name this user."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@contextmanager
def another_user() -> Iterator[None]:
    """This process is a user who owns nothing."""
    os.seteuid(_UID)
    try:
        yield
    finally:
        os.seteuid(0)
