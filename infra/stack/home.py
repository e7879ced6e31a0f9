"""The home: one folder with everything that one installation stores, and who may use it now.

tickledger.toml    settings (optional)
keys/              key ring, 0600
kafka/             the broker's log: the truth
postgres/          the database: rebuilt from the log
log/               one file a service
run/               locks, records of running services, their addresses
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infra.errors import HomeUnusable, home_unusable
from infra.unreadable import unreadable

LEAST_FREE_BYTES = 256 * 1024 * 1024


class Home:
    """Paths inside a home; nothing is created until ``create``."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.keys = self.root / "keys"
        self.kafka = self.root / "kafka"
        self.postgres = self.root / "postgres"
        self.log = self.root / "log"
        self.run = self.root / "run"

    def create(self) -> None:
        """Make the folders that are missing, readable by their owner only, and see that they can be written.

        Modes of what is there already are left alone. Raises HomeUnusable.
        """
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self.keys, self.kafka, self.postgres, self.log, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as probe:
                    probe.write(bytes(4096))
        except OSError as error:
            raise home_unusable(self.root, error) from None
        free = shutil.disk_usage(self.root).free
        if free < LEAST_FREE_BYTES:
            raise HomeUnusable(
                f"the disk of {self.root} has {free >> 20} MiB left, the services need {LEAST_FREE_BYTES >> 20} MiB: "
                "free some space, or choose another home with TICKLEDGER_HOME or --home"
            )

    def log_file(self, service: str) -> Path:
        return self.log / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        """Written by the supervisor: which process runs the service."""
        return self.run / f"{service}.pid"

    def ready_file(self, service: str) -> Path:
        """Written by who knows whether the service is ready: itself, or the stack for broker and database."""
        return self.run / f"{service}.json"


class Lock:
    """An advisory lock of the system on a file: it ends with the last process that has it, however that ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Whether it was taken. Raises HomeUnusable if the file cannot be written."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise home_unusable(self.path, error) from None
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(fd, how)
        except BlockingIOError:
            os.close(fd)
            return False
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    @property
    def fd(self) -> int:
        """For a child that is to hold the lock too."""
        if self._fd is None:
            raise ValueError(f"the lock {self.path} is not held")
        return self._fd

    def release(self) -> None:
        """Give this process's hold up."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def free(self) -> bool:
        """Whether nobody holds it now. Raises SettingsError where this user may not look, HomeUnusable."""
        try:
            if not self.path.exists():
                return True
        except OSError as error:
            raise unreadable(self.path, error) from None
        probe = Lock(self.path)
        if not probe.take():
            return False
        probe.release()
        return True

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits for it."""
        self.take(wait=True)
        try:
            yield
        finally:
            self.release()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace ``path`` as a whole, 0600. Raises HomeUnusable."""
    write_private(path, json.dumps(value, ensure_ascii=False).encode() + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """Replace ``path`` as a whole, on disk before it has its name, readable by its owner only. Raises HomeUnusable."""
    temporary: str | None = None
    try:
        fd, temporary = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        raise home_unusable(path, error) from None


def read_json(path: Path) -> dict[str, Any] | None:
    """What ``write_json`` wrote; None if there is nothing, or nothing of that form. Raises SettingsError where this
    user may not look."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except PermissionError as error:
        raise unreadable(path, error) from None
    return value if isinstance(value, dict) else None
