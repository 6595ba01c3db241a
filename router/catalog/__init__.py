"""Which models there are, who serves them, and what is known about each."""
