"""The key ring's file."""

from __future__ import annotations

import json
import stat
from multiprocessing import get_context
from pathlib import Path

import pytest

from infra.errors import BadFile, HomeUnusable
from infra.keys import load, load_or_create
from infra.settings import load_settings


def test_a_ring_is_made_once_and_private(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path / "home")
    ring = load_or_create(settings)
    file = tmp_path / "home" / "keys" / "ring.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["ring.json"]
    again = load_or_create(settings)
    assert again.current == ring.current
    assert again.mac("ticks", ring.current, bytes(40)) == ring.mac("ticks", ring.current, bytes(40))
    key = json.loads(file.read_text())["keys"][ring.current]
    assert key not in repr(ring)
    assert len(bytes.fromhex(key)) == 32


def _mac(home: Path) -> bytes:
    ring = load_or_create(load_settings(home=home))
    return ring.mac("ticks", ring.current, bytes(40))


def test_processes_that_start_at_once_get_the_same_ring(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(_mac, [tmp_path / "home"] * 6))) == 1
        pool.close()
        pool.join()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"current": "b", "keys": {"a": "00112233445566778899aabbccddeeff"}}',
        b'{"current": "a", "keys": {"a": "0011"}}',
        b'{"current": "a", "keys": {"a": "geheim"}}',
    ],
)
def test_what_is_not_a_ring_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ring.json"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(BadFile, match=r"ring\.json is not a key ring") as caught:
        load(file)
    assert "geheim" not in str(caught.value)
    assert "0011" not in str(caught.value)


def test_a_ring_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKLEDGER_KEYS__RING", str(tmp_path / "ring.json"))
    load_or_create(load_settings())
    (tmp_path / "ring.json").chmod(0o640)
    with pytest.raises(BadFile, match="mode 0640, so others can read the keys: chmod 600 it"):
        load_or_create(load_settings())


def test_a_ring_that_cannot_be_read_or_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="none"):
        load(tmp_path / "none")
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeUnusable, match=r"ring\.json"):
        load_or_create(load_settings(home=tmp_path / "home"))
