"""The command line itself: finding the subcommand, and saying in one line what went wrong."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api import cli
from api.commands import paper
from infra.errors import HomeBusy, Refused
from infra.settings import load_settings
from tests.users import STRANGER, another_user, needs_root


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


@pytest.mark.parametrize("command", [("status",), ("up",), ("demo",), ("query", "ticks")])
def test_an_empty_home_is_not_the_working_directory(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*command, "--home", "") == 2
    assert capsys.readouterr().err.startswith("error: --home is empty: name a folder")
    assert list(tmp_path.iterdir()) == []


@needs_root
@pytest.mark.parametrize("command", ["status", "query ticks", "halt --why x", "demo", "demo --fresh", "down", "up"])
def test_a_home_of_another_user_is_one_clear_error(
    command: str, open_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    (home / "tickledger.toml").write_text('[terminal]\nkind = "simulated"\n[trade]\naccount = "demo"\n')
    with another_user():
        assert run(*command.split(), "--home", str(home)) == 2
    said = capsys.readouterr().err
    assert f"{home} belongs to root, and {STRANGER} may not read it: run this as root" in said
    assert said.count("\n") == 1


@needs_root
def test_whatever_else_may_not_be_read_is_no_stack_trace(
    open_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (open_folder / "closed").mkdir(mode=0o700)
    monkeypatch.setattr(cli, "check_rooms", (open_folder / "closed" / "file").read_bytes)
    with another_user():
        assert run("status") == 2
    assert f"error: cannot read {open_folder}/closed/file: " in capsys.readouterr().err


def test_a_new_strategy_that_can_not_be_written_is_one_clear_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = Path.open

    def full(path: Path, *options: Any, **more: Any) -> Any:
        if path.name == "test_mine.py":
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, *options, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        assert run("new", "mine") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"cannot write mine.py, test_mine.py into {tmp_path}: Read-only file system: run it in a folder" in said.err
    assert list(tmp_path.iterdir()) == [], "half of it is nothing"
    assert run("new", "mine") == 0
    assert run("new", "mine") == 1


@needs_root
def test_a_new_strategy_in_a_folder_of_another_user_is_one_clear_error(
    open_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(open_folder)
    with another_user():
        assert run("new", "mine") == 2
    assert "Permission denied: run it in a folder that you may write to" in capsys.readouterr().err


def test_up_starts_nothing_for_a_page_that_others_reach(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TICKLEDGER_API__HOST", "0.0.0.0")
    assert run("up", "--home", str(tmp_path / "home")) == 2
    assert "api.host = '0.0.0.0': page and API ask nobody who they are" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_paper_starts_nothing_for_a_page_that_others_reach(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TICKLEDGER_API__HOST", "0.0.0.0")
    monkeypatch.setattr(paper, "paper_home", lambda *_: SimpleNamespace(settings=load_settings(tmp_path / "home")))
    assert run("paper") == 2
    assert "api.host = '0.0.0.0': page and API ask nobody who they are" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


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


def ended(prepare: str, stdout: str | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of `tickledger --version` as a process of its own, after `prepare`."""
    code = (
        f"import atexit, sys, threading, time\nfrom api import cli\nsys.argv = ['tickledger', '--version']\n{prepare}"
    )
    command = [sys.executable, "-P", "-c", f"{code}\ncli.main()"]
    if stdout is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr
    with open(stdout, "w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    return done.returncode, "", done.stderr


def test_a_process_says_all_and_does_what_is_to_be_done_at_its_end() -> None:
    code, out, _ = ended("atexit.register(print, 'at the end')")
    assert code == 0
    assert out.splitlines()[1:] == ["at the end"]


def test_a_process_waits_for_threads_at_work() -> None:
    work = "threading.Thread(target=lambda: (time.sleep(0.3), print('worked'))).start()"
    assert ended(work)[1].splitlines()[1:] == ["worked"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no file that is always full")
def test_output_that_can_not_be_written_is_no_success() -> None:
    code, _, errors = ended("", stdout="/dev/full")
    assert code != 0
    assert "No space left" in errors
