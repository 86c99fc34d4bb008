"""The keywords, one file for each group."""
