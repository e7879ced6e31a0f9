"""LEAN quote files: what is read, what is kept of a damaged one, and what each bad file is told."""

from __future__ import annotations

import math
import os
import struct
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import BadFile
from producers import unzip
from producers.clocks import parse_zone
from producers.lean import _parse, _read_row, read_quotes
from producers.sample import SAMPLE_DAY

NOW_US = 1_790_000_000_000_000
MIDNIGHT_MS = int(datetime(2014, 5, 6, tzinfo=UTC).timestamp() * 1000)
ROWS = b"158,1.38742,1.38755\n1405.9,1.38743,1.38754\n1506,1.38742,1.38753\n"


def csv_file(folder: Path, data: bytes, name: str = "20140506_quote.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def zip_file(folder: Path, data: bytes, name: str = "20140506_quote.zip", member: str = "20140506_eurusd.csv") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
    return path


def read(path: Path, tz: str = "UTC", now_us: int = NOW_US):  # type: ignore[no-untyped-def]
    return read_quotes(path, parse_zone(tz), now_us)


def test_a_zip_and_its_csv_are_read_alike(tmp_path: Path) -> None:
    plain, packed = read(csv_file(tmp_path, ROWS)), read(zip_file(tmp_path, ROWS))
    for quotes in (plain, packed):
        assert quotes.day == date(2014, 5, 6)
        assert quotes.time_ms.tolist() == [MIDNIGHT_MS + ms for ms in (158, 1405, 1506)]
        assert quotes.bid.tolist() == [1.38742, 1.38743, 1.38742]
        assert quotes.ask.tolist() == [1.38755, 1.38754, 1.38753]
        assert quotes.starts_ms == MIDNIGHT_MS + 158
        assert quotes.damage is None
    assert plain.sha256 == packed.sha256


def test_times_are_on_the_clock_that_is_named(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROWS)
    assert (read(path, "UTC-05").time_ms - read(path).time_ms).tolist() == [5 * 3_600_000] * 3
    assert (read(path, "America/New_York").time_ms - read(path).time_ms).tolist() == [4 * 3_600_000] * 3


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n \n"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_line_ends_of_any_kind_are_taken(tmp_path: Path, line_end: bytes, end: bytes) -> None:
    data = b"\xef\xbb\xbf" + ROWS.strip().replace(b"\n", line_end) + end
    quotes = read(csv_file(tmp_path, data))
    assert quotes.ticks == 3
    assert quotes.damage is None


def test_sizes_of_a_crypto_file_are_left_out(tmp_path: Path) -> None:
    quotes = read(csv_file(tmp_path, b"86400,232.40,20392.0,232.42,8059.5\n86401,1,2,3,4\n"))
    assert quotes.bid.tolist() == [232.4, 1]
    assert quotes.ask.tolist() == [232.42, 3]
    assert quotes.damage is None


def test_whatever_is_a_number_is_kept_for_the_judge(tmp_path: Path) -> None:
    quotes = read(csv_file(tmp_path, b"5,nan,Inf\n4,0,-1.5\n4,-Infinity,NAN\n3,+1e-3, 2.\n3,.5 ,1E2\n"))
    assert quotes.time_ms.tolist() == [MIDNIGHT_MS + ms for ms in (5, 4, 4, 3, 3)]
    assert quotes.bid.tolist()[1:] == [0, -math.inf, 0.001, 0.5]
    assert quotes.ask.tolist()[:2] == [math.inf, -1.5]
    assert math.isnan(quotes.bid[0])
    assert math.isnan(quotes.ask[2])
    assert quotes.ask.tolist()[3:] == [2, 100]
    assert quotes.damage is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1600,1.3", r"2 columns instead of 3 \(ms,bid,ask\)"),
        (b"1600,1.3,1.4,9", r"4 columns instead of 3 \(ms,bid,ask\)"),
        (b"1600,1.3,", "ask is empty"),
        (b"1600,abc,1.4", "bid 'abc' is not a number"),
        (b'1600,"1.3",1.4', "bid '\"1.3\"' is not a number"),
        (b"1600,1_3,1.4", "bid '1_3' is not a number"),
        (b"1600,0x1,1.4", "bid '0x1' is not a number"),
        (b"1600,\xff\xfe,1.4", r"bid '\\xff\\xfe' is not a number"),
        (b"1600;1.3;1.4", r"1 columns instead of 3"),
        (b"86400000,1.3,1.4", r"ms 86400000 is outside the day \(0 to 86399999\)"),
        (b"-1,1.3,1.4", "ms -1 is outside the day"),
        (b"nan,1.3,1.4", "ms nan is outside the day"),
        (b"1399334400158,1.3,1.4", "ms 1399334400158 is outside the day"),
        (b"", "a blank line"),
        (b"\x00\x00\x00", "1 columns instead of 3"),
    ],
)
def test_a_damaged_row_gets_file_line_and_reason_and_what_was_before_it_is_whole(
    tmp_path: Path, row: bytes, reason: str
) -> None:
    path = zip_file(tmp_path, ROWS + row + b"\n1700,1.3,1.4\n")
    quotes = read(path)
    assert quotes.bid.tolist() == [1.38742, 1.38743, 1.38742]
    with pytest.raises(BadFile, match=f", line 4: {reason}.*; the 3 rows before it are whole") as raised:
        raise quotes.damage
    assert str(raised.value).startswith(str(path))


