"""Numbered SQL files; `projections/migrate.py` applies them."""
