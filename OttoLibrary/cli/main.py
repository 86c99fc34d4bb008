"""The command line: a lab's hosts and who has reserved them, what hosts do and did, and what a repository has for its tests."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from OttoLibrary.cli import completion, convert, lab, load, monitor, new, repository, reservations, scenario, testbed, tunnel
from OttoLibrary.cli.command_parser import PROGRAM, CommandParser, add_examples, overview
from OttoLibrary.errors import OttoError
from OttoLibrary.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when a host does not answer, 2 for a mistake."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # There, what looks like an option is an option of pabot or robot.
        if words[:1] == ["pabot"]:
            return repository.run_pabot(words[1:])
        parser = command_parser()
        completion.answer(parser)
        if not words:
            print(overview(parser))
            return 0
        options = parser.parse_args(words)
        return int(options.run(options))
    except OttoError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Who reads the output has enough, such as 'head'; what Python would flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def command_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = CommandParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--version", action="version", version=f"OttoLibrary {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (new, lab, convert, testbed, reservations, monitor, repository, scenario, tunnel, load, completion):
        group.add_commands(commands)
    add_examples(parser)
    return parser