def test_a_file_that_is_cut_in_the_middle_of_its_last_row(tmp_path: Path) -> None:
    quotes = read(csv_file(tmp_path, ROWS + b"1600,1.38"))
    assert quotes.ticks == 3
    assert "line 4: 2 columns instead of 3" in str(quotes.damage)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty: no row in it"),
        (b"\n\n", "is empty: no row in it"),
        (b"time,bid,ask\n" + ROWS, "line 1: ms 'time' is not a number; no row before it is whole"),
        (b"1,1,1,1,1,1,1,1,1,1,1\n", r"line 1: 11 columns instead of 3 \(ms,bid,ask\) or 5 \(ms,bid,bidsize,ask"),
    ],
)
def test_a_file_without_a_whole_row_still_has_its_place_in_time(tmp_path: Path, data: bytes, reason: str) -> None:
    quotes = read(zip_file(tmp_path, data), "UTC-05")
    assert quotes.ticks == 0
    assert quotes.starts_ms == MIDNIGHT_MS + 5 * 3_600_000
    with pytest.raises(BadFile, match=reason):
        raise quotes.damage


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("quotes.csv", "its name doesn't start with a day"),
        ("20141306_quote.csv", "its name doesn't start with a day"),
        ("201405061_quote.csv", "its name doesn't start with a day"),
        ("19691231_quote.csv", "1969-12-31 is before 1970"),
        ("20360101_quote.csv", r"2036-01-01 is still to come \(it is 2026-09-21\)"),
        ("20140506_trade.csv", "holds LEAN's trade data"),
    ],
)
def test_a_name_that_says_nothing_right_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(BadFile, match=reason) as refused:
        read(csv_file(tmp_path, ROWS, name))
    assert refused.value.exit_code == 1
    assert name in str(refused.value)


def test_today_is_the_day_on_the_files_clock(tmp_path: Path) -> None:
    path = csv_file(tmp_path, ROWS)
    late_before = (MIDNIGHT_MS - 3_600_000) * 1000
    with pytest.raises(BadFile, match="is still to come"):
        read(path, "UTC", late_before)
    assert read(path, "+3", late_before).ticks == 3


def test_a_zip_whose_member_is_of_another_day_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"is named 20140506, but 20140507_eurusd.csv in it is of 20140507"):
        read(zip_file(tmp_path, ROWS, member="20140507_eurusd.csv"))


def test_what_is_named_zip_and_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"is named .zip but is none"):
        read(csv_file(tmp_path, ROWS, "20140506_quote.zip"))


def test_a_cut_zip_is_refused(tmp_path: Path) -> None:
    path = zip_file(tmp_path, ROWS)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BadFile, match=r"the zip is damaged .* get the file once more"):
        read(path)


def test_nothing_is_taken_from_a_zip_with_a_changed_byte(tmp_path: Path) -> None:
    path = zip_file(tmp_path, ROWS * 100)
    whole = path.read_bytes()
    body = 30 + len("20140506_eurusd.csv")
    for at in range(body, body + 40, 4):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(BadFile, match="the zip is damaged"):
            read(path)


