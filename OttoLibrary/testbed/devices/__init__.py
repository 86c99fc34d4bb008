"""What a device can be, one file each."""
