"""The command that opens a tunnel to a host of a lab."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from OttoLibrary.cli.lab import LAB
from OttoLibrary.cli.live_table import until_signal
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    tunnel = commands.add_parser("tunnel", help="carry TCP connections to a port of a host behind hops, until Ctrl-C")
    tunnel.add_argument("lab", help=LAB)
    tunnel.add_argument("host", help="name of the host")
    tunnel.add_argument("port", type=int, help="the port to reach: of the host, or with --back of this machine")
    tunnel.add_argument("--address", default="", help="whose port, as the host sees it (default: its own loopback)")
    tunnel.add_argument("--back", action="store_true", help="listen on the host and lead to this machine")
    tunnel.add_argument("--listen", type=int, default=0, metavar="PORT", help="where to listen (default: a free port)")
    tunnel.set_defaults(run=_tunnel)


def _tunnel(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    try:
        with until_signal() as stopped:
            print(_opened(session, options), flush=True)
            stopped.wait()
    finally:
        session.close()
        for warning in session.journal.take_warnings():
            print(warning)
    return 0


def _opened(session: Session, options: argparse.Namespace) -> str:
    tunnels, name, port = session.tunnels, options.host, options.port
    if options.back:
        found = session.engine.call(tunnels.from_host(name, port, None, host_port=options.listen))
        return f"127.0.0.1:{found} of '{name}' leads to 127.0.0.1:{port} here. Ctrl-C ends it."
    found = session.engine.call(tunnels.to_host(name, port, None, address=options.address, here_port=options.listen))
    return f"127.0.0.1:{found} here leads to {options.address or '127.0.0.1'}:{port} of '{name}'. Ctrl-C ends it."
