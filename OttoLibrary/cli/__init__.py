"""The command line, ``python -m OttoLibrary``: a file for each group of commands.

Face: ``main``.
It never has logic of its own: a command reads its words, calls what the keywords call, and prints.
"""