def test_several_members_none_and_a_password_are_refused(tmp_path: Path) -> None:
    several = zip_file(tmp_path, ROWS)
    with zipfile.ZipFile(several, "a") as archive:
        archive.writestr("20140507.csv", ROWS)
    with pytest.raises(BadFile, match=r"has 2 members \(20140506_eurusd.csv, 20140507.csv …\) instead of one"):
        read(several)
    with zipfile.ZipFile(tmp_path / "20140508.zip", "w"):
        pass
    with pytest.raises(BadFile, match="the zip is empty"):
        read(tmp_path / "20140508.zip")
    locked = zip_file(tmp_path, ROWS, "20140507.zip", "x.csv")
    data = bytearray(locked.read_bytes())
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + at] |= 1
    locked.write_bytes(data)
    with pytest.raises(BadFile, match="locked with a password"):
        read(locked)


def test_a_packing_that_is_unknown_is_refused(tmp_path: Path) -> None:
    path = zip_file(tmp_path, ROWS)
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(magic) + at] = 97
    path.write_bytes(data)
    with pytest.raises(BadFile, match="pack it again with deflate"):
        read(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "20140506.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.csv", "w") as member:
        for _ in range(40):
            member.write(bytes(2**20))
    with pytest.raises(BadFile, match=r"would unpack to 41943040 bytes, .* a zip bomb"):
        read(path)


def test_a_zip_that_declares_more_than_is_allowed_is_refused(tmp_path: Path) -> None:
    path = zip_file(tmp_path, ROWS)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 2**31)
    path.write_bytes(data)
    with pytest.raises(BadFile, match="would unpack to 2147483648 bytes, more than the 536870912 allowed"):
        read(path)


def test_a_zip_that_declares_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = zip_file(tmp_path, ROWS * 1000)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 100)
    path.write_bytes(data)
    with pytest.raises(BadFile, match="the zip is damaged"):
        read(path)


def test_a_text_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unzip, "MAX_BYTES", 10)
    with pytest.raises(BadFile, match="bytes are more than the 10 allowed"):
        read(csv_file(tmp_path, ROWS))


def test_what_is_no_readable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "20140506").mkdir()
    with pytest.raises(BadFile, match=r"is a folder: name the files in it"):
        read(tmp_path / "20140506")
    with pytest.raises(BadFile, match=r"20140507.zip: can't be read: No such file"):
        read(tmp_path / "20140507.zip")
    os.mkfifo(tmp_path / "20140508.csv")
    with pytest.raises(BadFile, match="is not a regular file"):
        read(tmp_path / "20140508.csv")
    path = csv_file(tmp_path, ROWS)

    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(BadFile, match="can't be read: Permission denied"):
        read(path)


NUMBERS = st.one_of(
    st.floats(min_value=0, max_value=86_399_999).map(repr),
    st.sampled_from(
        ["1.", ".5", "+1", "1e3", "nan", "-inf", "INF", "Infinity", "-0", " 1", "1 ", "", "x", "1_0", "0x1"]
    ),
    st.text("0123456789.+-eEinfa _", max_size=6),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_what_the_fast_parser_takes_is_what_the_grammar_takes(rows: list[tuple[str, str, str]]) -> None:
    body = "\n".join(",".join(row) for row in rows).encode()
    fast = _parse(body, 3)
    slow = [_read_row(line, 3) for line in body.split(b"\n")]
    if fast is not None:
        assert [reason for reason, _ in slow] == [None] * len(rows)
        np.testing.assert_array_equal(np.column_stack(fast), np.array([values for _, values in slow]))


def test_the_sample_day_is_read_bit_for_bit() -> None:
    for sample in SAMPLE_DAY:
        quotes = read(sample.path, sample.tz)
        with zipfile.ZipFile(sample.path) as archive:
            lines = archive.read(archive.namelist()[0]).decode().splitlines()
        assert quotes.ticks == sample.ticks
        assert quotes.bid.tolist() == [float(line.split(",")[1]) for line in lines]
        assert quotes.ask.tolist() == [float(line.split(",")[2]) for line in lines]
        shift = (0 if sample.tz == "UTC" else 5 * 3_600_000) + MIDNIGHT_MS
        assert quotes.time_ms.tolist() == [int(float(line.split(",")[0])) + shift for line in lines]
