"""The kernels of indicators: one family a file, each a sequential fold with its state carried in an array."""
