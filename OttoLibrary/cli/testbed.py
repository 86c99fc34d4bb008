"""Commands for testbeds: what an environment and an inventory mean together."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.cli.table import print_table
from OttoLibrary.lab.environment import Environment, read_environment, without_secrets
from OttoLibrary.lab.settings import read

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    environment = commands.add_parser("environment", help="print the devices of a testbed, merged from both files")
    add_files(environment)
    environment.add_argument("--json", action="store_true", help="print them as JSON, a list of objects")
    environment.set_defaults(run=_print_environment)


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
