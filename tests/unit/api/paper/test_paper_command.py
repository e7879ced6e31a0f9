"""`tickledger paper`: what it refuses before anything is reached or started."""

from __future__ import annotations

from pathlib import Path

import pytest

from api import cli


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(["paper", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_parameters_are_of_one_strategy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, "ema_cross", "berserker", "-p", "fast=3", "--home", str(tmp_path / "home"))
    assert code == 2
    assert "-p fast=3: it is of one strategy, and 2 are named" in text


def test_a_strategy_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, "no_such_thing", "--home", str(tmp_path / "home"))
    assert code in (1, 2)
    assert "no_such_thing" in text
    assert not (tmp_path / "home").exists()


def test_entries_are_sized_by_one_thing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, "ema_cross", "--lots", "0.1", "--risk", "1%", "--home", str(tmp_path / "home"))
    assert code == 2
    assert "--lots and --risk both size entries" in text


def test_a_consensus_needs_several(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, text = said(capsys, "ema_cross", "--consensus", "veto", "--home", str(tmp_path / "home"))
    assert code == 2
    assert "--consensus veto is of the strategies that are named, and that is 1: name all of them" in text
