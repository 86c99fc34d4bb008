"""Commands for readings: watch the hosts of a lab, and show recordings on the page of the dashboard."""

from __future__ import annotations

import argparse
import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.cli.lab import LAB
from OttoLibrary.errors import UsageError
from OttoLibrary.run.run_monitor import RECORDING, monitor_option
from OttoLibrary.run.session import Session
from OttoLibrary.text import listed
from OttoLibrary.units import seconds

if TYPE_CHECKING:
    from OttoLibrary.dashboard.page_source import Source
    from OttoLibrary.dashboard.recorded_source import RecordedSource

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_LOOPBACK = "127.0.0.1"


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    monitor = commands.add_parser("monitor", help="watch the hosts of a lab, with a live table, until Ctrl-C")
    monitor.add_argument("lab", help=LAB)
    monitor.add_argument("hosts", nargs="?", default="", help="which hosts: a selection such as tag:dut (default: all)")
    monitor.add_argument("--interval", help="time between two readings (default: 2s)")
    monitor.add_argument("--metrics", default="", help="what to read, joined by commas (default: the usual metrics)")
    monitor.add_argument("--db", help="file to record in")
    monitor.add_argument("--label", default="", help="name of the recording")
    monitor.add_argument("--for", dest="duration", help="stop after this long, such as '10 min'")
    monitor.add_argument("--web", action="store_true", help="serve a live page too, and print its address")
    _add_server_options(monitor)
    monitor.set_defaults(run=_monitor)
    dashboard = commands.add_parser("dashboard", help="serve a page with recordings, or write the page to one file")
    dashboard.add_argument("recording", help="a recording (metrics.db), or the output folder of a run with all its recordings")
    dashboard.add_argument("--static", metavar="FILE.html", help="write one file that needs no server, and exit")
    _add_server_options(dashboard)
    dashboard.set_defaults(run=_dashboard)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: a free one)")
    parser.add_argument("--bind", metavar="ADDRESS", default=_LOOPBACK, help=f"address of the page (default: {_LOOPBACK})")
    parser.add_argument("--tls", metavar="CERT.pem", help="serve over TLS, with this certificate and private key in one file")


def _monitor(options: argparse.Namespace) -> int:
    from OttoLibrary.cli.live_table import watch

    if options.web:
        from OttoLibrary.dashboard.server import check_installed

        # Before anything starts on a host.
        check_installed()
    elif options.port or options.tls or options.bind != _LOOPBACK:
        raise UsageError("--port, --bind and --tls are for the page: add --web.")
    session = Session(options.lab)
    names = session.lab.select(monitor_option(session.suite, "hosts", options.hosts, "*"))
    metrics = listed(monitor_option(session.suite, "metrics", options.metrics, ""))
    interval_s = seconds(monitor_option(session.suite, "interval", options.interval, "2s"))
    duration_s = seconds(options.duration) if options.duration else None
    try:
        session.monitor.start(names, metrics, interval_s, Path(options.db).expanduser() if options.db else None, options.label)
        if not options.web:
            watch(session, duration_s)
            return 0
        from OttoLibrary.dashboard.live_source import LiveSource

        with _served(LiveSource(session), options):
            watch(session, duration_s)
    finally:
        session.close()
    return 0


def _dashboard(options: argparse.Namespace) -> int:
    place = Path(options.recording).expanduser()
    if options.static:
        return _write_page(place, Path(options.static).expanduser())
    from OttoLibrary.cli.live_table import until_signal

    log = place / "log.html" if place.is_dir() else None
    with until_signal() as stopped, _served(_recorded(place, "log.html"), options, log):
        stopped.wait()
    return 0


def _write_page(place: Path, target: Path) -> int:
    from OttoLibrary.dashboard.static_page import static_page

    log = urllib.parse.quote(os.path.relpath(place / "log.html", target.parent))
    page = static_page(_recorded(place, log)).encode("utf-8", "backslashreplace")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(page)
    except OSError as error:
        raise UsageError(f"The page cannot be written to '{target}': {error.strerror or error}.") from error
    print(f"Written to {target} ({len(page) / 1e6:.1f} MB).")
    return 0


def _recorded(place: Path, log: str) -> RecordedSource:
    """Return one recording, or all recordings of a run with its tests, which link to ``log``."""
    from OttoLibrary.dashboard.recorded_source import RecordedSource

    if not place.is_dir():
        return RecordedSource([place])
    # Each process of pabot records beside its own log.
    found = sorted(place.rglob(RECORDING))
    if not found:
        raise UsageError(f"There is no recording '{RECORDING}' in the folder '{place}' or below it.")
    output = place / "output.xml"
    if not output.is_file():
        return RecordedSource(found, title=place.resolve().name)
    from OttoLibrary.run.test_times import test_spans

    return RecordedSource(found, test_spans(output, log if (place / "log.html").is_file() else ""), place.resolve().name)


@contextmanager
def _served(source: Source, options: argparse.Namespace, log: Path | None = None) -> Iterator[None]:
    """Serve a page during the block, and print its address."""
    from OttoLibrary.dashboard.server import Dashboard

    dashboard = Dashboard(source, address=options.bind, port=options.port, certificate=options.tls, log=log)
    dashboard.start()
    try:
        print(f"Dashboard: {dashboard.url}", flush=True)
        yield
    finally:
        dashboard.stop()
