"""The gateway: takes an account's orders to the terminal, and writes what became of them (docs/gateway.md)."""
