"""Operators over the log and what drives them."""
