"""The embedded stack: a real Kafka broker and PostgreSQL with the worker and the projector, under one home."""
