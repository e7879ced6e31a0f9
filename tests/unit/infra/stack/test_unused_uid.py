"""The number of the user that the database's data are handed to."""

from __future__ import annotations

import os
import subprocess

import pytest

from infra.stack.postgres import UIDS, _unused_uid


def test_a_process_that_ends_while_it_is_chosen_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        listed = [entry for entry in os.scandir("/proc") if entry.name == str(child.pid)]
        child.kill()
    monkeypatch.setattr(os, "scandir", lambda _path: listed)
    assert _unused_uid() in UIDS
