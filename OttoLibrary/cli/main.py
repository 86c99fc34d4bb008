"""The command line: a lab's hosts and who has reserved them, what hosts do and did, and what a repository has for its tests."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from OttoLibrary.cli import convert, lab, monitor, repository, reservations, scenario, testbed, tunnel
from OttoLibrary.errors import OttoError
from OttoLibrary.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when a host does not answer, 2 for a mistake."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # There, what looks like an option is an option of pabot or robot.
        if words[:1] == ["pabot"]:
            return repository.run_pabot(words[1:])
        options = _parser().parse_args(words)
        return int(options.run(options))
    except OttoError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m OttoLibrary", description=__doc__)
    parser.add_argument("--version", action="version", version=f"OttoLibrary {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (lab, convert, testbed, reservations, monitor, repository, scenario, tunnel):
        group.add_commands(commands)
    return parser
