"""Settings, clock, logs, Kafka and the embedded stack."""
