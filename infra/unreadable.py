"""What this user may not read: which file or folder it is, whose, and the way out."""

from __future__ import annotations

import os
from pathlib import Path

from infra.errors import SettingsError


def unreadable(path: Path, error: OSError) -> SettingsError:
    """The error for a file of settings, or of a home, that can't be read."""
    if not isinstance(error, PermissionError):
        return SettingsError(f"cannot read {path}: {error.strerror or error}: see what is there, or name another one")
    if not hasattr(os, "geteuid"):
        return SettingsError(
            f"cannot read {path}: this user may not: have it opened to you under its properties, Security, or choose "
            "another home with TICKLEDGER_HOME or --home"
        )
    closed, uid = _closed(path.absolute())
    me, owner = _named(os.geteuid()), _named(uid)
    if uid == os.geteuid():
        way_out = f"chmod -R u+rwX {closed}"
    else:
        way_out = f"run this as {owner}, or have it given to {me} (sudo chown -R {me} {closed})"
    return SettingsError(
        f"cannot read {path}: {closed} belongs to {owner}, and {me} may not read it: {way_out}, or choose another home "
        "with TICKLEDGER_HOME or --home"
    )


def _closed(path: Path) -> tuple[Path, int]:
    """The path itself, or the folder on the way to it that doesn't let this user in; and the number of its owner."""
    for place in (path, *path.parents):
        try:
            return place, place.stat().st_uid
        except OSError:
            continue
    return path, 0


def _named(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
