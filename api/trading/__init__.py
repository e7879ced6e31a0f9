"""What `paper` and `live` share: strategies that are traded on the live ticks of a real terminal."""
