"""The embedded PostgreSQL: where its data lies, which user runs it, its commands, its password.

As root a server of its own user is started: ``initdb`` wants a user that the system knows (nobody), the server only
one that isn't root, so the data are handed to a number of their own that nothing else uses. Root's home stays closed:
the server starts in its data folder and calls it /proc/self/cwd.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.clock import Stopwatch
from infra.errors import HomeUnusable, PasswordRefused, ServiceFailed, home_unusable
from infra.stack.home import Home, write_private
from infra.stack.ports import ADDRESS, answers
from infra.stack.process import Identity, end_all

USER = "tickledger"
DATABASE = "tickledger"
NOBODY = 65534
UIDS = range(60706, 61184)  # below the range that systemd gives out

OPTIONS = {
    "listen_addresses": ADDRESS,
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "64MB",
    "io_method": "sync",
    "max_logical_replication_workers": "0",
    "max_wal_size": "2GB",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "datestyle": "ISO",
}

# As the data's user, because root without ptrace rights (in a container) may not read another user's /proc entries.
_FINDER = """\
import os, sys
uid, program = int(sys.argv[1]), os.stat(sys.argv[2])
data = os.stat(".")
if uid != os.geteuid():
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        try:
            cwd = os.stat(f"/proc/{name}/cwd")
            own = uid in range(60706, 61184) or os.path.samestat(os.stat(f"/proc/{name}/exe"), program)
        except OSError:
            continue
        if own and os.path.samestat(cwd, data):
            print(name)
"""


@dataclass(frozen=True)
class Server:
    """One cluster: ``programs`` has bin/postgres, ``uid`` is None when this user may run it itself."""

    programs: Path
    home: Home
    max_connections: int

    @property
    def data(self) -> Path:
        return self.home.postgres / "data"

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    @property
    def password_file(self) -> Path:
        return self.home.postgres / "password"

    @property
    def uid(self) -> int | None:
        """The user that owns the data, where that is not this user; only root can give data away."""
        if os.geteuid() != 0:
            return None
        return self.data.stat().st_uid

    @property
    def password(self) -> str:
        """Raises HomeUnusable."""
        try:
            return self.password_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            raise PasswordRefused(
                f"the database's password {self.password_file} is missing: put it back; or remove "
                f"{self.home.postgres}, and the database is built again from the log"
            ) from None
        except OSError as error:
            raise home_unusable(self.password_file, error) from None

    def dsn(self, port: int, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{self.password}@{ADDRESS}:{port}/{database}"

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    @property
    def _data_argument(self) -> str:
        return "/proc/self/cwd" if os.geteuid() == 0 else str(self.data)

    def command(self, port: int) -> list[str]:
        """Run it in ``data`` as ``uid``."""
        options = {**OPTIONS, "port": str(port), "max_connections": str(self.max_connections)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "bin" / "postgres"), "-D", self._data_argument, *settings]

    def create(self) -> None:
        """Make the cluster, aside first. Raises ServiceFailed, HomeUnusable."""
        aside = self.home.postgres / "data.new"
        password = secrets.token_urlsafe(24)
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(mode=0o700)
            write_private(self.password_file, password.encode() + b"\n")
            if os.geteuid() == 0:
                _give(aside, NOBODY)
            self._initdb(aside, password)
            if os.geteuid() == 0:
                _give(aside, _unused_uid())
            aside.rename(self.data)
        except OSError as error:
            raise home_unusable(self.home.postgres, error) from None

    def _initdb(self, folder: Path, password: str) -> None:
        uid = NOBODY if os.geteuid() == 0 else None
        fd = os.memfd_create("password")
        try:
            os.write(fd, password.encode() + b"\n")
            if uid is not None:
                os.fchown(fd, uid, uid)
            argument = "/proc/self/cwd" if uid is not None else str(folder)
            done = subprocess.run(
                [
                    *(str(self.programs / "bin" / "initdb"), "-D", argument, "-U", USER, "--auth=scram-sha-256"),
                    *(f"--pwfile=/proc/self/fd/{fd}", "-E", "UTF8", "--locale-provider=builtin"),
                    *("--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions", "--no-sync"),
                ],
                cwd=folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                pass_fds=[fd],
                umask=0o077,
                user=uid,
                group=uid,
                extra_groups=None if uid is None else [],
            )
        except PermissionError as error:
            raise _no_rights(error) from None
        finally:
            os.close(fd)
        if done.returncode != 0:
            lines = " | ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
            if "No space left" in lines:
                raise HomeUnusable(f"cannot use {folder}: the disk is full: free some space, or choose another home")
            raise ServiceFailed("postgres", f"postgres: its data in {folder} cannot be made: {lines}")

    def clean_up(self) -> int:
        """End what a former run left behind, found by its working folder and program; how many that were.

        Only with the service's lock held. A postmaster.pid whose number another program has by now is removed.
        """
        left = self._leftovers()
        if left:
            end_all(left, signal.SIGINT, 5)
            end_all(self._leftovers(), signal.SIGKILL, 5)
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return len(left)
        if Path(f"/proc/{pid}").exists():  # another program's, or a dead one that nobody has reaped yet
            pid_file.unlink(missing_ok=True)
        return len(left)

    def _leftovers(self) -> list[Identity]:
        """All processes in the data folder that are its user's own, or run our program."""
        arguments = [str(self.data.stat().st_uid), str(self.programs / "bin" / "postgres")]
        found = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _FINDER, *arguments],
            cwd=self.data,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        processes = [Identity.of(int(pid)) for pid in found.stdout.split()]
        return [process for process in processes if process is not None]


def wait_ready(server: Server, port: int, timeout_s: float, gave_up: Callable[[], bool] = lambda: False) -> bool:
    """Whether the server takes our password within ``timeout_s``; the database is made if it is missing.

    Raises PasswordRefused.
    """
    import psycopg

    watch = Stopwatch()
    while watch.seconds() < timeout_s and not gave_up():
        if answers(ADDRESS, port, 0.2):
            try:
                with psycopg.connect(server.dsn(port, "postgres"), connect_timeout=5, autocommit=True) as connection:
                    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                    if known is None:
                        connection.execute(f"CREATE DATABASE {DATABASE}")
                return True
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise PasswordRefused(
                        f"postgres refuses the password in {server.password_file}: it was changed in the database. "
                        f"Write the present one into that file; or remove {server.home.postgres}, and the database is "
                        "built again from the log"
                    ) from None
        _pause(0.02)
    return False


def _pause(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _give(folder: Path, uid: int) -> None:
    """Change the owner of a tree, symbolic links themselves included. Raises HomeUnusable."""
    try:
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(os.path.join(parent, name), uid, uid, follow_symlinks=False)
        os.chown(folder, uid, uid, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EINVAL):  # EINVAL: a user name space that does not know the number
            raise _no_rights(error) from None
        raise


def _unused_uid() -> int:
    """A number that no account and no running process has."""
    running = set()
    for entry in os.scandir("/proc"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended since it was listed
            if entry.name.isdigit():
                running.add(entry.stat().st_uid)
    candidates = list(UIDS)
    random.SystemRandom().shuffle(candidates)
    for uid in candidates:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            if uid not in running:
                return uid
    raise HomeUnusable(
        f"no user number of {UIDS.start}-{UIDS.stop - 1} is unused for the database: run as another user"
    )


def _no_rights(error: OSError) -> HomeUnusable:
    return HomeUnusable(
        f"root may not run PostgreSQL as another user here ({error.strerror}): give this container the capabilities "
        "SETUID, SETGID and CHOWN, run as an ordinary user, or set postgres.dsn"
    )
