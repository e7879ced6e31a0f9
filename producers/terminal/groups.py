"""The `group` of MetaTrader5's calls: masks of symbol names."""

from __future__ import annotations

import re


def in_group(group: str, name: str) -> bool:
    """Whether a name is in a group: masks between commas, applied one after the other; `*` is anything, `!` takes
    away.

    A mask without `*` adds that name only, and takes away all names that contain it (MQL5 reference, symbols_get).
    """
    found = False
    for mask in group.split(","):
        mask = mask.strip()
        if mask.startswith("!"):
            taken = mask[1:].strip()
            found = found and not _matches(taken if "*" in taken else f"*{taken}*", name)
        elif mask:
            found = found or _matches(mask, name)
    return found


def _matches(mask: str, name: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, mask.split("*"))), name, re.DOTALL) is not None
