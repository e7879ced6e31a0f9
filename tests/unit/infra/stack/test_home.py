"""Folders, locks and records of a home."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest

from infra.errors import HomeUnusable, NotReady, SettingsError, home_unusable
from infra.settings import load_settings
from infra.stack.addresses import addresses, record_address, recorded_port, shown_postgres
from infra.stack.home import Home, Lock, read_json, write_json, write_private
from infra.stack.process import Identity
from infra.stack.services import TERMINAL, announce, child_env, identity, is_ready, running, running_since_ms, trouble
from infra.stack.status import status
from tests.users import STRANGER, another_user, needs_root


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_new_folders_are_closed_and_modes_of_old_ones_are_left(tmp_path: Path) -> None:
    root = tmp_path / "a" / "home"
    root.mkdir(parents=True)
    root.chmod(0o755)
    Home(root).create()
    assert stat.S_IMODE(root.stat().st_mode) == 0o755
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in root.iterdir()} == {0o700}


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_each_reason_is_said_in_words_with_a_way_out(number: int, words: str) -> None:
    error = home_unusable(Path("/some/home"), OSError(number, os.strerror(number)))
    for part in ("/some/home", words, "TICKLEDGER_HOME"):
        assert part in str(error)


@needs_root
def test_status_names_what_another_user_has_closed(open_folder: Path) -> None:
    Home(open_folder / "home").create()
    (open_folder / "home").chmod(0o755)
    run = open_folder / "home" / "run"
    settings = load_settings(open_folder / "home")
    says = rf"cannot read {run}/.*: {run} belongs to root, and {STRANGER} may not read it: run this as root"
    with another_user(), pytest.raises(SettingsError, match=says):
        status(settings)
    run.chmod(0o755)
    write_json(run / "services.json", {})
    with another_user(), pytest.raises(SettingsError, match=r"services\.json belongs to root"):
        recorded_port(Home(open_folder / "home"), "kafka")
    with another_user(), pytest.raises(SettingsError, match=r"x\.lock: .*/keys belongs to root"):
        Lock(open_folder / "home" / "keys" / "x.lock").free()


def test_a_file_is_replaced_whole_and_private_or_not_at_all(home: Home) -> None:
    path = home.run / "x.json"
    write_json(path, {"n": 1})
    write_json(path, {"n": 2})
    assert read_json(path) == {"n": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (home.run / "folder").mkdir()
    with pytest.raises(HomeUnusable, match="folder"):
        write_private(home.run / "folder", b"x")
    with pytest.raises(HomeUnusable, match="none"):
        write_private(home.run / "none" / "x", b"x")
    assert sorted(entry.name for entry in home.run.iterdir()) == ["folder", "x.json"]


def test_what_is_not_a_record_reads_as_none(home: Home) -> None:
    path = home.run / "x.json"
    assert read_json(path) is None
    for content in (b"", b"{", b"[1]", b"\xff"):
        path.write_bytes(content)
        assert read_json(path) is None
    assert identity({"pid": 1}) is None
    assert identity(None) is None
    assert identity({"pid": "x", "start_ticks": 1, "boot_id": ""}) is None


def test_a_lock_is_held_by_one_or_shared_by_many(home: Home) -> None:
    path = home.run / "x.lock"
    one, two, three = Lock(path), Lock(path), Lock(path)
    assert one.free()
    assert one.take()
    assert not two.take()
    assert not two.take(shared=True)
    assert not three.free()
    with pytest.raises(ValueError, match="not held"):
        _ = two.fd
    one.release()
    one.release()
    assert two.take(shared=True)
    assert three.take(shared=True)
    assert not one.take()
    two.release()
    three.release()
    with one.held():
        assert not two.take()
    assert two.take()
    two.release()
    with pytest.raises(HomeUnusable):
        Lock(home.run / "none" / "x.lock").take()


def _announce(home: Path, name: str, ready: bool) -> None:
    announce(home, name, ready=ready, partitions=3)


def test_a_service_is_ready_when_the_process_that_runs_it_says_so(home: Home) -> None:
    assert running(home, "worker") is None
    assert running_since_ms(home, "worker") is None
    assert not is_ready(home, "worker")
    before_ms = time.time_ns() // 1_000_000
    write_json(home.pid_file("worker"), Identity.own()._asdict())
    assert running(home, "worker") == Identity.own()
    # Files are stamped by a clock that is a tick of the kernel behind.
    assert before_ms - 1_000 < (running_since_ms(home, "worker") or 0) <= time.time_ns() // 1_000_000
    assert not is_ready(home, "worker")
    announce(home.root, "worker", partitions=3)
    assert is_ready(home, "worker")
    announce(home.root, "worker", ready=False)
    assert not is_ready(home, "worker")
    other = multiprocessing.get_context("spawn").Process(target=_announce, args=(home.root, "worker", True))
    other.start()
    other.join()
    assert read_json(home.ready_file("worker")) is not None
    assert not is_ready(home, "worker")


def test_a_service_says_what_is_wrong_with_it_for_as_long_as_it_runs(home: Home) -> None:
    settings = load_settings(home=home.root)
    announce(home.root, "terminal", reason="no quotes")
    assert trouble(home, "terminal") is None
    write_json(home.pid_file("terminal"), Identity.own()._asdict())
    assert trouble(home, "terminal") == "no quotes"
    assert status(settings, [TERMINAL])["terminal"]["reason"] == "no quotes"
    announce(home.root, "terminal", reason=None)
    assert trouble(home, "terminal") is None
    assert trouble(home, "worker") is None


def test_addresses_are_those_of_the_last_start_or_of_settings(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=home.root)
    with pytest.raises(NotReady, match=r"kafka .* has never been started: run `tickledger up`"):
        addresses(settings)
    assert recorded_port(home, "kafka") == 0
    record_address(home, "kafka", "127.0.0.1:9092")
    record_address(home, "postgres", "127.0.0.1:5432")
    write_private(home.postgres / "password", b"p\n")
    assert addresses(settings) == ("127.0.0.1:9092", "postgresql://tickledger:p@127.0.0.1:5432/tickledger")
    assert shown_postgres(settings) == "127.0.0.1:5432"
    monkeypatch.setenv("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", "a:1,b:2")
    monkeypatch.setenv("TICKLEDGER_POSTGRES__DSN", "postgresql://u:geheim@db.example/x")
    settings = load_settings(home=home.root)
    assert addresses(settings) == ("a:1,b:2", "postgresql://u:geheim@db.example/x")
    assert shown_postgres(settings) == "db.example:5432"


def test_children_get_the_home_and_the_file_that_hold_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLEDGER_CONFIG", "elsewhere.toml")
    (tmp_path / "elsewhere.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    env = child_env(load_settings(home=tmp_path / "home"))
    assert (env["TICKLEDGER_HOME"], env["TICKLEDGER_CONFIG"]) == (
        str(tmp_path / "home"),
        str(tmp_path / "elsewhere.toml"),
    )
    monkeypatch.delenv("TICKLEDGER_CONFIG")
    assert "TICKLEDGER_CONFIG" not in child_env(load_settings(home=tmp_path / "home"))
