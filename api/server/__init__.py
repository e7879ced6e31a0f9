"""The API and the page, on this machine alone: what the database has, pushed as it changes."""
