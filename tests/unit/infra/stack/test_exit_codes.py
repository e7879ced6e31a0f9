"""With which code a service ends: the stack goes by it."""

from __future__ import annotations

import pytest

from infra.errors import BadFile, HomeUnusable, SettingsError, TickledgerError, Unreachable
from infra.reference_log import SealedByOthers
from infra.stack.services import FENCED, REFUSED, exit_code_of
from producers.gateway.venue import NoAnswer, WrongAccount
from producers.mt5 import AUTHORIZATION_FAILED, TerminalError
from producers.recorder.pinned import SourceRefused


@pytest.mark.parametrize(
    "error",
    [
        TerminalError("refused", AUTHORIZATION_FAILED),
        WrongAccount("another login"),
        SourceRefused("another server"),
        SealedByOthers("the ring was lost"),
        BadFile("not a key ring"),
        SettingsError("no such setting"),
    ],
)
def test_what_somebody_has_to_change_first_refuses_the_service(error: TickledgerError) -> None:
    assert exit_code_of(error) == REFUSED


@pytest.mark.parametrize(
    "error",
    [TerminalError("away", -10_001), NoAnswer("away"), Unreachable("no broker"), HomeUnusable("the disk is full")],
)
def test_what_may_pass_is_tried_again(error: TickledgerError) -> None:
    assert exit_code_of(error) not in (0, REFUSED, FENCED)
