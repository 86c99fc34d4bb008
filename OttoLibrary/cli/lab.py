"""Commands for labs: the schema of lab files, the labs that there are, the hosts of one, and whether they answer."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from OttoLibrary.cli.table import add_json_option, print_json, print_rows, print_table
from OttoLibrary.deadline import Deadline
from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.lab.loading import schema
from OttoLibrary.lab.source import known, reference_to
from OttoLibrary.run import fanout
from OttoLibrary.run.session import Session

if TYPE_CHECKING:
    from OttoLibrary.lab.lab import Lab

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

LAB = "a lab: its name, path or SOURCE:NAME; or several joined by commas"
LAB_OR_DEFAULT = f"{LAB} (default: OTTO_LAB, or the one named in the settings)"
_AT_ONCE = 20


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    schema_parser = commands.add_parser("schema", help="print the JSON Schema of lab files")
    schema_parser.set_defaults(run=_print_schema)
    labs = commands.add_parser("labs", help="print all labs and the sources they come from")
    add_json_option(labs)
    labs.set_defaults(run=_print_labs)
    hosts = commands.add_parser("hosts", help="print a table of a lab's hosts and the hops to them")
    hosts.add_argument("lab", nargs="?", default="", help=LAB_OR_DEFAULT)
    add_json_option(hosts)
    hosts.set_defaults(run=_print_hosts)
    check = commands.add_parser("check", help="connect to each host of a lab and print which ones answer")
    check.add_argument("lab", nargs="?", default="", help=LAB_OR_DEFAULT)
    check.add_argument("--timeout", type=float, default=15.0, help="seconds for each host (default: 15)")
    add_json_option(check)
    check.set_defaults(run=_check)


def _print_schema(options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return 0


def _print_labs(options: argparse.Namespace) -> int:
    from OttoLibrary.lab.settings import import_init

    settings = Session().suite.settings
    import_init(settings)
    rows: list[tuple[str, str]] = []
    failed = False
    for source, labs in known(None, settings):
        if isinstance(labs, OttoError):
            print(labs, file=sys.stderr)
            failed = True
        else:
            rows += [(reference_to(name, source, settings), source) for name in labs]
    print_rows(options, ("LAB", "SOURCE"), rows)
    return 1 if failed else 0


def _print_hosts(options: argparse.Namespace) -> int:
    lab = Session(options.lab).lab.loaded
    if options.json:
        print_json([_host_of(lab, name) for name in lab.names()])
        return 0
    rows = []
    for name in lab.names():
        entry = lab.entry(name)
        rows.append((name, entry.transport, str(entry.address or "-"), " > ".join(lab.path(name)), ", ".join(entry.tags)))
    print_table(("HOST", "TRANSPORT", "ADDRESS", "PATH", "TAGS"), rows)
    return 0


def _host_of(lab: Lab, name: str) -> dict[str, object]:
    entry = lab.entry(name)
    place = {"transport": entry.transport, "address": entry.address or None, "path": lab.path(name), "tags": entry.tags}
    return {"host": name, **place, "labs": entry.labs}


def _check(options: argparse.Namespace) -> int:
    session = Session(options.lab)
    if not session.lab.loaded.names():
        raise UsageError(f"The lab '{options.lab}' has no hosts, so none was asked. Add them under 'hosts'.")

    async def ask(name: str) -> None:
        host = session.hosts.use(name)
        await host.connection.open(Deadline(options.timeout))
        await host.run_once("true", timeout_s=options.timeout)

    try:
        answers = session.engine.call(fanout.each(session.lab.loaded.names(), ask, _AT_ONCE))
    finally:
        session.close()
    rows = [(name, _answer(session, error)) for name, error in answers.items()]
    if options.json:
        print_json([{"host": name, "up": not answers[name], "answer": answer} for name, answer in rows])
    else:
        print_table(("HOST", "ANSWER"), rows)
    return 1 if any(answers.values()) else 0


def _answer(session: Session, error: OttoError | None) -> str:
    return session.masker.mask(str(error).partition("\n")[0]) if error else "up"
