"""How a device is switched on and off, one file each."""
