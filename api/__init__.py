"""The tickledger command."""
