"""Backtests: operators over recorded ticks, the desk and a venue on one time line, the journal between them."""
