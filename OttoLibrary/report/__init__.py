"""Blocks of HTML for log.html: tables, terminals, folded texts, charts and the statistics beside them.

Face: ``blocks`` (one block for each kind of thing a keyword shows), ``charts`` (a chart from series), ``summaries``
(the table and metadata of a test). Values are plain data, results are HTML with every foreign string escaped.
It never logs, never asks a host, and never knows Robot Framework.
"""
