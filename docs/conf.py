"""Sphinx: MyST pages, furo's theme, and the tables that come from the code itself."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import tables

project = "tickledger"
author = "The tickledger authors"
copyright = f"2026, {author}"
release = version = version_of("tickledger")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = f"tickledger {release}"
nitpicky = True


def setup(app: Any) -> None:
    app.connect("builder-inited", lambda _: tables.write_all(Path(__file__).parent / "_generated"))
