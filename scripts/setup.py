"""Set-up of a checkout: ``python3 scripts/setup.py [test|check|docs]``. Needs nothing but Python; make calls it.

Packages go into .venv beside this folder, Kafka's jars and Java's start-up cache into the user's cache folder. Each
step looks what is there already: repeated it takes seconds, and after an interruption it goes on. When it can't, the
exit code is 2 and stderr says why and what to do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UV = "0.13.9"
PYPI = "https://pypi.org/simple"
GROUPS = {"": (), "test": ("test",), "check": ("test", "check"), "docs": ("docs",)}
RUNS_THE_STACK = ("", "test")
LEAST_FREE_MB = 2_200
"""What the first set-up needs: packages with their cache and bytecode, jars and Java's start-up cache take 1.7 GB."""

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = str(BIN / "python")
STAMP = VENV / "set-up.json"
UNFINISHED = VENV / "set-up.unfinished"
ROOMS = ("agents", "api", "infra", "producers", "projections", "schemas", "streams", "tickledger")
KERNELS = ("schemas", "agents", "streams", "producers")
"""The rooms whose kernels are compiled ahead."""
COMPILE = ("-m", "compileall", "-qq", "-j", "0")
BY_CONTENT = ("--invalidation-mode", "checked-hash")


class SetupError(Exception):
    """Why set-up can't go on, and what to do."""


def main(arguments: list[str]) -> int:
    """The exit code."""
    try:
        kind = arguments[0] if arguments else ""
        if kind not in GROUPS or len(arguments) > 1:
            raise SetupError(f"no such set-up: {' '.join(arguments)}. There are: test, check, docs, or none of them")
        check_python()
        with alone():
            set_up(kind)
    except SetupError as error:
        say(f"error: {error}")
        return 2
    except OSError as error:
        say(f"error: {error.filename}: {error.strerror}{disk_hint() or '. If another user made it, remove it as them'}")
        return 2
    except KeyboardInterrupt:
        say("interrupted: run it again, it goes on from here")
        return 130
    return 0


def set_up(kind: str) -> None:
    begun = time.monotonic()
    ensure_environment()
    ensure_uv()
    install_packages(GROUPS[kind])
    if kind in RUNS_THE_STACK:
        compile_sources()
        run_module("infra.stack.prepare")
        compile_kernels()
    say(f"set-up: ready ({time.monotonic() - begun:.1f} s)")


def check_python() -> None:
    found = f"Python {sys.version.split()[0]} ({sys.executable})"
    other = "or name another one: make setup PYTHON=/path/to/python3"
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(f"{found} can't be used: install Python 3.11, 3.12 or 3.13, {other}")
    missing = [module for module in ("venv", "ensurepip") if importlib.util.find_spec(module) is None]
    if missing and not os.path.exists(PYTHON):
        package = "python{}.{}-venv".format(*sys.version_info)
        raise SetupError(
            f"{found} has no {' and no '.join(missing)}: on Debian and Ubuntu run `apt install {package}` (or "
            f"python3-venv), elsewhere install a complete Python, {other}"
        )


def ensure_environment() -> None:
    """A virtual environment of this folder; made anew if it is broken or came here from another path."""
    if succeeds(PYTHON, "-c", "import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"):
        if recorded().get("root", str(ROOT)) == str(ROOT):
            return
        say(f"set-up: {VENV} was made at {recorded()['root']} and can't be moved: making it anew")
    free = free_mb()
    if free < LEAST_FREE_MB:
        raise SetupError(f"the disk of {ROOT} has {free} MB left, the first set-up needs {LEAST_FREE_MB}: free some")
    say(f"set-up: environment {VENV} with Python {sys.version.split()[0]}")
    if VENV.is_symlink() or VENV.exists():
        shutil.rmtree(VENV)
    if run(sys.executable, "-m", "venv", str(VENV)):
        raise SetupError(f"`{sys.executable} -m venv '{VENV}'` failed, see above{disk_hint()}")
    record(root=str(ROOT))


def ensure_uv() -> None:
    """The installer of packages, at one version."""
    if succeeds(PYTHON, "-c", f"from importlib.metadata import version as v; exit(v('uv') != {UV!r})"):
        return
    say(f"set-up: installer uv {UV}")
    if run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={UV}"):
        raise SetupError(f"pip could not install uv {UV}{why_not_fetched()}")


def install_packages(groups: tuple[str, ...]) -> None:
    """Exactly the versions of uv.lock, checked against its hashes; packages beyond it are left alone."""
    uv = str(BIN / "uv")
    quiet = () if sys.stderr.isatty() else ("--quiet",)
    chosen = [option for group in groups for option in ("--group", group)]
    sync = [uv, "sync", "--frozen", "--inexact", *quiet, *chosen]
    if UNFINISHED.exists():
        sync.append("--reinstall")
    elif succeeds(*sync, "--check"):
        return
    begun = time.monotonic()
    say(f"set-up: packages {' '.join(('of the program', *groups))} (the first time a few hundred MB)")
    UNFINISHED.touch()
    failed = install_from_mirror(uv, chosen, quiet) if mirror() else run(*sync)
    if failed:
        raise SetupError(f"the packages could not be installed{why_not_fetched()}")
    record(bytecode="")
    UNFINISHED.unlink()
    say(f"set-up: packages are there ({time.monotonic() - begun:.0f} s)")


