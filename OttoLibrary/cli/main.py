"""The command line: the schema of lab files, a lab's hosts, whether they answer, what they do, and what they did."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import NotFreeError, OttoError, UsageError
from OttoLibrary.lab.loading import schema
from OttoLibrary.lab.source import known, reference_to
from OttoLibrary.reservation.leases import holding_text
from OttoLibrary.run.session import RECORDING, Session
from OttoLibrary.text import listed
from OttoLibrary.units import seconds
from OttoLibrary.version import VERSION

if TYPE_CHECKING:
    from OttoLibrary.dashboard.page_source import RecordedSource, Source
    from OttoLibrary.instructions.instructions import Instruction

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_AT_ONCE = 20
_LOOPBACK = "127.0.0.1"
_LAB = "a lab: its name, path or SOURCE:NAME; or several joined by commas"
_LAB_OR_DEFAULT = f"{_LAB} (default: OTTO_LAB, or what the settings say)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when a host does not answer, 2 for a mistake."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    # What looks like an option is pabot's or robot's there.
    options = argparse.Namespace(run=_run_pabot, words=words[1:]) if words[:1] == ["pabot"] else _parser().parse_args(words)
    try:
        return int(options.run(options))
    except OttoError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m OttoLibrary", description=__doc__)
    parser.add_argument("--version", action="version", version=f"OttoLibrary {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_lab_commands, _add_reservation_commands, _add_monitor_commands, _add_repository_commands):
        add(commands)
    return parser


def _add_lab_commands(commands: Commands) -> None:
    schema_parser = commands.add_parser("schema", help="print the JSON Schema of lab files")
    schema_parser.set_defaults(run=_print_schema)
    labs = commands.add_parser("labs", help="print the labs that there are and where they come from")
    labs.set_defaults(run=_print_labs)
    hosts = commands.add_parser("hosts", help="print a table of a lab's hosts and the hops to them")
    hosts.add_argument("lab", nargs="?", default="", help=_LAB_OR_DEFAULT)
    hosts.set_defaults(run=_print_hosts)
    check = commands.add_parser("check", help="connect to each host of a lab and say who answers")
    check.add_argument("lab", nargs="?", default="", help=_LAB_OR_DEFAULT)
    check.add_argument("--timeout", type=float, default=15.0, help="seconds for each host (default: 15)")
    check.set_defaults(run=_check)


def _add_reservation_commands(commands: Commands) -> None:
    reservations = commands.add_parser("reservations", help="print who has which host of a lab")
    reservations.add_argument("lab", nargs="?", default="", help=_LAB_OR_DEFAULT)
    reservations.set_defaults(run=_print_reservations)
    release = commands.add_parser("release", help="give back hosts that are reserved")
    release.add_argument("lab", help=_LAB)
    release.add_argument("hosts", help="which hosts: a selection such as dut1 or tag:dut")
    release.add_argument("--force", action="store_true", help="also from others")
    release.add_argument("--reason", default="", help="why; needed with --force, and told to who loses them")
    release.set_defaults(run=_release)


def _add_monitor_commands(commands: Commands) -> None:
    monitor = commands.add_parser("monitor", help="watch the hosts of a lab, with a live table, until Ctrl-C")
    monitor.add_argument("lab", help=_LAB)
    monitor.add_argument("hosts", nargs="?", default="", help="which hosts: a selection such as tag:dut (default: all)")
    monitor.add_argument("--interval", help="time between two readings (default: 2s)")
    monitor.add_argument("--metrics", default="", help="what to read, joined by commas (default: the usual ones)")
    monitor.add_argument("--db", help="file to record in")
    monitor.add_argument("--label", default="", help="what the recording is called")
    monitor.add_argument("--for", dest="duration", help="stop by itself after so long, such as '10 min'")
    monitor.add_argument("--web", action="store_true", help="serve a live page too, and print its address")
    _add_server_options(monitor)
    monitor.set_defaults(run=_monitor)
    dashboard = commands.add_parser("dashboard", help="show what was recorded on a page, or write the page as one file")
    dashboard.add_argument("recording", help="a recording (metrics.db), or the output folder of a run with all that it recorded")
    dashboard.add_argument("--static", metavar="FILE.html", help="write one file that needs no server, and end")
    _add_server_options(dashboard)
    dashboard.set_defaults(run=_dashboard)


def _add_repository_commands(commands: Commands) -> None:
    commands.add_parser(
        "pabot", help="run pabot so that its report has every test, however suites and run end; all arguments are pabot's"
    )
    settings = commands.add_parser("settings", help="print what the settings files say that count here")
    settings.add_argument("folder", nargs="?", help="where to look for .otto/settings.toml upwards (default: here)")
    settings.add_argument("--tests", action="store_true", help="print only the folders with suites, a line each")
    settings.set_defaults(run=_print_settings)
    instructions = commands.add_parser("instructions", help="print the instructions of the init modules")
    instructions.add_argument("folder", nargs="?", help="where to look for .otto/settings.toml upwards (default: here)")
    instructions.set_defaults(run=_print_instructions)
    options = commands.add_parser("options", help="print the fields of an options class, with help, types and defaults")
    options.add_argument("name", nargs="?", help="the class, such as my_sut.RepoOptions (default: those that instructions take)")
    options.set_defaults(run=_print_options)


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
        raise UsageError("--port, --bind and --tls are about the page: add --web.")
    session = Session(options.lab)
    names = session.select(session.watching("hosts", options.hosts, "*"))
    metrics = listed(session.watching("metrics", options.metrics, ""))
    interval_s = seconds(session.watching("interval", options.interval, "2s"))
    duration_s = seconds(options.duration) if options.duration else None
    try:
        session.start_monitor(names, metrics, interval_s, Path(options.db) if options.db else None, options.label)
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
    place = Path(options.recording)
    if options.static:
        return _write_page(place, Path(options.static))
    from OttoLibrary.cli.live_table import until_signal

    log = place / "log.html" if place.is_dir() else None
    with until_signal() as stopped, _served(_recorded(place, "log.html"), options, log):
        stopped.wait()
    return 0


def _write_page(place: Path, target: Path) -> int:
    from OttoLibrary.dashboard.page_source import static_page

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
    """Return a recording, or all of a run with its tests, which link to ``log``."""
    from OttoLibrary.dashboard.page_source import RecordedSource

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
    """Serve a page meanwhile, and print its address."""
    from OttoLibrary.dashboard.server import Dashboard

    dashboard = Dashboard(source, address=options.bind, port=options.port, certificate=options.tls, log=log)
    dashboard.start()
    try:
        print(f"Dashboard: {dashboard.url}", flush=True)
        yield
    finally:
        dashboard.stop()


def _print_reservations(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    hosts = list(session.lab.hosts.values())
    holdings = session.reservations.holdings(hosts)
    rows = []
    for host in hosts:
        for resource in host.needs:
            held = [(holding.user, holding.process, holding.purpose) for holding in holdings if holding.resource == resource]
            rows += [(host.name, resource, *cells) for cells in held or [("free", "", "")]]
    session.close()
    _print_table(("HOST", "RESOURCE", "USER", "PROCESS", "PURPOSE"), rows)
    return 0


def _release(options: argparse.Namespace) -> int:
    if options.force and not options.reason:
        raise UsageError("Hosts are taken by force only with a reason, which is told to who loses them. Give it with --reason.")
    session = Session(options.lab)
    reservations, user = session.reservations, session.reservations.user
    holdings = reservations.holdings(map(session.lab.entry, session.select(options.hosts)))
    others = [holding_text(holding) for holding in holdings if holding.user != user]
    if others and not options.force:
        raise NotFreeError("These are others' hosts", others, "Ask them, or take them with --force and --reason.")
    for holding in holdings:
        reservations.leasing.release_forced(holding.resource, user, options.reason or "released by hand")
        print(f"Released {holding_text(holding)}.")
    session.close()
    return 0


def _print_settings(options: argparse.Namespace) -> int:
    from OttoLibrary.lab import settings

    found = settings.read(_folder(options.folder))
    if options.tests:
        print("\n".join(map(str, found.tests)))
        return 0
    if not found.repositories:
        print(f"There is no {settings.FILE} here or above.")
    for repository in found.repositories:
        print(f"{repository.name} {repository.version}    {repository.file}")
        for key in ("labs", "libs", "tests", "init"):
            print(f"    {key}: {', '.join(map(str, getattr(repository, key))) or '-'}")
        for key in ("lab", "reservations", "monitor", "defaults"):
            table: Mapping[str, object] = getattr(repository, key)
            print(f"    [{key}] {', '.join(_setting(*entry) for entry in table.items()) or '-'}")
    return 0


def _setting(name: str, value: object) -> str:
    # Of the others some may hold passwords.
    return f"{name} = {value}" if name in {"backend", "default", "interval", "metrics", "hosts", "store"} else name


def _print_instructions(options: argparse.Namespace) -> int:
    from OttoLibrary.instructions.options import is_options, shown_class
    from OttoLibrary.keywords.instructions import call_of
    from OttoLibrary.library import OttoLibrary

    for instruction in _instructions(_folder(options.folder)):
        call = call_of(instruction, OttoLibrary)
        print(f"{instruction.name}    {call.arguments}".rstrip())
        print(f"    {instruction.summary or '(no documentation)'}")
        for kind in filter(is_options, call.given.values()):
            print(f"    Options: {shown_class(kind)}")
        print(f"    {instruction.place}")
    return 0


def _print_options(options: argparse.Namespace) -> int:
    from OttoLibrary.instructions.options import check_options, is_options, load_class, options_of, shown_class
    from OttoLibrary.keywords.instructions import call_of
    from OttoLibrary.library import OttoLibrary

    instructions = _instructions(None, needed=not options.name)
    kinds = [load_class(options.name)] if options.name else []
    if not options.name:
        given = [kind for instruction in instructions for kind in call_of(instruction, OttoLibrary).given.values()]
        kinds = [kind for kind in dict.fromkeys(given) if is_options(kind)]
    if not kinds:
        raise UsageError("No instruction takes options. Name a class, such as my_sut.RepoOptions.")
    for kind in kinds:
        check_options(kind)
        print(shown_class(kind))
        rows = [(one.variable, one.type_text, "(needed)" if one.required else one.default, one.help) for one in options_of(kind)]
        _print_table(("VARIABLE", "TYPE", "DEFAULT", "HELP"), rows)
    return 0


def _folder(given: str | None) -> Path | None:
    folder = Path(given).absolute() if given else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"There is no folder '{folder}'.")
    return folder


def _instructions(folder: Path | None, *, needed: bool = True) -> list[Instruction]:
    """Return the instructions of the settings that count in a folder; raise UsageError for none, when they are needed."""
    from OttoLibrary.instructions.instructions import registered
    from OttoLibrary.lab import settings

    found = settings.read(folder)
    settings.import_init(found)
    if needed and not registered():
        files = ", ".join(str(one.file) for one in found.repositories) or f"no {settings.FILE} here or above"
        raise UsageError(
            f"There are no instructions ({files}). Name the modules that have them in 'init' of .otto/settings.toml."
        )
    return registered()


def _run_pabot(options: argparse.Namespace) -> int:
    from OttoLibrary.parallel.pabot import run

    return run(options.words)


def _print_schema(options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0


def _print_labs(options: argparse.Namespace) -> int:
    from OttoLibrary.lab.settings import import_init

    settings = Session().settings
    import_init(settings)
    rows: list[tuple[str, str]] = []
    silent = False
    for source, labs in known(None, settings):
        if isinstance(labs, OttoError):
            print(labs, file=sys.stderr)
            silent = True
        else:
            rows += [(reference_to(name, source, settings), source) for name in labs]
    _print_table(("LAB", "SOURCE"), rows)
    return 1 if silent else 0


def _print_hosts(options: argparse.Namespace) -> int:
    lab = Session(options.lab).lab
    rows = []
    for name in lab.names():
        entry = lab.entry(name)
        rows.append((name, entry.transport, str(entry.address or "-"), " > ".join(lab.path(name)), ", ".join(entry.tags)))
    _print_table(("HOST", "TRANSPORT", "ADDRESS", "PATH", "TAGS"), rows)
    return 0


def _check(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    try:
        names = session.lab.names()
        problems = session.run(_ask_all(session, names, options.timeout))
    finally:
        session.close()
    _print_table(
        ("HOST", "ANSWER"), [(name, session.masker.mask(problem) if problem else "up") for name, problem in problems.items()]
    )
    return 1 if any(problems.values()) else 0


async def _ask_all(session: Session, names: list[str], timeout_s: float) -> dict[str, str]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str) -> str:
        async with slots:
            try:
                host = session.host(name)
                await host.link.open(Deadline(timeout_s))
                await host.run_once("true", timeout_s=timeout_s)
            except OttoError as error:
                return str(error).partition("\n")[0]
            return ""

    answers = await asyncio.gather(*map(ask, names))
    return dict(zip(names, answers, strict=True))


def _print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    for row in [titles, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
