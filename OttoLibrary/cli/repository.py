"""Commands for a repository of tests: its settings, its instructions and their options, and pabot on its suites."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.cli.table import print_table
from OttoLibrary.errors import UsageError

if TYPE_CHECKING:
    from OttoLibrary.instructions.instructions import Instruction

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# The values of other settings may be passwords.
_SHOWN = {"backend", "default", "interval", "metrics", "hosts", "store"}
_FOLDER = "where the search for .otto/settings.toml starts, upwards (default: here)"


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    commands.add_parser(
        "pabot", help="run pabot so that its report has every test, however suites and the run end; all arguments are pabot's"
    )
    settings = commands.add_parser("settings", help="print the settings that apply here, and their files")
    settings.add_argument("folder", nargs="?", help=_FOLDER)
    settings.add_argument("--tests", action="store_true", help="print only the folders with suites, one per line")
    settings.set_defaults(run=_print_settings)
    instructions = commands.add_parser("instructions", help="print the instructions of the init modules")
    instructions.add_argument("folder", nargs="?", help=_FOLDER)
    instructions.set_defaults(run=_print_instructions)
    options = commands.add_parser("options", help="print the fields of an options class, with help, types and defaults")
    options.add_argument("name", nargs="?", help="the class, such as my_sut.RepoOptions (default: those that instructions take)")
    options.set_defaults(run=_print_options)


def run_pabot(words: Sequence[str]) -> int:
    """Run pabot with these arguments and return its exit status."""
    from OttoLibrary.parallel.pabot import run

    return run(words)


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
    return f"{name} = {value}" if name in _SHOWN else name


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
        print_table(("VARIABLE", "TYPE", "DEFAULT", "HELP"), rows)
    return 0


def _folder(given: str | None) -> Path | None:
    folder = Path(given).absolute() if given else None
    if folder is not None and not folder.is_dir():
        raise UsageError(f"There is no folder '{folder}'.")
    return folder


def _instructions(folder: Path | None, *, needed: bool = True) -> list[Instruction]:
    """Return the instructions of the settings that apply in a folder; raise UsageError for none, when they are needed."""
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
