"""The lines that the demo gives to copy."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from api.demo.next_steps import command, lines_to_copy
from infra.settings import load_settings


def test_while_it_plays_they_ask_and_steer_and_at_its_end_they_walk_and_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLEDGER_TRADE__ACCOUNT", "demo")
    settings = load_settings(tmp_path / "a home")

    playing = [shlex.split(line) for line in lines_to_copy(settings, None, None, played=False)]
    ended = [shlex.split(line) for line in lines_to_copy(settings, Path("my own.toml"), "desk@1/demo/7", played=True)]

    assert [line[1:3] for line in playing] == [
        ["query", "bars"], ["query", "orders"], ["query", "pnl"], ["halt", "--account"], ["resume", "--account"],
    ]  # fmt: skip
    assert ["query", "audit", "desk@1/demo/7"] in [line[1:4] for line in ended]
    assert ended[-1][1:4] == ["verify", "--terminal", "--run-code"]
    assert all(line[-2:] == ["--home", str(tmp_path / "a home")] for line in playing)
    assert all(line[-2:] == ["--config", "my own.toml"] for line in ended)


def test_the_usual_home_need_not_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert all("--home" not in line for line in lines_to_copy(load_settings(), None, None, played=True))


def test_the_program_is_called_as_it_can_be_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "a place" / "bin" / "tickledger"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")

    monkeypatch.chdir(tmp_path)
    assert shlex.split(command()) == ["a place/bin/tickledger"]
    monkeypatch.chdir(program.parent.parent)
    assert shlex.split(command()) == ["bin/tickledger"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert shlex.split(command()) == [str(program)]
    monkeypatch.setenv("PATH", str(program.parent))
    assert command() == "tickledger"
