"""Readings of hosts: asked for once a tick, remembered, recorded, counted up, and held against limits.

Face: ``Monitor``. ``watch`` asks one host, the files of ``metrics/`` say what and understand the answer, ``store``
writes a recording and ``recording`` reads one, ``statistics`` sums up, ``export`` writes text for other programs.
It never uses the tester's shell, and never draws.
"""
