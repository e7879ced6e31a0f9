"""Trading a terminal's own account: live ticks of it, orders to it."""
