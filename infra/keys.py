"""The key ring's file: made at first use, readable by its owner only.

``{"current": "k-1f0c9a2e", "keys": {"k-1f0c9a2e": "<64 hex digits>"}}``. Whoever has it can write records that hold;
whoever loses it can't check the log any more: keep a copy apart from the home.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from infra.errors import BadFile, home_unusable
from infra.settings import Settings
from infra.stack.home import Home
from schemas.integrity import KeyRing

KEY_BYTES = 32


def ring_file(settings: Settings) -> Path:
    return settings.keys.ring or Home(settings.home).keys / "ring.json"


def load_or_create(settings: Settings) -> KeyRing:
    """The ring of this home. Two processes at once get the same one.

    Raises BadFile (not a ring, or others can read it), HomeUnusable (it cannot be read or made).
    """
    path = ring_file(settings)
    if not path.exists():
        _create(path)
    return load(path)


def load(path: Path) -> KeyRing:
    """The ring in ``path``. Raises BadFile, HomeUnusable."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path} is not a key ring: {error}") from None
    except OSError as error:
        raise home_unusable(path, error) from None
    if mode & 0o077:
        raise BadFile(f"{path} has mode {mode:04o}, so others can read the keys: chmod 600 it")
    try:
        content = json.loads(text)
        keys = {str(name): bytes.fromhex(key) for name, key in content["keys"].items()}
        return KeyRing(keys, str(content["current"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # the file's content is secret: only what kind of fault it has may be shown
        reason = str(error) if isinstance(error, ValueError) and "key" in str(error) else type(error).__name__
        raise BadFile(f"{path} is not a key ring ({reason}): put the saved copy of it back") from None


def _create(path: Path) -> None:
    """A ring with one new key; who comes second keeps the first one's."""
    name = f"k-{secrets.token_hex(4)}"
    content = json.dumps({"current": name, "keys": {name: secrets.token_hex(KEY_BYTES)}}) + "\n"
    aside = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise home_unusable(path, error) from None
