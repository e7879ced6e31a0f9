"""What brings outside facts onto the log."""
