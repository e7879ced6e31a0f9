"""Homes in bad places and with changed contents: what is said, and that nothing outside is changed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.settings import load_settings
from infra.stack.addresses import postgres_dsn
from tests.integration.stack.keeping import KEEPER, once

pytestmark = pytest.mark.stack


def on_disk(options: str, mount_point: Path, prepare: str, home: str) -> dict[str, Any]:
    """What a keeper says on a file system of its own, mounted in a name space of its own: no rights are needed."""
    mount_point.mkdir()
    script = (
        f'mount -t tmpfs -o size=400m none "$1" && cd "$1" && {prepare} && mount -o remount,{options} none "$1" && '
    )
    script += 'cd / && exec "$2" -P "$3" "$4" hold kafka,postgres'
    rights = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *rights, "sh", "-c", script, "sh", str(mount_point), sys.executable, str(KEEPER), home],
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {**{key: value for line in lines for key, value in line.items()}, "code": done.returncode}


def test_a_home_on_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    for prepare, home in (("true", "disk/new"), ("mkdir -m 700 old", "disk/old")):
        said = on_disk("ro", tmp_path / "disk", prepare, str(tmp_path / home))
        (tmp_path / "disk").rmdir()
        assert (said["code"], said["kind"]) == (2, "HomeUnusable")
        assert "read-only" in said["error"]
        assert str(tmp_path / home) in said["error"]
        assert "TICKLEDGER_HOME" in said["error"]


def test_a_home_on_a_full_disk_is_refused(tmp_path: Path) -> None:
    said = on_disk("size=8m", tmp_path / "disk", "true", str(tmp_path / "disk" / "home"))
    assert (said["code"], said["kind"]) == (2, "HomeUnusable")
    assert "8 MiB left" in said["error"] or "7 MiB left" in said["error"]
    (tmp_path / "disk").rmdir()
    said = on_disk(
        "rw",
        tmp_path / "disk",
        "mkdir -m 700 home && (cat /dev/zero > filler 2>/dev/null || true)",
        str(tmp_path / "disk" / "home"),
    )
    assert (said["code"], said["kind"]) == (2, "HomeUnusable")
    assert "the disk is full: free some space" in said["error"]


def test_a_root_that_has_not_the_rights_of_one_is_told_which_are_missing(tmp_path: Path) -> None:
    """As in a container whose capabilities were taken away; here root of a name space that knows no other user."""
    done = subprocess.run(
        [
            "unshare",
            "--user",
            "--map-root-user",
            sys.executable,
            "-P",
            str(KEEPER),
            str(tmp_path / "home"),
            "hold",
            "postgres",
        ],
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, said["kind"]) == (2, "HomeUnusable")
    for part in ("root may not run PostgreSQL as another user", "CHOWN", "ordinary user", "postgres.dsn"):
        assert part in said["error"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("not a folder")
    for home in (tmp_path / "home", tmp_path / "home" / "below"):
        said = once(home, "hold", "postgres")
        assert (said["code"], said["kind"]) == (2, "HomeUnusable")
        assert str(home) in said["error"]


def test_a_home_below_a_closed_folder_works_and_no_mode_outside_is_changed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    above = [*closed.parents, closed]
    modes = [folder.stat().st_mode for folder in above]
    assert once(closed / "deep" / "er" / "home", "hold", "kafka,postgres")["code"] == 0
    assert [folder.stat().st_mode for folder in above] == modes
    for folder in (closed / "deep" / "er" / "home").iterdir():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_password_changed_by_hand_is_named_with_both_ways_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert once(home, "hold", "postgres")["code"] == 0
    file = home / "postgres" / "password"
    kept = file.read_text()
    file.write_text("another\n")
    said = once(home, "hold", "postgres")
    assert (said["code"], said["kind"]) == (2, "PasswordRefused")
    for part in (str(file), "Write the present one into that file", f"remove {home / 'postgres'}", "built again"):
        assert part in said["error"]
    file.unlink()
    said = once(home, "hold", "postgres")
    assert (said["code"], said["kind"]) == (2, "PasswordRefused")
    assert f"{file} is missing" in said["error"]
    file.write_text(kept)
    assert once(home, "hold", "postgres")["code"] == 0
    shutil.rmtree(home / "postgres")
    assert once(home, "hold", "postgres")["code"] == 0


def test_what_an_interrupted_start_left_half_made_is_made_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home / "kafka" / "data.new", home / "postgres" / "data.new"):
        folder.mkdir(parents=True)
        (folder / "half").write_text("made")
    assert once(home, "hold", "kafka,postgres")["code"] == 0
    assert not (home / "kafka" / "data.new").exists()
    assert not (home / "postgres" / "data.new").exists()


def test_the_database_keeps_what_it_has_from_one_start_to_the_next(tmp_path: Path, start_stack: Any) -> None:
    home = tmp_path / "home"
    with start_stack({"postgres"}, home=home) as first, psycopg.connect(first.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with start_stack({"postgres"}, home=home) as second:
        assert postgres_dsn(load_settings(home=home)) == second.postgres_dsn
        with psycopg.connect(second.postgres_dsn) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_servers_that_settings_name_are_used_and_checked(
    tmp_path: Path, start_stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_stack(topics=False) as cluster:
        monkeypatch.setenv("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", cluster.kafka)
        monkeypatch.setenv("TICKLEDGER_POSTGRES__DSN", cluster.postgres_dsn)
        said = once(tmp_path / "other", "hold", "kafka,postgres")
        assert (said["ready"], said["started"]) == (cluster.kafka, [])
        states = once(tmp_path / "other", "status")["status"]
        assert [state["state"] for state in states.values()] == ["external", "external"]
        assert states["postgres"]["address"] == cluster.postgres_dsn.partition("@")[2].partition("/")[0]
    for unset, named in (
        ("TICKLEDGER_POSTGRES__DSN", "kafka.bootstrap_servers"),
        ("TICKLEDGER_KAFKA__BOOTSTRAP_SERVERS", "postgres.dsn"),
    ):
        with monkeypatch.context() as patch:
            patch.delenv(unset)
            said = once(tmp_path / "other", "hold", "kafka,postgres")
            assert (said["code"], said["kind"]) == (2, "Unreachable")
            assert named in said["error"]
            assert cluster.postgres_dsn not in said["error"]
    assert {state["state"] for state in once(tmp_path / "other", "status")["status"].values()} == {"failed"}
