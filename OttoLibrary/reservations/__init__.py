"""Ways to know, and to decide, who has which host, one file each."""
