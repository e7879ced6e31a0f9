"""The command line itself: finding the subcommand, and saying in one line what went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api import cli
from infra.errors import HomeBusy, Refused


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_every_subcommand_can_be_loaded_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        assert run(name, "--help") == 0
        assert "Usage: tickledger" in capsys.readouterr().out


def test_an_unknown_command_is_named_and_can_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verfy") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "verfy" in shown.err
    assert shown.err.startswith("error: ")


def test_a_wrong_option_can_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--jsn") == 2
    assert "--jsn" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "code"), [(Refused("no: it is older"), 1), (HomeBusy("another runs it"), 2)])
def test_an_error_is_one_line_and_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "check_rooms", fails)
    assert run("status") == code
    assert capsys.readouterr() == ("", f"error: {error}\n")


def test_ctrl_c_is_no_stack_trace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "check_rooms", stopped)
    assert run("verify") == 130
    assert capsys.readouterr().err == "error: stopped\n"


def test_a_folder_of_our_names_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("")
    script = "import sys; sys.path.insert(0, '.'); from api import cli; cli.main(['status'])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "the package schemas comes from" in done.stderr


def test_a_closed_pipe_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []

    def broken() -> None:
        raise BrokenPipeError

    monkeypatch.setattr(cli, "check_rooms", broken)
    monkeypatch.setattr(cli.os, "dup2", lambda source, target: closed.append(target))
    assert run("query", "ticks") == 0
    assert closed == [1]
