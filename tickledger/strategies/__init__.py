"""Strategies that ship: files to run as they are, and to copy. None of them promises a profit."""
