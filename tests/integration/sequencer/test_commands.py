"""`tickledger halt`, `resume`, `flatten`: what a person asks is on the account's chain, and its sequencer takes it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from api import asked
from api.commands.flatten import flatten
from api.commands.halt import halt
from api.commands.resume import resume
from infra.account_log import AccountWriter, UnknownAccount, read_account
from infra.chain_follower import Fenced
from infra.clock import SystemClock
from infra.errors import NotReady, Refused, SettingsError
from schemas.executions import Command, CommandKind
from schemas.trading import TradingState
from streams.operators.desk import Desk
from tests.integration.projections.scripted import KEYS
from tests.integration.sequencer.account import SECOND, Account

pytestmark = pytest.mark.stack


@pytest.fixture
def home(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose broker is the tests', with the ring that seals its log."""
    ring = tmp_path / "keys" / "ring.json"
    ring.parent.mkdir()
    ring.write_text(json.dumps({"current": KEYS.current, "keys": {KEYS.current: bytes(range(32)).hex()}}))
    ring.chmod(0o600)
    monkeypatch.setenv("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", account.kafka)
    account.configure()
    return tmp_path


def commands(account: Account) -> list[Command]:
    records: list[Command] = read_account(account.kafka, account.keys, "commands", account.name, account.partition)[0]
    return records


def test_a_halt_is_on_the_log_with_who_and_why(
    account: Account, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert halt(why="it looks odd", account=account.name, who="ada", home=home) == 0
    (found,) = commands(account)
    assert (found.kind, found.who, found.why, found.valid_until_us) == (CommandKind.HALT, "ada", "it looks odd", 0)
    assert capsys.readouterr().out == f"HALT of {account.name} by ada is command 1 on the log\n"


def test_what_was_written_can_be_had_as_json_and_the_user_asks_by_default(
    account: Account, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLEDGER_TRADE__ACCOUNT", account.name)
    assert flatten(why="the day is over", home=home, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "command": 1, "kind": "FLATTEN", "account": account.name, "who": getpass.getuser(), "why": "the day is over",
        "valid_until_us": 0,
    }  # fmt: skip


def test_a_resume_holds_for_a_while_only(account: Account, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = SystemClock().now_us()
    assert resume(why="all is well", account=account.name, within=30, home=home) == 0
    (found,) = commands(account)
    assert before + 30 * SECOND <= found.valid_until_us <= SystemClock().now_us() + 30 * SECOND
    assert "it is dropped unless it is taken within 30 s" in capsys.readouterr().out


def test_the_account_stops_and_goes_on_as_it_is_asked(account: Account, home: Path) -> None:
    account.clock.advance(SystemClock().now_us() - account.clock.now_us())
    with account.sequenced():
        halt(why="stop", account=account.name, home=home)
        resume(why="go on", account=account.name, home=home)
        halt(why="stop again", account=account.name, home=home)
        found = account.wait_for(lambda entries: sum(e.stream == "commands" for e in entries) == 3)
    desk, states = Desk(), list[TradingState]()
    state = desk.initial(account.name)
    for entry in found:
        desk.fold(state, entry)
        if entry.stream == "commands":
            states.append(state.trading)
    assert states == [TradingState.HALTED, TradingState.ACTIVE, TradingState.HALTED]


@pytest.mark.parametrize(
    ("ask", "error", "reason"),
    [
        (
            lambda home, name: halt(why="w", account="nobody", home=home),
            UnknownAccount,
            r"no account 'nobody' .*{name}",
        ),
        (lambda home, name: halt(why="w", home=home), SettingsError, "no account is named: give --account"),
        (lambda home, name: halt(why=" ", account=name, home=home), Refused, "--why is empty"),
        (lambda home, name: resume(why="w", account=name, within=0, home=home), Refused, "--within 0 is not above 0"),
        (lambda home, name: flatten(why="w", direct=True, home=home), SettingsError, "no account is named"),
    ],
)
def test_what_cant_be_asked_is_refused_and_nothing_is_written(
    account: Account, home: Path, ask: Callable[[Path, str], int], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason.format(name=account.name)):
        ask(home, account.name)
    assert commands(account) == []


def test_a_market_without_a_time_keeps_a_resume_back_and_no_halt(
    account: Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKLEDGER_TERMINAL__KIND", "simulated")
    with pytest.raises(NotReady, match="there is no market time yet"):
        resume(why="w", account=account.name, home=home)
    halt(why="w", account=account.name, home=home)
    assert [c.kind for c in commands(account)] == [CommandKind.HALT]


def test_a_command_that_anothers_opening_made_void_is_written_again(
    account: Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[AccountWriter] = []

    class Interrupted(AccountWriter):
        def write(self, record: object) -> int:
            if len(opened) < 2:
                opened.append(self)
                account.write(account.command(why=f"another's {len(opened)}"))
            return super().write(record)  # type: ignore[arg-type]

    monkeypatch.setattr("infra.account_log.AccountWriter", Interrupted)
    halt(why="ours", account=account.name, home=home)
    assert [c.why for c in commands(account)] == ["another's 1", "another's 2", "ours"]
    monkeypatch.setattr(asked, "ATTEMPTS", 1)
    opened.clear()
    with pytest.raises(Fenced):
        halt(why="late", account=account.name, home=home)


def test_a_command_that_another_opened_right_behind_stands_and_is_not_asked_twice(
    account: Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = AccountWriter.drain

    def and_another_opens(writer: AccountWriter) -> None:
        drain(writer)
        monkeypatch.setattr(AccountWriter, "drain", drain)
        with AccountWriter(account.kafka, KEYS, SystemClock(), "commands", account.name, account.partition) as other:
            other.open()
        while True:
            writer.follow(0.05)

    monkeypatch.setattr(AccountWriter, "drain", and_another_opens)

    assert flatten(why="enough", account=account.name, home=home) == 0
    assert [c.why for c in commands(account)] == ["enough"]
