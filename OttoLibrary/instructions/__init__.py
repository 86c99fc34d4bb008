"""Python functions as keywords, with options that are read from variables.

Face: ``instruction`` and ``Hosts`` (``instructions``), ``read_options`` (``options``).
It never registers anything by itself: a suite or the settings name the modules.
"""
