"""Answers of a real database, against what was written and against a slow computation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import uuid4

import numpy as np
import polars as pl
import pytest

from projections import tick_answers
from projections.audit import UnknownRecord, trail
from projections.database import Connection
from projections.listings import Known, UnknownSymbol, known_listings, resolve
from projections.query import answer
from projections.question import Question
from schemas.catalogue import partition_of
from schemas.quality import Quality
from schemas.timeframes import Timeframe
from tests.conftest import TestStack
from tests.integration.projections.conftest import new_database, projecting
from tests.integration.projections.scripted import START_MS, Feed, Log, bar, signal, value_of

pytestmark = pytest.mark.stack

Ask = Callable[[Question], pl.DataFrame]


@pytest.fixture(scope="module")
def dsn(own_stack: TestStack) -> Iterator[str]:
    """One database for all of these tests."""
    with new_database(own_stack) as found:
        yield found


@pytest.fixture(scope="module")
def project(own_stack: TestStack, dsn: str) -> Callable[[], None]:
    return projecting(own_stack, dsn)


@pytest.fixture
def asked(session: Connection) -> Ask:
    def ask(question: Question) -> pl.DataFrame:
        found = answer(session, question)
        frames = list(found.frames)
        names = [column.name for column in found.columns]
        return pl.concat(frames) if frames else pl.DataFrame({name: [] for name in names})

    return ask


def of(session: Connection, listing: str) -> tuple[Known, ...]:
    return (resolve(listing, known_listings(session)),)


class Written(NamedTuple):
    """A listing and its ticks as they were written: n, time in milliseconds, code of the quality."""

    listing: str
    ticks: pl.DataFrame


@pytest.fixture(scope="module")
def broken(log: Log, project: Callable[[], None]) -> Written:
    """A log of 3,000 ticks of which some claim times far off, in blocks of 100."""
    rng = np.random.default_rng(7)
    feed = Feed(log, f"test/B{uuid4().hex[:8]}")
    feed.open()
    written = []
    for _ in range(30):
        n = np.arange(feed.n, feed.n + 100)
        times, quality = START_MS + n * 1000, np.zeros(100, np.int32)
        odd = rng.random(100) < 0.05
        quality[odd] = int(Quality.BACKWARDS)
        times[odd] = START_MS + rng.integers(-3_000_000, 3_000_000, odd.sum())
        far = rng.random(100) < 0.02
        quality[far] = int(Quality.FUTURE | Quality.CROSSED)
        times[far] = rng.choice([2**62, -(2**62), 7_000_000_000_000], far.sum())
        quality[~odd & ~far & (rng.random(100) < 0.1)] = int(Quality.SPIKE)
        feed.write(100, time_ms=times, quality=quality)
        written.append(pl.DataFrame({"n": n, "time": times, "code": quality}))
    project()
    return Written(feed.listing, pl.concat(written))


def test_ticks_come_in_the_order_of_the_log_with_exact_times(session: Connection, asked: Ask, broken: Written) -> None:
    found = asked(Question("ticks", of(session, broken.listing)))

    assert found["n"].to_list() == list(range(3000))
    assert found["time"].to_list() == broken.ticks["time"].to_list()
    assert found["listing"].unique().to_list() == [broken.listing]
    assert set(found["quality"]) == {"", "backwards", "crossed|future", "spike"}
    assert found["last"].null_count() == 3000


@pytest.mark.parametrize("span", [(0, 1000), (500_000, 1_500_000), (2_999_000, None), (None, 1), (-9_000_000, 0)])
@pytest.mark.parametrize("good", [True, False])
def test_a_range_of_time_has_every_tick_in_it_wherever_it_lies_in_the_log(
    session: Connection,
    asked: Ask,
    broken: Written,
    span: tuple[int | None, int | None],
    good: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tick_answers, "ROW_GROUP", 256)
    low, high = (None if edge is None else START_MS + edge for edge in span)
    found = asked(Question("ticks", of(session, broken.listing), from_ms=low, to_ms=high, good=good))
    slow = broken.ticks.filter(
        (pl.lit(low is None) | (pl.col("time") >= (low or 0)))
        & (pl.lit(high is None) | (pl.col("time") < (high or 0)))
        & (pl.lit(not good) | (pl.col("code") == 0))
    )

    assert found["n"].to_list() == slow["n"].to_list()
    assert found["time"].to_list() == slow["time"].to_list()


def test_a_limit_takes_the_first_and_a_tail_the_last(
    session: Connection, asked: Ask, broken: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_answers, "ROW_GROUP", 256)
    these = of(session, broken.listing)

    assert asked(Question("ticks", these, limit=300))["n"].to_list() == list(range(300))
    assert asked(Question("ticks", these, limit=300, tail=True))["n"].to_list() == list(range(2700, 3000))
    good = broken.ticks.filter(pl.col("code") == 0)["n"].to_list()
    assert asked(Question("ticks", these, limit=10, tail=True, good=True))["n"].to_list() == good[-10:]
    assert len(asked(Question("ticks", these, limit=0))) == 0


def bars_of(log: Log, listing: str, *, operator: str = "bars@1", first: int = 0, count: int = 6) -> None:
    """M1 bars, and an M5 one with each fifth."""
    number = 0
    for minute in range(first, first + count):
        frames = [Timeframe.M1, Timeframe.M5] if minute % 5 == 4 else [Timeframe.M1]
        for timeframe in frames:
            opening = START_MS + (minute if timeframe is Timeframe.M1 else minute - 4) * 60_000
            record = bar(
                listing, number, operator=operator, timeframe=timeframe, time_ms=opening, volume=float(operator[-1])
            )
            log.send("bars", listing, value_of(record))
            number += 1


def test_bars_ascend_by_time_then_timeframe(
    session: Connection, asked: Ask, log: Log, listing: str, project: Callable[[], None]
) -> None:
    bars_of(log, listing)
    project()
    found = asked(Question("bars", of(session, listing)))
    minutes = ((found["time"] - START_MS) // 60_000).to_list()

    assert list(zip(found["timeframe"], minutes, strict=True)) == [
        ("M1", 0),
        ("M5", 0),
        *(("M1", n) for n in range(1, 6)),
    ]
    only = asked(Question("bars", of(session, listing), timeframe=Timeframe.M1, from_ms=START_MS + 60_000, limit=2))
    assert ((only["time"] - START_MS) // 60_000).to_list() == [1, 2]
    last = asked(Question("bars", of(session, listing), limit=2, tail=True))
    assert ((last["time"] - START_MS) // 60_000).to_list() == [4, 5]
    assert last["spread_mean"].to_list() == [10.5, 10.5]
    assert found["complete"].to_list()[0] is False


def test_of_several_activations_the_bars_of_the_one_in_force_are_shown(
    session: Connection, asked: Ask, log: Log, listing: str, project: Callable[[], None]
) -> None:
    bars_of(log, listing, operator="bars@1", count=10)
    bars_of(log, listing, operator="bars@5", first=7, count=5)
    bars_of(log, listing, operator="bars@9", first=10, count=3)
    project()
    found = asked(Question("bars", of(session, listing), timeframe=Timeframe.M1))

    assert found["volume"].to_list() == [1.0] * 7 + [5.0] * 3 + [9.0] * 3
    assert ((found["time"] - START_MS) // 60_000).to_list() == list(range(13))


def test_signals_have_the_id_that_the_audit_takes(
    session: Connection, asked: Ask, log: Log, listing: str, project: Callable[[], None]
) -> None:
    feed = Feed(log, listing)
    feed.open()
    feed.write(12)
    second = feed.write(30)
    for number in range(3):
        log.send("signals", listing, value_of(signal(listing, number)))
    project()
    found = asked(Question("signals", of(session, listing)))

    assert found["id"].to_list() == [f"berserker@2/{listing}/{n}" for n in range(3)]
    assert found["target_distance"].to_list() == [None] * 3

    walk = trail(session, found["id"][1])
    assert walk.ticks["n"].to_list() == list(range(10, 20))
    assert walk.ticks["offset"].to_list() == [second - 1] * 2 + [second] * 8
    assert walk.ticks["place"].to_list() == [10, 11, *range(8)]
    assert walk.ticks["partition"].unique().to_list() == [partition_of("ticks", listing)]
    assert walk.ticks["block_mac"][-1] == feed.mac.hex()
    assert walk.signal["stop_distance"] == 0.001
    assert walk.activation is None


@pytest.mark.parametrize(
    ("made", "said"),
    [("berserker@2/{}/99", "has none"), ("nothing", "not of the form")],
)
def test_an_unknown_signal_says_what_there_is(session: Connection, broken: Written, made: str, said: str) -> None:
    with pytest.raises(UnknownRecord, match=said):
        trail(session, made.format(broken.listing))


def test_a_symbol_is_looked_for_among_what_the_log_has(session: Connection, broken: Written) -> None:
    assert of(session, broken.listing.partition("/")[2])[0].name == broken.listing
    with pytest.raises(UnknownSymbol, match=broken.listing):
        of(session, broken.listing + "x")


@pytest.mark.parametrize("what", ["ticks", "bars", "signals", "alerts", "sources", "reference"])
def test_nothing_in_the_range_is_an_empty_answer(session: Connection, asked: Ask, broken: Written, what: str) -> None:
    these = of(session, broken.listing)

    assert len(asked(Question(what, these, from_ms=1000, to_ms=2000))) == 0
    assert len(asked(Question(what, these, from_ms=1000, to_ms=2000, limit=5, tail=True))) == 0
