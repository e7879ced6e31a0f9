"""A program for tests: keeps a stack as `tickledger up` does, with programs that are not ours.

    keeper.py HOME up [PROGRAM...]        up, with each PROGRAM (a name of PROGRAMS below) beside broker and database
    keeper.py HOME hold SERVICES [FILE]   attach to or start SERVICES (a comma list), hold them until FILE is there
    keeper.py HOME with PROGRAM           attach to or start PROGRAM beside broker and database, and end
    keeper.py HOME down | status

Prints JSON lines: what was said, and at the end how it went.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch

from infra.errors import TickledgerError
from infra.settings import load_settings
from infra.stack import launch
from infra.stack.services import KAFKA, POSTGRES, Service
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

REFUSED = """
import sys
from infra import log
from infra.errors import SettingsError
from infra.stack.services import exit_code_of
log.configure(sys.argv[1])
log.get("").info("starts")
error = SettingsError("the password is wrong: correct terminal.password")
log.get("").error("ends", reason=str(error))
sys.exit(exit_code_of(error))
"""
LATER_REFUSED = STEADY.replace("while True:\n    time.sleep(0.05)", f"time.sleep(0.3)\nexec({REFUSED!r})")


def program(name: str, source: str) -> Service:
    return Service(name, (sys.executable, "-P", "-c", source, name))


PROGRAMS = {
    "first": program("first", STEADY),
    "second": program("second", STEADY),
    "broken": program("broken", BROKEN),
    "fragile": program("fragile", FRAGILE),
    "refused": program("refused", REFUSED),
    "later": program("later", LATER_REFUSED),
    "dependent": dataclasses.replace(program("dependent", "import time; time.sleep(300)"), depends_on=("refused",)),
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
        elif command == "with":
            needed = [KAFKA, POSTGRES, arguments[0]]
            with attach_or_start(settings, needed, progress=progress, programs=[PROGRAMS[arguments[0]]]) as running:
                ready(running)
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
    # What is given up is after three ends then: they fit into the supervisor's minute on a slow machine too.
    sooner = {"most_ends": 2} if "fragile" in sys.argv else {}
    with patch.object(launch, "Run", partial(launch.Run, **sooner)):
        sys.exit(main(*sys.argv[1:]))
