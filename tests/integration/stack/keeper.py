"""A program for tests: keeps a stack as `tickledger up` does, with programs that are not ours.

    keeper.py HOME up [PROGRAM...]        up, with each PROGRAM (a name of PROGRAMS below) beside broker and database
    keeper.py HOME hold SERVICES [FILE]   attach to or start SERVICES (a comma list), hold them until FILE is there
    keeper.py HOME down | status

Prints JSON lines: what was said, and at the end how it went.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from infra.errors import TickledgerError
from infra.settings import load_settings
from infra.stack.services import Service
from infra.stack.stack import Running, attach_or_start
from infra.stack.status import status
from infra.stack.up import down, until_asked, up

STEADY = """
import os, signal, sys, time
from pathlib import Path
from infra.stack.services import announce, running
from infra.stack.home import Home
home, name = Path(os.environ["TICKLEDGER_HOME"]), sys.argv[1]
def end(*_):
    alive = [other for other in ("postgres", "kafka", "first", "second") if running(Home(home), other)]
    (home / f"{name}.ended").write_text(" ".join(alive))
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
announce(home, name, ready=True)
while True:
    time.sleep(0.05)
"""
BROKEN = "import sys; sys.exit('error: no such strategy')"
FRAGILE = STEADY.replace("while True:\n    time.sleep(0.05)", "time.sleep(0.1)\nsys.exit('error: lost my state')")


def program(name: str, source: str) -> Service:
    return Service(name, (sys.executable, "-P", "-c", source, name))


PROGRAMS = {
    "first": program("first", STEADY),
    "second": program("second", STEADY),
    "broken": program("broken", BROKEN),
    "fragile": program("fragile", FRAGILE),
}


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def main(home: str, command: str, *arguments: str) -> int:
    started = time.monotonic()

    def progress(line: str) -> None:
        say(progress=line, at=round(time.monotonic() - started, 2))

    def ready(running: Running) -> None:
        say(ready=running.kafka, started=running.started)

    try:
        settings = load_settings(home=Path(home))
        if command == "up":
            programs = [PROGRAMS[name] for name in arguments]
            up(
                settings,
                on_start=lambda running: say(hook=running.kafka),
                on_ready=ready,
                progress=progress,
                programs=programs,
            )
        elif command == "hold":
            with until_asked(), attach_or_start(settings, arguments[0].split(","), progress=progress) as running:
                ready(running)
                while arguments[1:] and not Path(arguments[1]).exists():
                    running.check()
                    time.sleep(0.05)
        elif command == "down":
            say(found=down(settings, progress, [PROGRAMS[name] for name in arguments]))
        else:
            say(status=status(settings, [PROGRAMS[name] for name in arguments]))
    except TickledgerError as error:
        say(error=str(error), kind=type(error).__name__)
        return error.exit_code
    say(ended=round(time.monotonic() - started, 2))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
