"""tickledger: an event-sourced trading platform for MetaTrader 5."""
