"""Whether each stage has what the stage before it has, each counted at its own place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from api.demo.counts import ListingCounts, LogCounts, by_reason
from api.demo.database import InDatabase
from api.demo.importing import Importing
from api.demo.topics import OnTopics
from streams.verify import Report


@dataclass(frozen=True, slots=True)
class Finding:
    """A stage: what it has, and where that differs from the stage before."""

    stage: str
    has: str
    problems: Sequence[str] = ()


def findings(importing: Importing, topics: OnTopics, database: InDatabase, report: Report) -> list[Finding]:
    """All stages in order. Topics, database and report are of the whole log, so other listings count too."""
    return [
        Finding("files", f"{len(importing.files)} files, {sum(f.rows for f in importing.files):,} rows"),
        _importer(importing),
        _ticks(importing, topics),
        _worker(importing, topics),
        _derived(topics),
        _database(topics, database),
        _verified(topics, report),
    ]


def _importer(importing: Importing) -> Finding:
    problems = []
    for file, result in zip(importing.files, importing.results, strict=True):
        ticks = sum(one.ticks for one in result.files)
        if ticks != file.rows:
            problems.append(f"{file.sample.path.name} of {result.listing} has {file.rows:,} rows, imported {ticks:,}")
    new = f"{importing.new:,} new" if importing.new else "nothing new"
    return Finding("importer", f"{importing.ticks:,} ticks, {new}{_refused(importing.reasons)}", problems)


def _ticks(importing: Importing, topics: OnTopics) -> Finding:
    problems = []
    for result in importing.results:
        counts = topics.counts.listings.get(result.listing, ListingCounts())
        if counts.ticks != result.n:
            problems.append(f"the importer left {result.n:,} ticks of {result.listing}, the topic has {counts.ticks:,}")
        if result.new == result.n and by_reason(counts.judged) != result.reasons:
            said, found = _refused(result.reasons), _refused(by_reason(counts.judged))
            problems.append(
                f"of {result.listing} the importer said{said or ' no refusal'}, the topic{found or ' none'}"
            )
    whole = topics.counts.total()
    has = f"{topics.blocks:,} records, {whole.ticks:,} ticks{_refused(by_reason(whole.judged))}"
    return Finding("ticks", has, problems)


def _worker(importing: Importing, topics: OnTopics) -> Finding:
    problems = []
    for result in importing.results:
        folding = topics.folding(result.listing)
        if not folding:
            problems.append(f"the worker has no operator on {result.listing}")
        for operator, fold in sorted(folding.items()):
            found = topics.outputs.get((operator, result.listing), 0)
            if fold.n != result.n:
                problems.append(
                    f"{operator} has folded {fold.n:,} ticks of {result.listing}, the topic has {result.n:,}"
                )
            if fold.sent != found:
                problems.append(
                    f"{operator} has sent {fold.sent:,} outputs for {result.listing}, the topics have {found:,}"
                )
    names = [result.listing for result in importing.results]
    bars, signals = (sum(topics.sent(topic, name) for name in names) for topic in ("bars", "signals"))
    folded = sum(map(topics.folded, names))
    return Finding("worker", f"{folded:,} ticks folded, {bars:,} bars and {signals:,} signals sent", problems)


def _derived(topics: OnTopics) -> Finding:
    whole = topics.counts.total()
    copies = f", {topics.copies:,} copies" if topics.copies else ""
    return Finding("bars, signals", f"{whole.bars:,} bars, {whole.signals:,} signals{copies}")


def _database(topics: OnTopics, database: InDatabase) -> Finding:
    problems = []
    for name in sorted({*topics.counts.listings, *database.counts.listings}):
        on_topic, there = _of(topics.counts, name), _of(database.counts, name)
        for what, one, other in (
            ("ticks", on_topic.ticks, there.ticks),
            ("refused ticks", on_topic.refused, there.refused),
            ("bars", on_topic.bars, there.bars),
            ("signals", on_topic.signals, there.signals),
        ):
            if one != other:
                problems.append(f"the topics have {one:,} {what} of {name}, the database {other:,}")
        if by_reason(on_topic.judged) != by_reason(there.judged):
            problems.append(f"of {name} the database has other reasons of refusal{_refused(by_reason(there.judged))}")
    whole = database.counts.total()
    has = f"{whole.ticks:,} ticks{_refused(by_reason(whole.judged))}, {whole.bars:,} bars, {whole.signals:,} signals"
    return Finding("database", has, problems)


def _verified(topics: OnTopics, report: Report) -> Finding:
    problems = [f"at {'/'.join(map(str, p.position))} {p.key}: {p.reason}" for p in report.problems[:5]]
    problems += [f"could not be checked: {what}" for what in report.unverifiable]
    whole = topics.counts.total()
    for what, one, other in (
        ("ticks", whole.ticks, report.ticks),
        ("refused ticks", whole.refused, report.refused),
        ("bars", whole.bars, report.bars),
        ("signals", whole.signals, report.signals),
    ):
        if one != other:
            problems.append(f"the topics have {one:,} {what}, verify {other:,}")
    has = (
        f"{report.ticks:,} ticks judged again ({report.refused:,} refused), {report.bars:,} bars and "
        f"{report.signals:,} signals derived again"
    )
    return Finding("verify", has, problems)


def _of(counts: LogCounts, name: str) -> ListingCounts:
    return counts.listings.get(name, ListingCounts())


def _refused(reasons: Counter[str]) -> str:
    """`, refused as crossed 3`, or nothing."""
    if not reasons:
        return ""
    return ", refused as " + " and ".join(f"{name} {count:,}" for name, count in sorted(reasons.items()))
