"""The operators: pure folds of one listing's ticks. No clock, random source, environment, file or network."""
