"""Checked data: what a file may say, and where in it a mistake is.

Face: ``Field`` and the kinds of fields (``field_types``, ``scalar_types``), ``Place`` (a position in a file, which
collects mistakes), and ``plain`` (foreign data as plain JSON data). Lab files, settings, environments, scenarios and
load plans are checked with it.
It never opens a file, and it never stops at the first mistake.
"""
