"""The laboratory: backtests from the command to the written report."""
