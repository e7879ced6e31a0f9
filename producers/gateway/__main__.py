"""`python -m producers.gateway`."""

from __future__ import annotations

import sys

from producers.gateway.service import main

if __name__ == "__main__":
    sys.exit(main())
