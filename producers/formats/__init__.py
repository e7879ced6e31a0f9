"""Files of ticks and bars in the formats that traders have: told apart by name and content, read in bounded memory."""
