"""The simulated MetaTrader 5 terminal: market, trade server, and the module that stands for MetaTrader5.

`connect` reaches the terminal of a home, `control` its owner's functions; `producers.terminal.simulation.in_process`
makes one for a test.
"""

from producers.terminal.client import connect, control

__all__ = ["connect", "control"]
