"""The desk: from an account's journal to its orders.

    consensus -> size -> risk checks -> order -> position -> exits, equity, attribution

`Desk.take` folds one input (a signal, an execution, a command, a reference record) with the time at which the journal
took it, `Desk.clock` the quotes of whole seconds, and `Desk.fold` a JournalEntry, by those two. What each file is:

- `state.py` what a desk knows, `plain.py` the same as bytes, `turn.py` one entry at work
- `entries.py` a signal's entry, `consensus.py` what other instances say to it, `account_view.py` what is checked
- `orders.py` the one table of order states, `exits.py` stops, targets and closing orders
- `positions.py` deals into positions, `accounting.py` their money, `limits.py` trading states, commands, daily loss
- `clock.py` and `kernel.py` the clock, `reference.py` configuration, `day_clock.py` trading days

Times are UTC microseconds of the journal, volumes and booked money Decimal, prices doubles.
"""

from streams.operators.desk.desk import Desk, Input
from streams.operators.desk.journal import bare_time, clock_entry, rows_of
from streams.operators.desk.orders import FINAL, TRANSITIONS, OrderEvent
from streams.operators.desk.state import NEVER_US, DeskState, Order, Plan, Position

__all__ = [
    "FINAL",
    "NEVER_US",
    "TRANSITIONS",
    "Desk",
    "DeskState",
    "Input",
    "Order",
    "OrderEvent",
    "Plan",
    "Position",
    "bare_time",
    "clock_entry",
    "rows_of",
]
