"""Small plug-ins to read and to copy."""
