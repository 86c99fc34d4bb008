"""Keeps what the hosts of a failed test have to say; a copy of this file is a start for a listener of one's own.

``robot --variable LAB:bench --listener listeners/evidence.py:timeout=30 s suites/``
"""

from OttoLibrary import Evidence


class evidence(Evidence):  # noqa: N801 - Robot looks for the class by the name of the file
    """What ``--listener OttoLibrary.Evidence`` does."""
