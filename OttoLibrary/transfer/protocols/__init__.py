"""Ways to move the bytes of a file, one file each."""
