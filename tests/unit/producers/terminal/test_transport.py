"""The way to the terminal: a socket in the home, two ends that know each other, and what is seen when it breaks."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import BadFile, HomeUnusable, NotReady, Refused
from infra.stack.home import Home
from producers.mt5 import TICK_DTYPE
from producers.terminal import connect, control
from producers.terminal.failure import TerminalFailure
from producers.terminal.transport import InProcess, Remote, TerminalSocket, terminal_key


class Echo:
    """Answers what it is asked; some names do something else."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def __call__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name == "fail":
            raise TerminalFailure(-4, "Terminal: Not found")
        if name == "refuse":
            raise Refused("no")
        if name == "break":
            raise ZeroDivisionError
        if name == "wait":
            self.go_on.wait()
        return name, args, kwargs


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "a home")
    made.create()
    return made


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def served(home: Home, echo: Echo) -> Iterator[Home]:
    end = TerminalSocket(home, echo)
    yield home
    echo.go_on.set()
    end.close()


@pytest.fixture(params=["remote", "in process"])
def transport(request: pytest.FixtureRequest, served: Home, echo: Echo) -> Iterator[Remote | InProcess]:
    made: Remote | InProcess = Remote(served) if request.param == "remote" else InProcess(echo)
    made.call("initialize", (), {}, 10.0)
    yield made
    echo.go_on.set()
    made.close()


def test_a_call_and_its_answer_come_through_as_they_are(transport: Remote) -> None:
    rows = np.zeros(3, TICK_DTYPE)
    name, args, kwargs = transport.call("copy", (1, 2.5, "x", (None, True), rows), {"a": -1}, 10.0)
    assert (name, args[:4], kwargs) == ("copy", (1, 2.5, "x", (None, True)), {"a": -1})
    assert args[4].dtype == TICK_DTYPE
    assert args[4].tolist() == rows.tolist()


def test_failures_and_refusals_come_through_as_what_they_are(transport: Remote) -> None:
    with pytest.raises(TerminalFailure) as failure:
        transport.call("fail", (), {}, 10.0)
    assert (failure.value.code, failure.value.text) == (-4, "Terminal: Not found")
    with pytest.raises(Refused, match="no"):
        transport.call("refuse", (), {}, 10.0)


def test_what_goes_wrong_in_a_call_fails_that_call_alone(transport: Remote) -> None:
    with pytest.raises(TerminalFailure, match="Call failed"):
        transport.call("break", (), {}, 10.0)
    assert transport.call("echo", (1,), {}, 10.0) == ("echo", (1,), {})


def test_an_answer_that_comes_too_late_is_skipped(transport: Remote, echo: Echo) -> None:
    with pytest.raises(TerminalFailure, match="IPC timeout"):
        transport.call("wait", (), {}, 0.01)
    echo.go_on.set()
    assert transport.call("echo", (2,), {}, None) == ("echo", (2,), {})


def test_a_client_waits_for_its_own_answer_only(served: Home, echo: Echo) -> None:
    one, other = Remote(served), Remote(served)
    for client in (one, other):
        client.call("initialize", (), {}, 10.0)
    with pytest.raises(TerminalFailure, match="IPC timeout"):
        one.call("wait", (), {}, 0.01)
    assert other.call("echo", (3,), {}, 10.0) == ("echo", (3,), {})


def test_a_client_that_is_gone_touches_no_other(served: Home) -> None:
    one, other = Remote(served), Remote(served)
    for client in (one, other):
        client.call("initialize", (), {}, 10.0)
    one.close()
    assert other.call("echo", (), {}, 10.0) == ("echo", (), {})
    with pytest.raises(TerminalFailure, match="IPC send failed"):
        one.call("echo", (), {}, 10.0)
    one.call("initialize", (), {}, 10.0)
    assert one.call("echo", (), {}, 10.0) == ("echo", (), {})


def test_a_terminal_that_is_gone_is_noticed_and_found_again_by_initialize(home: Home, echo: Echo) -> None:
    end = TerminalSocket(home, echo)
    client = Remote(home)
    client.call("initialize", (), {}, 10.0)
    end.close()
    with pytest.raises(TerminalFailure) as failure:
        Remote(home).call("initialize", (), {}, 10.0)
    assert failure.value.code == -10003
    assert "Process create failed" in failure.value.text
    again = TerminalSocket(home, echo)
    client.call("initialize", (), {}, 10.0)
    assert client.call("echo", (), {}, 10.0) == ("echo", (), {})
    client.close()
    again.close()


def test_a_socket_that_a_killed_terminal_has_left_is_taken_over(home: Home, echo: Echo) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(home.run / "terminal.sock"))
    left.close()
    end = TerminalSocket(home, echo)
    client = Remote(home)
    assert client.call("initialize", (), {}, 10.0)[0] == "initialize"
    client.close()
    end.close()


def test_a_home_with_a_long_path_has_a_terminal_too(tmp_path: Path, echo: Echo) -> None:
    home = Home(tmp_path / ("long " * 20) / ("longer " * 20))
    home.root.parent.mkdir()
    home.create()
    end = TerminalSocket(home, echo)
    client = Remote(home)
    assert client.call("initialize", (), {}, 10.0)[0] == "initialize"
    client.close()
    end.close()


def test_who_has_not_the_key_of_the_home_gets_nothing(served: Home) -> None:
    path = served.keys / "terminal.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(bytes(32))
    client = Remote(served)
    with pytest.raises(TerminalFailure, match="Pipe server didn't answer in 10 sec"):
        client.call("initialize", (), {}, 10.0)


def test_a_server_without_the_key_of_the_home_is_told_nothing(home: Home) -> None:
    """It answers the challenge by chance, and would be sent requests otherwise."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.run / "terminal.sock"))
        listening.listen()
        got: list[bytes] = []

        def serve() -> None:
            with Connection(listening.accept()[0].detach()) as client:
                client.recv_bytes()
                client.send_bytes(bytes(32))
                try:
                    got.append(client.recv_bytes())
                except EOFError:
                    got.append(b"nothing")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(TerminalFailure, match="Pipe server"):
            Remote(home).call("initialize", (), {}, 10.0)
        thread.join()
        assert got == [b"nothing"]


def test_a_terminal_that_hangs_while_it_is_called_on_is_given_up(home: Home) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.run / "terminal.sock"))
        listening.listen()
        with pytest.raises(TerminalFailure, match=r"Pipe server didn't answer in 0\.01 sec"):
            Remote(home).call("initialize", (), {}, 0.01)


def test_two_processes_make_one_key(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = terminal_key(home)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert terminal_key(home) == first
    monkeypatch.undo()
    (home.keys / "terminal.key").write_bytes(b"short")
    with pytest.raises(BadFile, match="not the key"):
        terminal_key(home)
    assert sorted(os.listdir(home.keys)) == ["terminal.key"]


def test_a_home_that_is_none_says_so(tmp_path: Path, echo: Echo) -> None:
    nowhere = Home(tmp_path / "nowhere")
    with pytest.raises(HomeUnusable):
        TerminalSocket(nowhere, echo)
    home = Home(tmp_path / "home")
    home.create()
    terminal_key(home)
    home.run.rmdir()
    with pytest.raises(HomeUnusable):
        TerminalSocket(home, echo)


def test_nobody_there_is_told_in_the_words_of_either_side(home: Home) -> None:
    mt5 = connect(home.root)
    assert mt5.initialize() is False
    assert mt5.last_error()[0] == -10003
    owner = control(home.root)
    with pytest.raises(NotReady, match="terminal doesn't answer"):
        owner.state()
    owner.close()
