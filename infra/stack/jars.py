"""Kafka's jars: fetched by Maven coordinates through jgo, exactly those of kafka.lock, each checked by SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from infra.errors import DownloadFailed, MissingPart, home_unusable

LOCK_FILE = Path(__file__).with_name("kafka.lock")
Progress = Callable[[str], None]


class Jar(NamedTuple):
    """One line of the lock file."""

    sha256: str
    size: int
    group: str
    artifact: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def locked_jars(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """The jars of the lock file, by name: the order of the class path."""
    jars = []
    for line in lock_file.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, size, coordinates = line.split()
            jars.append(Jar(digest, int(size), *coordinates.split(":")))
    return sorted(jars, key=lambda jar: jar.name)


def lock_digest(lock_file: Path = LOCK_FILE) -> str:
    """Short name of this set of jars."""
    return hashlib.sha256(lock_file.read_bytes()).hexdigest()[:16]


def ensure_jars(
    cache: Path, repository: str, progress: Progress = lambda _: None, lock_file: Path = LOCK_FILE
) -> list[Path]:
    """The jars in ``cache``, fetched from ``repository`` where they are missing or damaged; in class path order.

    A jar that has been checked once is checked again only when its size or time has changed. Raises DownloadFailed,
    MissingPart (a jar that is not what the lock file says), HomeUnusable (the cache cannot be written).
    """
    jars = locked_jars(lock_file)
    folder = cache / f"kafka-{lock_digest(lock_file)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        checked = _Checked(folder / "checked.json")
        missing = [jar for jar in jars if not checked.holds(folder / jar.name, jar)]
        if missing:
            _fetch(missing, folder, repository, progress)
            for jar in missing:
                checked.add(folder / jar.name, jar)
            checked.save()
    except OSError as error:
        raise home_unusable(folder, error) from None
    return [folder / jar.name for jar in jars]


def _fetch(jars: list[Jar], folder: Path, repository: str, progress: Progress) -> None:
    total = sum(jar.size for jar in jars)
    progress(f"Kafka: fetching {len(jars)} jars, {total / 1e6:.0f} MB, from {repository}")
    done = 0
    with (
        tempfile.TemporaryDirectory(prefix="fetch.", dir=folder) as scratch,
        ThreadPoolExecutor(max_workers=6, thread_name_prefix="jars") as pool,
    ):
        pending = {pool.submit(_fetch_one, jar, Path(scratch), folder, repository): jar for jar in jars}
        try:
            for future in as_completed(pending):
                future.result()
                before, done = done, done + pending[future].size
                if done * 5 // total != before * 5 // total:
                    progress(f"Kafka: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(jar: Jar, scratch: Path, folder: Path, repository: str) -> None:
    """Fetch to a scratch folder, check, and only then give the jar its place."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch, remote_repos={"repository": repository.rstrip("/")}, timeout=30)
    try:
        fetched = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except OSError as error:
        if getattr(error, "errno", None) and not _is_network(error):
            raise
        raise _download_failed(jar, repository, error) from None
    except (RuntimeError, ValueError) as error:
        raise _download_failed(jar, repository, error) from None
    found = sha256_of(fetched)
    if found != jar.sha256:
        raise MissingPart(
            f"{jar.coordinates} from {repository} has SHA-256 {found}, the lock file says {jar.sha256}: it was changed "
            "on the way or in the repository; nothing of it was kept. Set java.maven_repository to another mirror"
        )
    os.replace(fetched, folder / jar.name)


def _is_network(error: OSError) -> bool:
    import requests

    return isinstance(error, requests.RequestException)


def _download_failed(jar: Jar, repository: str, error: Exception) -> DownloadFailed:
    return DownloadFailed(
        f"cannot fetch {jar.coordinates} from {repository}: {error}. Check the network or proxy (HTTPS_PROXY), or set "
        "java.maven_repository to a mirror that this machine reaches; what was fetched already is kept"
    )


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Checked:
    """Which jars have been checked, by size and time of change, so that a start needn't read 43 MB again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, list[int | str]] = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            self._known = {}

    def holds(self, path: Path, jar: Jar) -> bool:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if self._known.get(jar.name) == [jar.sha256, stat.st_size, stat.st_mtime_ns]:
            return True
        if stat.st_size == jar.size and sha256_of(path) == jar.sha256:
            self.add(path, jar)
            self.save()
            return True
        return False

    def add(self, path: Path, jar: Jar) -> None:
        stat = path.stat()
        self._known[jar.name] = [jar.sha256, stat.st_size, stat.st_mtime_ns]

    def save(self) -> None:
        fd, temporary = tempfile.mkstemp(prefix="checked.", dir=self._path.parent)
        os.fchmod(fd, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(self._known, file)
        os.replace(temporary, self._path)
