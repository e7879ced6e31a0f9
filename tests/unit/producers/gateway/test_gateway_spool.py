"""The spool: what went to the terminal before the log could have it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from infra.errors import HomeUnusable
from producers.gateway.spool import Intention, Spool
from schemas.executions import OrderRequest

FIRST = Intention(7, OrderRequest.PLACE, 1, 1_000)
SECOND = Intention(0, OrderRequest.CANCEL, 0, 2_000)


def test_what_was_appended_is_there_after_a_restart_and_gone_once_cleared(tmp_path: Path) -> None:
    path = tmp_path / "gateway" / "a.spool"
    assert Spool(path).intentions() == []
    Spool(path).append(FIRST)
    Spool(path).append(SECOND)
    assert Spool(path).intentions() == [FIRST, SECOND]
    Spool(path).clear()
    assert Spool(path).intentions() == []
    Spool(path).clear()


def test_who_flattened_and_why_is_kept_and_an_older_line_has_neither(tmp_path: Path) -> None:
    told = Intention(0, OrderRequest.PLACE, 0, 3_000, "ada", "two\nlines, and ü")
    spool = Spool(tmp_path / "a.spool")
    older = b'[0, "PLACE", 0, 2000]'
    spool.path.write_bytes(b"\n%08x %b\n" % (zlib.crc32(older), older))
    spool.append(told)
    assert spool.intentions() == [Intention(0, OrderRequest.PLACE, 0, 2_000), told]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_torn_line_costs_nothing_but_itself(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path / "a.spool")
    spool.append(FIRST)
    spool.append(SECOND)
    spool.path.write_bytes(spool.path.read_bytes()[:-cut])
    spool.append(SECOND)
    assert spool.intentions()[0] == FIRST
    assert spool.intentions()[-1] == SECOND


def test_a_changed_line_is_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.spool")
    spool.append(FIRST)
    spool.path.write_bytes(spool.path.read_bytes().replace(b"[7,", b"[8,"))
    assert spool.intentions() == []


def test_a_place_that_cant_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "gateway").write_text("a file")
    spool = Spool(tmp_path / "gateway" / "a.spool")
    with pytest.raises(HomeUnusable):
        spool.append(FIRST)
    with pytest.raises(HomeUnusable):
        spool.intentions()