def install_from_mirror(uv: str, chosen: list[str], quiet: tuple[str, ...]) -> int:
    """The same versions and hashes from another index: uv.lock itself names the files of PyPI. The exit code."""
    wanted = VENV / "requirements.txt"
    return (
        run(uv, "export", "--frozen", "--quiet", "--no-emit-project", *chosen, "--output-file", str(wanted))
        or run(uv, "pip", "install", *quiet, "--require-hashes", "--requirement", str(wanted))
        or run(uv, "pip", "install", *quiet, "--no-deps", "--editable", str(ROOT))
    )


def compile_sources() -> None:
    """Bytecode of packages and rooms: else each process compiles them as it starts, always where Python keeps none.

    It only saves time: what can't be compiled keeps nobody from anything.
    """
    if recorded().get("bytecode") != "made":
        say("set-up: compiling Python's sources (about 15 s, once)")
        # Files that aren't for this Python, and warnings, are the matter of whoever imports them.
        run(PYTHON, "-P", "-W", "ignore", *COMPILE, *map(str, site_packages()))
        record(bytecode="made")
    state = state_of(ROOMS)
    rooms = [str(ROOT / room) for room in ROOMS]
    # By their content: a time of change may be the same for another text.
    if recorded().get("rooms") != state and not run(PYTHON, "-P", *COMPILE, *BY_CONTENT, *rooms):
        record(rooms=state)


def site_packages() -> list[Path]:
    """Where the environment has its packages."""
    return [*VENV.glob("lib/python*/site-packages"), *VENV.glob("Lib/site-packages")]


def compile_kernels() -> None:
    """Compile what numba compiles, once for these sources: else the first minute of the demo would do it."""
    state = state_of(KERNELS)
    if recorded().get("kernels") != state:
        say("set-up: compiling the kernels (about 40 s, once)")
        run_module("streams.operators.warm")
        run_module("producers.warm")
        run_module("agents.kernels.warm")
        run_module("streams.backtest.warm")
        record(kernels=state)


def state_of(rooms: tuple[str, ...]) -> str:
    """What tells that no source of these rooms has changed."""
    digest = hashlib.sha256()
    for path in sorted(path for room in rooms for path in (ROOT / room).rglob("*.py")):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def run_module(module: str) -> None:
    if run(PYTHON, "-P", "-m", module):
        raise SetupError(f"{module} failed, see above{disk_hint()}")


def run(*command: str) -> int:
    """The exit code; what it says goes to stderr."""
    return subprocess.run(command, cwd=ROOT, env=environment(), stdout=sys.stderr).returncode


def succeeds(*command: str) -> bool:
    with suppress(OSError):
        return not subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True).returncode
    return False


def environment() -> dict[str, str]:
    """The environment of every child: nothing of another Python in it, and uv held to .venv."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PYTHON", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    env |= {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    env |= {"VIRTUAL_ENV": str(VENV), "PYTHONUNBUFFERED": "1"}
    if address := mirror():
        env["UV_DEFAULT_INDEX"] = address
    if trusted := certificates():
        env["UV_SYSTEM_CERTS"] = "true"
        if not env.get("CURL_CA_BUNDLE"):
            env.setdefault("REQUESTS_CA_BUNDLE", trusted)
    return env


def certificates() -> str | None:
    """Whom this machine trusts: behind a company's proxy that is more than what packages bring; None if it has none."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(os.scandir(paths.capath)) else None


def mirror() -> str | None:
    """The package index that the user asked for instead of PyPI, in uv's or pip's way."""
    asked = (os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"))
    return next((address for address in asked if address), None)


def why_not_fetched() -> str:
    """The likely reason that packages could not be had, and the way out."""
    if hint := disk_hint():
        return hint
    address = mirror() or PYPI
    try:
        urllib.request.urlopen(address.rstrip("/") + "/uv/", timeout=15).close()
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return (
            f": the package index {address} can't be reached ({reason}). Check the network or the proxy (HTTPS_PROXY),"
            " or set PIP_INDEX_URL to a mirror; then run it again, what was fetched is kept"
        )
    return ", see above. The package index can be reached: run it again, it goes on from here"


def disk_hint() -> str:
    return f": the disk of {ROOT} is full ({free_mb()} MB left): free some and run it again" if free_mb() < 200 else ""


def free_mb() -> int:
    return shutil.disk_usage(ROOT).free // 1_000_000


def recorded() -> dict[str, str]:
    """What earlier set-ups noted."""
    try:
        noted = json.loads(STAMP.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def record(**notes: str) -> None:
    STAMP.write_text(json.dumps({**recorded(), **notes}), encoding="utf-8")


@contextmanager
def alone() -> Iterator[None]:
    """One set-up of a folder at a time. The lock is on this file, so nothing has to be made or removed for it."""
    with open(__file__, "rb") as file:
        with suppress(ImportError, OSError):
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("set-up: another one is running here; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
