"""Commands for reservations: who has reserved which host, and how to release them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from OttoLibrary.cli.lab import LAB, LAB_OR_DEFAULT
from OttoLibrary.cli.table import add_json_option, print_rows
from OttoLibrary.errors import NotFreeError, UsageError
from OttoLibrary.reservation.leases import holding_text
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    reservations = commands.add_parser("reservations", help="print who has reserved which host of a lab")
    reservations.add_argument("lab", nargs="?", default="", help=LAB_OR_DEFAULT)
    add_json_option(reservations)
    reservations.set_defaults(run=_print_reservations)
    release = commands.add_parser("release", help="release hosts that are reserved")
    release.add_argument("lab", help=LAB)
    release.add_argument("hosts", help="which hosts: a selection such as dut1 or tag:dut")
    release.add_argument("--force", action="store_true", help="release hosts of other users too")
    release.add_argument("--reason", default="", help="why; needed with --force, and shown to the user who loses them")
    release.set_defaults(run=_release)


def _print_reservations(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    hosts = list(session.lab.loaded.hosts.values())
    holdings = session.reservations.holdings(hosts)
    rows = []
    for host in hosts:
        for resource in host.needs:
            held = [(holding.user, holding.process, holding.purpose) for holding in holdings if holding.resource == resource]
            rows += [(host.name, resource, *cells) for cells in held or [("free", "", "")]]
    session.close()
    print_rows(options, ("HOST", "RESOURCE", "USER", "PROCESS", "PURPOSE"), rows)
    return 0


def _release(options: argparse.Namespace) -> int:
    if options.force and not options.reason:
        raise UsageError(
            "'--force' takes hosts from other users and needs a reason, which they are shown. Give it with --reason."
        )
    session = Session(options.lab)
    reservations, user = session.reservations, session.reservations.user
    holdings = reservations.holdings(map(session.lab.loaded.entry, session.lab.select(options.hosts)))
    others = [holding_text(holding) for holding in holdings if holding.user != user]
    if others and not options.force:
        raise NotFreeError("These hosts are reserved by others", others, "Ask them, or use --force with --reason.")
    for holding in holdings:
        reservations.leasing.release_forced(holding.resource, user, options.reason or "released by hand")
        print(f"Released {holding_text(holding)}.")
    session.close()
    return 0
