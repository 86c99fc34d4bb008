"""Commands about scenarios: check a description, and show what would happen when."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import OttoError
from OttoLibrary.units import seconds

if TYPE_CHECKING:
    from OttoLibrary.scenario.description import Description

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_MOST_TIMES = 50


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    scenario = commands.add_parser("scenario", help="check the description of a scenario, or show its plan, without running it")
    groups = scenario.add_subparsers(required=True, metavar="check|show|schema")
    check = groups.add_parser("check", help="say every mistake in descriptions, or what they do in words")
    check.add_argument("file", nargs="+", help="a description, or a folder of them")
    check.set_defaults(run=_check)
    show = groups.add_parser("show", help="print the plan of a description in words and times")
    show.add_argument("file", help="a description")
    show.add_argument("--duration", help="how long it takes, in place of what it says itself")
    show.add_argument("--times", type=int, default=_MOST_TIMES, help=f"how many times to list (default: {_MOST_TIMES})")
    show.set_defaults(run=_show)
    schema = groups.add_parser("schema", help="print the JSON Schema of descriptions, for editors")
    schema.set_defaults(run=_schema)


def _check(options: argparse.Namespace) -> int:
    from OttoLibrary.scenario import description

    wrong = 0
    for given in options.file:
        for file in description.files_in(Path(given)):
            try:
                _tell(description.read(file, _folders_of_scripts(file)))
            except OttoError as error:
                print(error, file=sys.stderr)
                wrong += 1
    return 2 if wrong else 0


def _folders_of_scripts(file: Path) -> list[Path]:
    """Return where scripts may be: beside a suite, which is near the description or the current folder."""
    folder = file.absolute().parent
    beside = [path for path in sorted(folder.parent.iterdir()) if path.is_dir()]
    return list(dict.fromkeys([folder, Path.cwd(), folder.parent, *beside]))


def _show(options: argparse.Namespace) -> int:
    from OttoLibrary.scenario import description, plan_text

    found = description.read(Path(options.file))
    if options.duration:
        found = replace(found, scenario=replace(found.scenario, duration_s=seconds(options.duration)))
    _tell(found)
    print(f"The first {options.times} times, if it started now:")
    for line in plan_text.times(found.scenario, time.time(), options.times):
        print(line)
    return 0


def _schema(options: argparse.Namespace) -> int:
    from OttoLibrary.scenario import description

    print(json.dumps(description.schema(), indent=2))
    return 0


def _tell(found: Description) -> None:
    from OttoLibrary.scenario import plan_text

    for line in plan_text.words(found.scenario, time.time()):
        print(line)
    for note in found.notes:
        print(f"  Note: {note}")
