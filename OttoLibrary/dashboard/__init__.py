"""The page that shows recordings and running monitors.

Face: ``Source`` with ``RecordedSource`` and ``LiveSource`` (what a page shows), ``Dashboard`` (the server), ``static_page`` (the
page as one file). ``chunks`` packs readings for the browser; ``web/`` is what the browser runs.
It never serves anyone without a key, and never runs anything on a host.
"""
