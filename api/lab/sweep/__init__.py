"""Many parameter sets over the same ticks: which is best, how likely that is luck, and what it did out of sample."""
