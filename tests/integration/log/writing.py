"""A writer of ticks as a process of its own. Arguments: the broker's address, the key ring's file, the listing.

It opens the chain, prints a line for each block that it has handed over, and for an error that a user would see.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from infra.clock import SystemClock
from infra.errors import TickledgerError
from infra.keys import load
from infra.tick_writer import TickWriter
from schemas.ticks import TickSource
from tests.integration.log.place import write


def main() -> int:
    bootstrap, ring, listing = sys.argv[1:]
    try:
        with TickWriter(bootstrap, load(Path(ring)), SystemClock(), listing, TickSource.IMPORT) as writer:
            writer.open()
            while True:
                write(writer, 1)
                print(f"handed over {writer.head.n}, on the log {writer.written.n}", flush=True)
                time.sleep(0.005)
    except TickledgerError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
