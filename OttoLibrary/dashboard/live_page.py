"""The page of a run while it runs: for a keyword that watches, and for the listener ``OttoLibrary.Metrics``."""

from __future__ import annotations

from OttoLibrary.dashboard.live_source import LiveSource
from OttoLibrary.dashboard.server import Dashboard, check_installed
from OttoLibrary.run.metrics_listener import MetricsListener
from OttoLibrary.run.session import Session


def serve_live(session: Session) -> str:
    """Serve what a session's monitor reads until that stops; return the address, with the key that opens the page.

    Raises:
        PluginError: A package is missing; the message says how it is installed.
        UsageError: It cannot bind.
    """
    dashboard = Dashboard(LiveSource(session))
    dashboard.start()
    return dashboard.url


class Metrics(MetricsListener):
    """Watches hosts from the first suite to the last and shows in each test what they did.

    ::

        robot --variable LAB:bench --listener OttoLibrary.Metrics:interval=1s:hosts=tag:dut suites/

    Args:
        options: As of ``MetricsListener``; ``dashboard=yes`` serves a live page on this machine, whose address is on the console.
    """

    def check_page(self) -> None:
        """Raise PluginError when the page cannot be served."""
        check_installed()

    def serve_page(self, session: Session) -> str:
        """Serve the page and return its address."""
        return serve_live(session)
