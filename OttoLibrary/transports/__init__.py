"""Ways to open a connection."""
