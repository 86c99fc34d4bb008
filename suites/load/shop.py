"""A shop that answers a little slowly and, for one of its books, not at all: what the suite puts load on."""

from __future__ import annotations

import time


def order_book(title: str, pause_s: float = 0.005) -> None:
    """Order a book; there is no 'Missing Book'."""
    time.sleep(pause_s)
    if title == "Missing Book":
        raise LookupError("There is no <such> book: HTTP status 404")
