"""Commands for a repository of tests: its settings, its instructions and their options, and pabot on its suites."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.cli.table import add_json_option, print_json, print_table
from OttoLibrary.errors import UsageError

if TYPE_CHECKING:
    from OttoLibrary.instructions.instructions import Instruction
    from OttoLibrary.lab.settings import Repository

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# The values of other settings may be passwords.
_SHOWN = {"backend", "default", "interval", "metrics", "hosts", "store"}
_LISTS = ("labs", "libs", "tests", "init")
_TABLES = ("lab", "reservations", "monitor", "defaults")
_FOLDER = "where the search for .otto/settings.toml starts, upwards (default: here)"


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    commands.add_parser(
        "pabot", help="run pabot so that its report has every test, however suites and the run end; all arguments are pabot's"
    )
    settings = commands.add_parser("settings", help="print the settings that apply here, and their files")
    settings.add_argument("folder", nargs="?", help=_FOLDER)
    settings.add_argument("--tests", action="store_true", help="print only the folders with suites, one per line")
    add_json_option(settings)
    settings.set_defaults(run=_print_settings)
    instructions = commands.add_parser("instructions", help="print the instructions of the init modules")
    instructions.add_argument("folder", nargs="?", help=_FOLDER)
    add_json_option(instructions)
    instructions.set_defaults(run=_print_instructions)
    options = commands.add_parser("options", help="print the fields of an options class, with help, types and defaults")
    options.add_argument("name", nargs="?", help="the class, such as my_sut.RepoOptions (default: those that instructions take)")
    add_json_option(options)
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
    if options.json:
        print_json([_repository(repository) for repository in found.repositories])
        return 0
    if not found.repositories:
        print(f"There is no {settings.FILE} here or above.")
    for repository in found.repositories:
        print(f"{repository.name} {repository.version}    {repository.file}")
        for key in _LISTS:
            print(f"    {key}: {', '.join(map(str, getattr(repository, key))) or '-'}")
        for key in _TABLES:
            table: Mapping[str, object] = getattr(repository, key)
            print(f"    [{key}] {', '.join(_setting(*entry) for entry in table.items()) or '-'}")
    return 0


def _repository(repository: Repository) -> dict[str, object]:
    tables = {key: getattr(repository, key) for key in _TABLES}
    return {
        "name": repository.name,
        "version": repository.version,
        "file": repository.file,
        **{key: getattr(repository, key) for key in _LISTS},
        **{key: {name: value if name in _SHOWN else None for name, value in table.items()} for key, table in tables.items()},
    }


def _setting(name: str, value: object) -> str:
    return f"{name} = {value}" if name in _SHOWN else name


def _print_instructions(options: argparse.Namespace) -> int:
    from OttoLibrary.instructions.options import is_options, shown_class
    from OttoLibrary.keywords.instructions import call_of
    from OttoLibrary.library import OttoLibrary

    found = [(instruction, call_of(instruction, OttoLibrary)) for instruction in _instructions(_folder(options.folder))]
    if options.json:
        rows = [
            {"name": one.name, "arguments": str(call.arguments), "summary": one.summary, "place": one.place}
            for one, call in found
        ]
        print_json(rows)
        return 0
    for instruction, call in found:
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
    titles = ("VARIABLE", "TYPE", "DEFAULT", "HELP")
    tables = {
        shown_class(kind): [
            (one.variable, one.type_text, "(needed)" if one.required else one.default, one.help) for one in options_of(kind)
        ]
        for kind in kinds
    }
    if options.json:
        print_json({name: [dict(zip(map(str.lower, titles), row, strict=True)) for row in rows] for name, rows in tables.items()})
        return 0
    for name, rows in tables.items():
        print(name)
        print_table(titles, rows)
    return 0


def _folder(given: str | None) -> Path | None:
    folder = Path(given).expanduser().absolute() if given else None
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
