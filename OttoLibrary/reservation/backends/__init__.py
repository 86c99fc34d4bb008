"""Where reservations are kept, one file each."""
