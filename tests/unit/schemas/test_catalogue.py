"""The topics and where keys lie on them: frozen, since records are where they are."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as aiokafkas_murmur2
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import ACCOUNT_TOPICS, MAX_BLOCK_TICKS, MAX_VALUE_BYTES, TOPICS, murmur2, partition_of
from schemas.ticks import TickBlock, encode_block
from tests.records import ticks

PARTITIONS = {
    "reference": 1,
    "ticks": 32,
    "bars": 32,
    "signals": 32,
    "sources": 4,
    "alerts": 4,
    "anchors": 1,
    "snapshots": 32,
    "journal": 64,
    "executions": 64,
    "commands": 64,
    "orders": 64,
    "fills": 64,
    "risk": 64,
    "portfolio": 64,
}


def test_partition_counts_never_change() -> None:
    assert {t.name: t.partitions for t in TOPICS.values()} == PARTITIONS


@pytest.mark.parametrize(
    ("topic", "key", "partition"),
    [
        ("ticks", "oanda/EURUSD", 5),
        ("ticks", "fxcm/EURUSD", 7),
        ("bars", "oanda/EURUSD", 5),
        ("snapshots", "fxcm/EURUSD", 7),
        ("sources", "oanda", 2),
        ("alerts", "worker", 2),
        ("reference", "anything", 0),
        ("anchors", "ticks/oanda/EURUSD", 0),
    ],
)
def test_keys_never_move(topic: str, key: str, partition: int) -> None:
    assert partition_of(topic, key) == partition
    assert partition_of(topic, key.encode()) == partition


@given(st.binary(max_size=40))
def test_murmur2_is_kafkas(data: bytes) -> None:
    assert murmur2(data) == aiokafkas_murmur2(data) & 0xFFFFFFFF


@given(st.text(max_size=20), st.sampled_from(sorted(TOPICS.keys() - ACCOUNT_TOPICS)))
def test_a_key_lies_on_a_partition_that_is_there(key: str, topic: str) -> None:
    assert 0 <= partition_of(topic, key) < TOPICS[topic].partitions


@given(st.text(max_size=20))
def test_what_is_made_of_a_listing_lies_on_the_partition_of_its_ticks(listing: str) -> None:
    assert len({partition_of(topic, listing) for topic in ("ticks", "bars", "signals", "snapshots")}) == 1


def test_only_witnesses_and_caches_are_compacted_and_nothing_else_is_ever_deleted() -> None:
    for topic in TOPICS.values():
        settings = topic.settings()
        if topic.kind in ("witness", "cache"):
            assert settings["cleanup.policy"] == "compact"
        else:
            assert settings["cleanup.policy"] == "delete"
            assert settings["retention.ms"] == settings["retention.bytes"] == "-1"


def test_the_broker_takes_what_a_reader_takes_and_a_whole_block_is_far_below() -> None:
    assert all(int(t.settings()["max.message.bytes"]) > MAX_VALUE_BYTES for t in TOPICS.values())
    block: TickBlock = ticks(MAX_BLOCK_TICKS, deals=True)
    assert len(encode_block(block)) < 180_000 < MAX_VALUE_BYTES


def test_every_topic_says_what_it_is_for() -> None:
    for topic in TOPICS.values():
        assert topic.doc.endswith(".")
        assert topic.writer
        assert topic.key
        assert topic.records
