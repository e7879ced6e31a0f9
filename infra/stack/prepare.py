"""Set-up of what the stack needs and packages don't bring: ``python -P -m infra.stack.prepare``; repeated at once."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import MissingPart, TickledgerError, home_unusable
from infra.settings import Settings, load_settings
from infra.stack import aot
from infra.stack.broker import Broker
from infra.stack.jars import ensure_jars
from infra.stack.java import Java, find_java
from infra.stack.programs import find_programs

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Parts:
    """What a start needs: None where settings name a server that is there already."""

    java: Java | None
    jars: list[Path]
    aot_options: list[str]
    postgres: Path | None


def prepare(settings: Settings, progress: Progress = lambda _: None) -> Parts:
    """Fetch and check Kafka's jars, train Java's start-up cache, make PostgreSQL's programs reachable.

    Does only what isn't done yet; two at once wait for each other. Raises MissingPart, DownloadFailed, HomeUnusable.
    """
    embedded_kafka = not settings.kafka.bootstrap_servers
    embedded_postgres = not settings.postgres.dsn.get_secret_value()
    if not sys.platform.startswith("linux") and (embedded_kafka or embedded_postgres):
        raise MissingPart(
            f"the embedded broker and database run on Linux, this is {sys.platform}: set kafka.bootstrap_servers and "
            "postgres.dsn to servers that are there already"
        )
    programs = find_programs(settings, progress) if embedded_postgres else None
    if not embedded_kafka:
        return Parts(None, [], [], programs)
    java = find_java(settings)
    cache = settings.cache_dir
    with _alone(cache, progress):
        jars = ensure_jars(cache, settings.java.maven_repository, progress)
        pattern = Broker(java, jars, cache, cache, settings.kafka.heap_mb)
        options: list[str] = []
        if java.makes_aot_cache:
            path = aot.cache_path(jars[0].parent, pattern)
            untrainable = path.with_suffix(".failed")
            try:
                if not path.is_file() and not untrainable.exists() and not aot.train(path, pattern, progress):
                    untrainable.touch()
            except OSError as error:
                raise home_unusable(cache, error) from None
            options = aot.options(path)
    return Parts(java, jars, options, programs)


@contextmanager
def _alone(cache: Path, progress: Progress) -> Iterator[None]:
    """One set-up at a time for a cache."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        fd = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if cache.is_dir() and error.errno in (errno.EACCES, errno.EROFS):
            yield  # somebody else's cache: it is complete, or what is missing will say that it can't be written
            return
        raise home_unusable(cache, error) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another set-up that uses {cache}")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def main() -> int:
    """Exit code 0 when all is there, 2 with the reason on stderr."""
    try:
        parts = prepare(load_settings(), lambda line: print(line, file=sys.stderr, flush=True))
    except TickledgerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if parts.java is not None:
        cached = "with" if parts.aot_options else "without"
        print(f"Kafka: {len(parts.jars)} jars, Java {parts.java.release} {cached} start-up cache", file=sys.stderr)
    if parts.postgres is not None:
        print(f"PostgreSQL: {parts.postgres}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
