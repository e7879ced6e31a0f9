"""An importer as a process of its own, slowed down so that it can be ended in the middle.

Arguments: the broker's address, the key ring's file, the listing, seconds a block, the files. It prints a line when it
starts to write, one for what it did, and for an error that a user would see, leaving as the command would.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from infra.clock import SystemClock
from infra.errors import TickledgerError
from infra.keys import load
from producers.clocks import parse_zone
from producers.importer import Importer, ImportRequest
from producers.progress import Progress, Stage
from schemas.identity import parse_listing


class SlowClock(SystemClock):
    """Asked once a block."""

    seconds = 0.0

    def now_us(self) -> int:
        time.sleep(self.seconds)
        return super().now_us()


def report(progress: Progress) -> None:
    print(f"{progress.stage} {progress.ticks}", flush=True)
    SlowClock.seconds = float(sys.argv[4]) if progress.stage is Stage.WRITING else 0.0


def main() -> int:
    bootstrap, ring, listing, _, *files = sys.argv[1:]
    request = ImportRequest(
        listing=parse_listing(listing), files=[Path(file) for file in files], zone=parse_zone("UTC-05")
    )
    try:
        result = Importer(bootstrap, load(Path(ring)), SlowClock(), progress=report).run(request)
    except TickledgerError as error:
        print(f"error: {error}", flush=True)
        return error.exit_code
    print(f"new {result.new}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
