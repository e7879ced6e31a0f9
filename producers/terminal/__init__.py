"""The simulated MetaTrader 5 terminal: market, trade server, and the module that stands for MetaTrader5."""
