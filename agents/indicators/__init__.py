"""The indicators: expressions made of nodes, one family a file."""
