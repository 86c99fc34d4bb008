"""Commands for reservations: who has reserved which host, and how to release them."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from OttoLibrary.cli.lab import LAB, LAB_OR_DEFAULT
from OttoLibrary.cli.table import add_json_option, print_rows
from OttoLibrary.errors import NotFreeError, UsageError
from OttoLibrary.reservation.leases import holding_text, quarantine_text
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from OttoLibrary.contracts.reservations import Waiting

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
    quarantine = commands.add_parser("quarantine", help="keep hosts that are broken from everybody, until --lift")
    quarantine.add_argument("lab", help=LAB)
    quarantine.add_argument("hosts", help="which hosts: a selection such as dut1 or tag:dut")
    quarantine.add_argument("--reason", default="", help="why; shown to everybody who wants them")
    quarantine.add_argument("--lift", action="store_true", help="give them back to everybody")
    quarantine.set_defaults(run=_quarantine)


def _print_reservations(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    hosts = list(session.lab.loaded.hosts.values())
    reservations = session.reservations
    holdings, waiting = reservations.holdings(hosts), reservations.waiting()
    sick = {one.resource: f"{one.user} since {_at(one.since)}: {one.reason}" for one in reservations.quarantines(hosts)}
    rows = []
    for host in hosts:
        for resource in host.needs:
            held = [
                (holding.user, _at(holding.until), holding.process, holding.purpose)
                for holding in holdings
                if holding.resource == resource
            ]
            state = "" if resource in sick else "free"
            rest = (_queue(waiting, resource), sick.get(resource, ""))
            rows += [(host.name, resource, *cells, *rest) for cells in held or [(state, "", "", "")]]
    session.close()
    print_rows(options, ("HOST", "RESOURCE", "USER", "UNTIL", "PROCESS", "PURPOSE", "QUEUE", "QUARANTINE"), rows)
    return 0


def _at(moment: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) if moment is not None else ""


def _queue(waiting: Sequence[Waiting], resource: str) -> str:
    """Return who waits for a resource, each with the place in the whole queue: ``1. alice (bench:4711), 3. bob (...)``."""
    return ", ".join(
        f"{place}. {one.user} ({one.process})"
        for place, one in enumerate(waiting, 1)
        if any(resource in resources for resources in one.candidates.values())
    )


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


def _quarantine(options: argparse.Namespace) -> int:
    if bool(options.reason.strip()) == options.lift:
        raise UsageError("Say why these hosts are broken with --reason, which everybody who wants them is shown; or use --lift.")
    session = Session(options.lab)
    reservations = session.reservations
    entries = [session.lab.loaded.entry(name) for name in session.lab.select(options.hosts)]
    resources = {resource: None for entry in entries for resource in entry.reserved_as}
    if options.lift:
        lifted = reservations.lift(resources)
        print("\n".join(f"Lifted: {quarantine_text(one)}." for one in lifted) or "None of these hosts was in quarantine.")
    else:
        reservations.quarantine(resources, options.reason)
        for one in reservations.quarantines(entries):
            print(f"{quarantine_text(one)}.")
        for holding in reservations.holdings(entries):
            print(f"Still held: {holding_text(holding)}. 'release --force' takes it away.")
    session.close()
    return 0
