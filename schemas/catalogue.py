"""The topics: the only place that knows names, keys, partition counts, retention and records.

Topics are created (or checked) from here, the docs' table is made from here, and every producer asks `partition_of`,
since the default partitioners of librdkafka (CRC32) and aiokafka (murmur2) differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

MAX_VALUE_BYTES: Final = 1_000_000
"""Longest value that a reader takes. A block of 4,096 ticks with all columns has under 180,000."""

MAX_BLOCK_TICKS: Final = 4_096
"""Most ticks that a writer puts into one block."""

Kind = Literal["root", "derived", "fact", "witness", "cache"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `records` are the schemas that lie on it; `partitions` is frozen once the log exists."""

    name: str
    key: str
    partitions: int
    kind: Kind
    records: tuple[str, ...]
    writer: str
    doc: str
    compacted: bool = False
    config: dict[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Kafka's topic settings: what is not compacted is kept for ever."""
        base = {"max.message.bytes": str(MAX_VALUE_BYTES + 10_000), "min.insync.replicas": "1"}
        if self.compacted:
            base |= {"cleanup.policy": "compact"}
        else:
            base |= {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
        return base | self.config


_COMPACT = {"segment.ms": "600000", "min.cleanable.dirty.ratio": "0.2", "segment.bytes": "67108864"}

_MARKET: Final[dict[str, Topic]] = {
    t.name: t
    for t in (
        Topic(
            "reference",
            "none",
            1,
            "root",
            (
                "ReferenceOpen",
                "ListingSpec",
                "OperatorActivation",
                "Repair",
                "AccountConfig",
                "StrategyConfig",
                "RiskLimits",
                "SessionTable",
            ),
            "any process that opens an epoch, writes, reads back and leaves",
            "What was configured, and which program ran, numbered.",
        ),
        Topic("ticks", "listing", 32, "root", ("TickBlock",), "recorder, importers", "What the market did."),
        Topic("bars", "listing", 32, "derived", ("Bar",), "worker", "Closed bars, M1 to D1."),
        Topic("signals", "listing", 32, "derived", ("Signal",), "worker", "What the strategies decided."),
        Topic("sources", "feed", 4, "fact", ("SourceEvent",), "recorder, importers", "What happened to the feeds."),
        Topic("alerts", "source", 4, "derived", ("Alert",), "all", "What somebody should look at."),
        Topic(
            "anchors",
            "chain",
            1,
            "witness",
            ("Anchor",),
            "worker, writers of roots",
            "The head of each chain, moved on every minute.",
            compacted=True,
            config=_COMPACT,
        ),
        Topic(
            "snapshots",
            "operator, listing, incarnation, part",
            32,
            "cache",
            ("Snapshot",),
            "worker",
            "States of operators, to start from.",
            compacted=True,
            config=_COMPACT,
        ),
    )
}

_ACCOUNT_PARTITIONS: Final = 64

_ACCOUNT: Final[tuple[tuple[str, Kind, tuple[str, ...], str, str], ...]] = (
    ("journal", "root", ("JournalEntry",), "sequencer", "What reached an account, in the one order."),
    (
        "executions",
        "fact",
        (
            "AccountOpen",
            "Sending",
            "Accepted",
            "Rejected",
            "PartiallyFilled",
            "Filled",
            "Canceled",
            "Expired",
            "Reconciled",
            "Adopted",
        ),
        "gateway",
        "What the venue did with orders.",
    ),
    ("commands", "fact", ("AccountOpen", "Command"), "command line, sequencer", "What people asked of an account."),
    (
        "orders",
        "derived",
        ("Denied", "Submitted", "ModifyRequested", "CancelRequested", "OrderChanged"),
        "desk",
        "Orders and their states.",
    ),
    ("fills", "derived", ("Fill",), "desk", "Deals matched to orders, signals and decision prices."),
    (
        "risk",
        "derived",
        ("RiskDecision", "LimitBreached", "TradingStateChanged"),
        "desk",
        "What was checked, and which limits were reached.",
    ),
    (
        "portfolio",
        "derived",
        ("PositionChanged", "EquityMarked", "PnlAttributed"),
        "desk",
        "Positions, equity, and what was earned by what.",
    ),
)

ACCOUNT_TOPICS: Final = {
    name: Topic(name, "account", _ACCOUNT_PARTITIONS, kind, records, writer, doc)
    for name, kind, records, writer, doc in _ACCOUNT
}
"""The topics of an account: all of its records on each lie on the partition that its AccountConfig names, under its
name as the key. A backtest keeps them as files beside its results."""

ACCOUNT_FACTS: Final = frozenset({"journal", "executions", "commands"})
"""Those whose records are links of a chain an account; the others are derived from the journal."""

TOPICS: Final[dict[str, Topic]] = _MARKET | ACCOUNT_TOPICS
"""All topics of a log."""


def partition_of(topic: str, key: str | bytes) -> int:
    """The partition of `key` on `topic`: Kafka's murmur2, as the Java client computes it.

    `snapshots` lie on the partition that their listing has on `ticks`: pass the listing as the key. Raises ValueError
    for a topic of accounts: an account's partition is said by its AccountConfig, and by nothing else.
    """
    if topic in ACCOUNT_TOPICS:
        raise ValueError(f"the partition of {key!r} on {topic} is the one that its AccountConfig names")
    count = TOPICS[topic].partitions
    if count == 1:
        return 0
    return (murmur2(key.encode() if isinstance(key, str) else key) & 0x7FFFFFFF) % count


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 with its seed 0x9747b28c (org.apache.kafka.common.utils.Utils.murmur2)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
