"""The command line, ``python -m OttoLibrary``: a file for each group of commands.

Face: ``main``. Each of ``lab``, ``reservations``, ``monitor`` and ``repository`` adds its commands to the parser; ``live_table``
is what ``monitor`` shows, ``table`` prints rows.
It never has logic of its own: a command reads its arguments, calls what the keywords call, and prints.
"""
