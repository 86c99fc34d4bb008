"""What ``${name:...}`` in a lab file means, one file each."""
