"""Trading on paper: live ticks of a real terminal, orders to a trade server of our own."""
