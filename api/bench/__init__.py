"""Measurements: each checks that results are equal before it prints a rate."""
