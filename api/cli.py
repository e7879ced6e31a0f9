"""The `tickledger` command: finds the subcommand and says in one line what went wrong.

Exit codes: 0 done, 1 the answer is no (a difference, a refused file), 2 could not run. With `--json`, stdout is one
JSON value; logs and progress go to stderr.
"""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import sys
import threading
from pathlib import Path
from typing import NoReturn

from cyclopts import App, CycloptsError

from infra.errors import TickledgerError
from infra.unreadable import unreadable

_GC_THRESHOLD = 200_000
"""Objects between two looks for cycles: more than what all of a command's modules make."""

ROOMS = ("schemas", "agents", "streams", "producers", "projections", "api", "infra", "tickledger")

COMMANDS = {
    "demo": ("api.commands.demo:demo", "Play and trade a recorded day through the whole stack, and watch it."),
    "paper": ("api.commands.paper:paper", "Trade strategies on live ticks of a real terminal, on paper."),
    "live": ("api.commands.live:live", "Trade strategies on a terminal's own demo account; real ones are refused."),
    "up": ("api.commands.up:up", "Start all services of the home and keep them running until Ctrl-C."),
    "down": ("api.commands.down:down", "End the services of the home."),
    "status": ("api.commands.status:status", "Show each service's state, process and address."),
    "import": ("api.commands.import_:import_", "Bring files of ticks onto the log."),
    "query": ("api.commands.query:app", "Ask the database for ticks, bars, signals, orders and the rest."),
    "verify": ("api.commands.verify:verify", "Derive everything again from the roots and compare it with the log."),
    "halt": ("api.commands.halt:halt", "Stop an account from entering; exits go on."),
    "resume": ("api.commands.resume:resume", "Let an account enter again."),
    "flatten": ("api.commands.flatten:flatten", "Close all that an account holds, and halt it."),
    "rebuild": ("api.commands.rebuild:rebuild", "Make the database anew from the log."),
    "backtest": ("api.commands.backtest:backtest", "Run a strategy over recorded ticks, to a written report."),
    "chart": ("api.commands.chart:chart", "Draw a strategy's bars, its own lines and its signals."),
    "compare": ("api.commands.compare:compare", "Show where two runs differ."),
    "strategies": ("api.commands.strategies:strategies", "List the strategies that ship, and those in a file."),
    "sweep": ("api.commands.sweep:sweep", "Run a strategy with many parameter sets over the same ticks, on all cores."),
    "new": ("api.commands.new:new", "Write a working strategy with its test."),
    "bench": ("api.commands.bench:bench", "Measure, after checking that results are equal."),
}


class WrongRoom(TickledgerError):
    """A folder in the way has the name of one of our packages."""


def make_app() -> App:
    """The command line, with each subcommand as an import path."""
    app = App(
        name="tickledger",
        help="Ticks and decisions of MetaTrader 5 on one log that can be proved.",
        version=_version,
        help_format="plaintext",
        help_epilogue="All that is stored is in TICKLEDGER_HOME, by default .tickledger in the working directory.",
    )
    for name, (path, what) in COMMANDS.items():
        app.command(path, name=name, help=what)
    return app


def check_rooms() -> None:
    """Raises WrongRoom if a package of ours would come from somewhere else, such as the working directory."""
    ours = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        found = Path(spec.origin).resolve().parent.parent if spec is not None and spec.origin else None
        if found != ours:
            raise WrongRoom(
                f"the package {room} comes from {found or 'nowhere'}, not from {ours}: run it from elsewhere"
            )


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line, by default that of the process, and ends the process with its exit code."""
    # What is imported lives to the end: looking for cycles in it at every start and end would be a third of a start.
    gc.set_threshold(_GC_THRESHOLD)
    try:
        check_rooms()
        code = make_app()(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        code = _fail(str(error), 2)
    except TickledgerError as error:
        code = _fail(str(error), error.exit_code)
    except PermissionError as error:
        if error.filename is None:
            raise
        code = _fail(str(unreadable(Path(os.fsdecode(error.filename)), error)), 2)
    except KeyboardInterrupt:
        code = _fail("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    gc.freeze()
    _end(code if isinstance(code, int) else 0, whole=arguments is not None)


def _end(code: int, *, whole: bool) -> NoReturn:
    """Ends the process; unless `whole`, without taking apart all that lies in its memory, which the system does faster.

    A thread that is still at work is waited for, and output that can't be written told, as Python does it.
    """
    if whole or any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        sys.exit(code)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code)


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def _version() -> str:
    from importlib.metadata import version

    return version("tickledger")


if __name__ == "__main__":
    main()
