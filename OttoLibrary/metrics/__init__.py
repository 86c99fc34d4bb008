"""Kinds of readings, one file each."""
