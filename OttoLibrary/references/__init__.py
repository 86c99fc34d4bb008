"""Kinds of ``${kind:argument}`` in lab files."""
