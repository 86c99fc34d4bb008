"""Who may use a host, and until when.

Face: ``RunReservations`` (who has what, and reserving for a run), ``Leases`` (what this run holds, renewed in time).
``queue`` is the fair queue of the backends that have one, ``without_queue`` reserves with those that do not;
``backends/`` keep the state.
It never talks to a host.
"""
