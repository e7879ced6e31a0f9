"""One exception tree: a class a cause, a message that names the thing, its value and the way out.

The command prints ``error: <message>`` and leaves with ``exit_code``: 1 when the answer is no (a difference, a refused
file), 2 when it could not run.
"""

from __future__ import annotations

import errno
from pathlib import Path


class TickledgerError(Exception):
    """Base of every error that a user is meant to read."""

    exit_code = 2

    @property
    def final(self) -> bool:
        """Whether trying again can't help, and may lock an account: somebody has to change something first."""
        return False


class Refused(TickledgerError):
    """What was asked is understood and the answer is no; nothing was changed."""

    exit_code = 1
    final = True


class BadFile(TickledgerError):
    """A file that cannot be read as what it claims to be; the message has file, line and reason."""

    exit_code = 1
    final = True


class FileUnreadable(BadFile):
    """A file that isn't there or may not be opened: nothing can be said of what it holds."""

    exit_code = 2


class SettingsError(TickledgerError):
    """A setting that is unknown, out of range or contradicts another one."""

    final = True


class HomeUnusable(TickledgerError):
    """The home cannot be created, read or written: a read-only or full disk, a missing right."""


class CannotWrite(TickledgerError):
    """A file asked for as output cannot be written; nothing of it is left behind."""


class HomeBusy(TickledgerError):
    """Another process runs the services of this home."""


class PortTaken(TickledgerError):
    """A port asked for by settings is held by another program."""


class MissingPart(TickledgerError):
    """A part that set-up brings (Java, Kafka's jars, PostgreSQL's binaries) is not there or not what it should be."""


class DownloadFailed(MissingPart):
    """A part could not be fetched from its repository."""


class ServiceFailed(TickledgerError):
    """A service of the stack ended and starting it again did not help."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class NotReady(TickledgerError):
    """A service runs (or should) but did not answer in time."""


class Unreachable(TickledgerError):
    """A server named by settings does not answer."""


class PasswordRefused(TickledgerError):
    """The database does not take the password that belongs to it."""


def home_unusable(path: Path, error: OSError) -> HomeUnusable:
    """The reason behind ``error`` at ``path`` in words, with the way out."""
    way_out = "choose another home with TICKLEDGER_HOME or --home"
    reasons = {
        errno.ENOSPC: f"the disk is full: free some space, or {way_out}",
        errno.EDQUOT: f"the disk quota is used up: free some space, or {way_out}",
        errno.EROFS: f"the file system is read-only: {way_out}",
        errno.EACCES: f"permission denied: {way_out}, or give this user the right to write there",
        errno.EPERM: f"the system does not permit it: {way_out}",
        errno.ENOTDIR: f"a part of this path is a file, not a folder: {way_out}",
        errno.EEXIST: f"a file of this name is in the way: move it, or {way_out}",
        errno.ENAMETOOLONG: f"the name is too long: {way_out}",
    }
    reason = reasons.get(error.errno or 0, f"{error.strerror or error}: {way_out}")
    return HomeUnusable(f"cannot use {path}: {reason}")
