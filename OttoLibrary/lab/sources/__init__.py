"""Where labs come from, one file each."""
