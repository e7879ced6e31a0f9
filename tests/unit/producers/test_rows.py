"""The kernel that reads rows, held against Python's own reading of numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.formats.data import open_data
from producers.formats.layouts import find_layout
from producers.formats.names import Hint
from producers.formats.text_rows import text_batches

EPOCH = datetime(1970, 1, 1)
DECIMALS = st.decimals("0.00001", "99999999", allow_nan=False, places=None).map(lambda d: f"{d:f}")
TEXTS = st.one_of(
    DECIMALS,
    st.floats(1e-6, 1e9, allow_nan=False).map(repr),
    st.integers(0, 10**16).map(str),
    st.sampled_from(["+1.5", ".5", "5.", "1e3", "1E-3", "0", "-0.0", "nan", "inf", "007.5"]),
)


def read(text: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # type: ignore[type-arg]
    layout = find_layout(Path("x.csv"), text.encode(), Hint(), None, "time,bid,ask")
    (batch,) = text_batches(Path("x.csv"), layout, text.encode(), iter([]))
    return batch.wall_ms, dict(batch.values)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_a_number_is_the_double_next_to_what_is_written(cells: list[str]) -> None:
    rows = "".join(f"2024-01-08 00:00:00;{cell};1.5\n" for cell in ["1.25", *cells])
    _, values = read(rows)
    expected = np.array([1.25, *map(float, cells)])
    got = values["bid"]
    # Noise behind the eighth decimal is taken off, no more than four steps of a double.
    with np.errstate(invalid="ignore"):
        close = np.abs(got - expected) <= 4 * np.spacing(np.abs(expected))
    assert np.all(close | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    short = [len(cell.replace(".", "").lstrip("+-0")) <= 15 and cell[-1:].isdigit() for cell in ["1.25", *cells]]
    assert got[short].tolist() == expected[short].tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=20))
def test_a_time_in_any_form_is_the_same_millisecond(moments: list[datetime]) -> None:
    moments = [datetime(2024, 1, 31), *moments]
    expected = [(moment - EPOCH) // timedelta(milliseconds=1) for moment in moments]
    forms = (
        "%Y-%m-%dT%H:%M:%S.%fZ", "%Y.%m.%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S.%f",
        "%Y%m%d %H:%M:%S.%f", "%Y-%m-%d %I:%M:%S.%f %p", "%Y-%m-%d %H:%M:%S.%f+00:00", "%Y/%m/%d %H:%M:%S.%f GMT",
    )  # fmt: skip
    for form in forms:
        times, _ = read("".join(f"{moment.strftime(form)};1.5;1.6\n" for moment in moments))
        assert times.tolist() == expected, form
    compact = "".join(f"{moment:%Y%m%d %H%M%S}{moment.microsecond // 1000:03d};1.5;1.6\n" for moment in moments)
    assert read(compact)[0].tolist() == expected


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-14 * 60, 14 * 60))
def test_an_offset_in_the_row_is_taken_off(minutes: int) -> None:
    sign, rest = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    wall = datetime(2024, 1, 8, 12) + timedelta(minutes=minutes)
    for zone in (f"{sign}{rest[0]:02d}:{rest[1]:02d}", f" GMT{sign}{rest[0]:02d}{rest[1]:02d}"):
        times, _ = read(f"{wall:%Y-%m-%d %H:%M:%S}{zone};1.5;1.6\n")
        assert datetime.fromtimestamp(times[0] / 1000, UTC) == datetime(2024, 1, 8, 12, tzinfo=UTC)


def test_a_text_cut_into_pieces_anywhere_is_read_the_same(tmp_path: Path) -> None:
    lines = ["time,bid,ask"] + [f"2024-01-08 00:00:{i % 60:02d}.{i % 1000:03d},{1 + i / 1e5:.5f},2" for i in range(60)]
    path = tmp_path / "EURUSD.csv"
    path.write_text("\n".join(lines).replace(",2", ",1.2"))

    def ticks() -> list[bytes]:
        return [column.tobytes() for block in open_data([path])[0].blocks() for column in (block.time_ms, block.bid)]

    from _pytest.monkeypatch import MonkeyPatch

    whole = ticks()
    for size in (64, 100, 1000):
        with MonkeyPatch.context() as patch:
            patch.setattr("producers.formats.text.CHUNK", size)
            assert ticks() == whole
