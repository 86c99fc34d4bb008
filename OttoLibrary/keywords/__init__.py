"""The keywords, one file for each group.

Face: one class for each group, which ``library`` puts together. A keyword takes, calls, logs and returns.
Logic lives below: a keyword never opens a connection or a file of its own.
"""
