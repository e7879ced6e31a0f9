"""A traded day in which things go wrong: processes are killed, stopped and replaced, and what is around them fails."""
