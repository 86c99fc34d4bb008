"""Measurements against peers; ``make bench`` prints them."""
