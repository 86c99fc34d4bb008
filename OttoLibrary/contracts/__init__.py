"""What an adapter must be, and the plain data that is passed between folders.

Face: a protocol or frozen dataclass for each thing: ``connections``, ``facts``, ``labs``, ``metrics``, ``profiles``,
``reservations``, ``transfers``. A contract lists every error and unit; implementations stay silent.
It never does anything: no input, no output, no state.
"""
