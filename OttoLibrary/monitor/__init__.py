"""Readings of hosts: asked for once a tick, remembered, recorded, counted up, and held against limits.

Face: ``Monitor``. ``watch`` asks one host, the files of ``metrics/`` say what and understand the answer,
``recording_writer`` writes a recording and ``recording_reader`` reads one, ``statistics`` sums up, ``export`` writes
text for other programs.
It never uses the tester's shell, and never draws.
"""
