"""Shows in each test what the hosts of the lab did meanwhile; a copy of this file is a start for a listener of one's own.

``robot --variable LAB:bench --listener listeners/metrics.py:interval=1s:hosts=tag:dut suites/``
"""

from OttoLibrary import Metrics


class metrics(Metrics):  # noqa: N801 - Robot looks for the class by the name of the file
    """What ``--listener OttoLibrary.Metrics`` does."""
