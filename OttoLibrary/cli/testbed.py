"""Commands for testbeds: what an environment and an inventory mean together, and bringing it up."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary import units
from OttoLibrary.cli.table import print_table
from OttoLibrary.errors import DeployError, OttoError, UsageError
from OttoLibrary.lab.environment import Environment, read_environment, without_secrets
from OttoLibrary.lab.settings import read
from OttoLibrary.text import printable

if TYPE_CHECKING:
    from OttoLibrary.run.bench import Bench
    from OttoLibrary.run.kept_bench import KeptBench
    from OttoLibrary.run.session import Session

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


_LOOK_S = 0.2


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    environment = commands.add_parser("environment", help="print the devices of a testbed, merged from both files")
    add_files(environment)
    environment.add_argument("--json", action="store_true", help="print them as JSON, a list of objects")
    environment.set_defaults(run=_print_environment)
    deploy = commands.add_parser("deploy", help="bring up the devices of a testbed, until Enter, Ctrl-C or SIGTERM")
    add_files(deploy)
    deploy.add_argument("--skip-boot", action="store_true", help="use the devices as they are")
    deploy.add_argument("--wait", default="0", help="how long to wait for hosts that others have reserved (default: not at all)")
    deploy.add_argument("--keep", action="store_true", help="leave it up for later runs, in a process of its own, for --lease")
    deploy.add_argument("--release", action="store_true", help="shut down what --keep has left up")
    deploy.add_argument("--lease", help="how long it is kept (default: 1 hour), or stays reserved when this hangs (2 min)")
    deploy.add_argument("--keeper", help=argparse.SUPPRESS)
    deploy.add_argument("--settings-of", type=Path, help=argparse.SUPPRESS)
    if sys.argv[1:2] == ["deploy"]:
        _add_plugin_options(deploy)
    deploy.set_defaults(run=_deploy)


def _add_plugin_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of plug-ins; to know them, the init modules are imported."""
    from OttoLibrary.lab.settings import import_init
    from OttoLibrary.run.bench import plugin_options

    import_init(read())
    plugin_options(parser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the two files and the board to the parser of a command."""
    parser.add_argument("environment", help="path or http URL of the file that says what is needed")
    parser.add_argument("inventory", help="path or http URL of the file that says where it is")
    parser.add_argument("--board", required=True, help="the board, or bench, of the inventory")


def _print_environment(options: argparse.Namespace) -> int:
    environment = read_environment(options.environment, options.inventory, options.board, _folders())
    if options.json:
        print(json.dumps(without_secrets(environment.merged()), indent=2, ensure_ascii=False))
        return 0
    print_table(("DEVICE", "KEY", "VALUE", "FROM", "REPLACES"), _rows(environment))
    return 0


def _folders() -> tuple[Path, ...]:
    return read().folders


def _rows(environment: Environment) -> list[tuple[str, ...]]:
    return [(device.name, *row) for device in environment.devices for row in device.origin_texts()]


def _deploy(options: argparse.Namespace) -> int:
    from OttoLibrary.run.bench import LEASE_S, Bench, BenchOptions, reference_to, stopped_by_signals
    from OttoLibrary.run.run_context import RunContext
    from OttoLibrary.run.session import Session
    from OttoLibrary.run.testbed_log import step_line

    if options.lease is not None and units.seconds(options.lease) <= 0:
        raise UsageError("--lease: a bench that is kept for no time is not kept. Write a duration such as '1 h'.")
    if options.release or options.keep:
        return _release(options) if options.release else _keep(options)
    lease_s = LEASE_S if options.lease is None or options.keeper else units.seconds(options.lease)
    how = BenchOptions(options.skip_boot, units.seconds(options.wait), lease_s, keeps=bool(options.keeper), given=options)
    reference = reference_to(options.environment, options.inventory, options.board)
    session = Session(reference, context=RunContext(tell=_say, suite_folder=options.settings_of))
    bench = Bench(session, reference, how, lambda step: _say(session.masker.mask(step_line(step))))
    failed: list[str] = []
    try:
        with stopped_by_signals(session.engine.interrupt), _kept(options) as kept:
            bench.deploy(lambda work: session.engine.call(work, interruptible=True))
            _say(f"{options.board} is up: {', '.join(bench.devices)}.")
            if kept is None:
                _wait_for_enter(session)
            else:
                _stay(kept, bench, options)
            # Those who wait for the end of a keeper wait for all of this.
            failed = session.engine.call(bench.end())
    except OttoError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    finally:
        try:
            failed += session.engine.call(bench.end())
        finally:
            session.close()
            for warning in session.journal.take_warnings():
                print(warning, file=sys.stderr)
    return 1 if failed else 0


def _place(options: argparse.Namespace) -> KeptBench:
    from OttoLibrary.lab.environment_files import found_file
    from OttoLibrary.run.kept_bench import KeptBench

    folders = [Path.cwd(), *_folders()]
    places = []
    for place in (options.environment, options.inventory):
        file = found_file(place, folders)
        places.append(str(file.resolve()) if file else place)
    return KeptBench(places[0], places[1], options.board)


def _keep(options: argparse.Namespace) -> int:
    """Start what keeps the bench up, and return when it is."""
    place = _place(options)
    lease = options.lease or "1 h"
    skipping = ["--skip-boot"] if options.skip_boot else []
    with place.turn():
        if place.is_up:
            raise UsageError(f"The bench '{options.board}' is kept up already. Release it with --release.")
        try:
            place.start(["--keeper", "0", "--lease", lease, "--wait", options.wait, *skipping])
        except DeployError as error:
            print(error, file=sys.stderr)
            return 1
    _say(f"{options.board} is up, and is kept for {lease}. Release it with --release.")
    return 0


def _release(options: argparse.Namespace) -> int:
    if not _place(options).ask_for_release():
        raise UsageError(f"Nobody keeps the bench '{options.board}' up.")
    _say(f"{options.board} is shut down and released.")
    return 0


@contextlib.contextmanager
def _kept(options: argparse.Namespace) -> Iterator[KeptBench | None]:
    """Give the place of the keeper that this process is, or None."""
    if not options.keeper:
        yield None
        return
    place = _place(options)
    with place.kept():
        yield place


def _stay(kept: KeptBench, bench: Bench, options: argparse.Namespace) -> None:
    """Keep the bench up as long as somebody wants it."""
    from OttoLibrary.run.kept_bench import Unused

    session = bench.session
    until = time.time() + units.seconds(options.lease or "1 h")
    unused = Unused(int(options.keeper)) if options.keeper != "0" else None
    kept.announce(bench.environment, session.reservations.user, until)

    async def wait() -> None:
        while kept.is_wanted(until, unused=unused):  # noqa: ASYNC110 - files are looked at
            await asyncio.sleep(_LOOK_S)

    with contextlib.suppress(OttoError):
        session.engine.call(wait(), interruptible=True)


def _wait_for_enter(session: Session) -> None:
    """Wait for the person at the terminal; without one there is nobody to wait for."""
    if not sys.stdin or sys.stdin.closed or not sys.stdin.isatty():
        return
    print("Press Enter to shut it down.", flush=True)
    with contextlib.suppress(OttoError):
        session.engine.call(_typed(), interruptible=True)


async def _typed() -> None:
    """Return at a line of standard input."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), typed.cancel)
    try:
        await asyncio.wait([typed])
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _say(sentence: str) -> None:
    print(printable(sentence), flush=True)
