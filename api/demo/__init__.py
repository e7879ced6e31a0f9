"""The demo: a recorded day through the whole stack, and what each stage has of it."""
