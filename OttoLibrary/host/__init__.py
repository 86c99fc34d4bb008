"""One host: its way through hops, its shells, its processes, its clock.

Face: ``Host``. It alone decides which connection, shell or terminal serves a call. ``host_connection`` keeps the
connection of a host and its hops, ``background`` has what was started and runs on.
It never asks a transport for its name, and never writes to a log: it hands out records.
"""
