"""Environments of the programs that are compared: made once, each of its own, in the user's cache folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from api.start import tell


class Peer(NamedTuple):
    """A program to compare with. `script`: what runs the rule in it."""

    name: str
    package: str
    version: str
    script: Path


_HERE: Final = Path(__file__).parent
BACKTESTING: Final = Peer("backtesting.py", "backtesting", "0.6.6", _HERE / "with_backtesting.py")
VECTORBT: Final = Peer("vectorbt", "vectorbt", "1.2.0", _HERE / "with_vectorbt.py")
NAUTILUS: Final = Peer("nautilus_trader", "nautilus_trader", "1.221.0", _HERE / "with_nautilus.py")
PEERS: Final = (BACKTESTING, VECTORBT, NAUTILUS)
_SAID: Final = 300


class NotInstalled(Exception):
    """A program can't be had here: why."""


def interpreter(peer: Peer, cache: Path) -> Path:
    """The Python that has the program, in an environment under `cache`; made if it isn't there. Raises NotInstalled."""
    folder = cache / f"{peer.package}-{peer.version}"
    python, done = folder / "bin" / "python", folder / "installed"
    if sys.platform == "win32":
        python = folder / "Scripts" / "python.exe"
    if done.exists() and python.exists():
        return python
    tell(f"bench peers: installing {peer.package} {peer.version} into {folder}, once")
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    for command in _commands(folder, python, f"{peer.package}=={peer.version}"):
        try:
            ended = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise NotInstalled(f"{command[0]} can't be run: {error.strerror or error}") from error
        if ended.returncode:
            lines = (ended.stderr or ended.stdout).strip().splitlines()
            raise NotInstalled(" ".join(line.strip() for line in lines)[-_SAID:] or f"{command[0]} failed")
    done.write_text(peer.version, encoding="utf-8")
    return python


def _commands(folder: Path, python: Path, wanted: str) -> list[list[str]]:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        return [[sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", wanted]]
    return [
        [uv, "venv", "-q", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "-q", "--python", str(python), wanted],
    ]
