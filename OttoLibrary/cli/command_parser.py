"""The parser of all commands: help with an example for each, and mistakes in one line."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NoReturn

from OttoLibrary.errors import did_you_mean

PROGRAM = "python -m OttoLibrary"
# A command, and one that can be typed as it is, or nearly.
EXAMPLES = {
    "new": "new my-tests",
    "labs": "labs",
    "hosts": "hosts demo",
    "check": "check demo",
    "schema": "schema > labs/lab.schema.json",
    "convert": "convert inventory.yml > labs/bench.json",
    "environment": "environment environment.json inventory.json --board BOARD",
    "deploy": "deploy environment.json inventory.json --board BOARD",
    "reservations": "reservations bench",
    "release": "release bench dut1 --force --reason 'the run of last night hangs'",
    "quarantine": "quarantine bench dut1 --reason 'the fan is broken'",
    "monitor": "monitor demo tag:dut --for '10 s'",
    "dashboard": "dashboard results --static results/dashboard.html",
    "pabot": "pabot --outputdir results --variable LAB:demo suites",
    "settings": "settings",
    "instructions": "instructions",
    "options": "options my_sut.RepoOptions",
    "scenario": "scenario show night.json",
    "scenario check": "scenario check night.json",
    "scenario show": "scenario show night.json",
    "scenario schema": "scenario schema > scenario.schema.json",
    "load": "load run my_project",
    "load new-project": "load new-project my_project",
    "load pack-turrets": "load pack-turrets my_project",
    "load rebuild-results": "load rebuild-results results my_project/config.json",
    "load results-to-csv": "load results-to-csv results/results.sqlite results.csv",
    "load compare": "load compare results/before results/after",
    "load run": "load run my_project",
    "load make-keys": "load make-keys my_project/keys",
    "tunnel": "tunnel bench dut1 443",
    "completion": "completion bash >> ~/.bashrc",
}


_CHOICES = re.compile(r"argument (?P<argument>.+?): invalid choice: '(?P<given>.*)' \(choose from (?P<known>.*)\)")


class CommandParser(argparse.ArgumentParser):
    """A parser whose mistakes are one line that says what to do."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"formatter_class": _Format, **settings})
        # '-5s' is a wrong value of the option before it, not an option.
        self._negative_number_matcher = re.compile(r"-\d")

    def error(self, message: str) -> NoReturn:
        """Print the mistake and end with status 2."""
        known = _CHOICES.fullmatch(message)
        what = f"{message.removeprefix('argument ')}."
        if known:
            choices = [word.strip(" '") for word in known["known"].split(",")]
            kind = "command" if known["argument"] == "COMMAND" else f"{known['argument']}"
            what = f"There is no {kind} '{known['given']}'.{did_you_mean(known['given'], choices)}"
        self.exit(2, f"{what[:1].upper()}{what[1:]} See: {self.prog} --help\n")


def add_examples(parser: argparse.ArgumentParser) -> None:
    """Add its example to the help of each command."""
    for name, command in commands_of(parser):
        if name in EXAMPLES and not command.epilog:
            command.epilog = f"Example: {PROGRAM} {EXAMPLES[name]}"


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command with its parser, those of a command too, by its first name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            named = {id(command): name for name, command in reversed(action.choices.items())}  # an alias comes behind its name
            for name, command in ((name, command) for name, command in action.choices.items() if named[id(command)] == name):
                yield f"{before}{name}", command
                yield from commands_of(command, f"{before}{name} ")


def overview(parser: argparse.ArgumentParser) -> str:
    """Return what there is, and what to try first."""
    rows = [
        (choice.dest, choice.help or "")
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for choice in action._choices_actions
    ]
    lines = [f"  {name:<14}{text}" for name, text in rows]
    return "\n".join([
        "OttoLibrary deploys, tests and monitors software on lab hosts. Try first, on the demo lab, which needs nothing:", "",
        f"  {PROGRAM} check demo        do its hosts answer?",
        f"  {PROGRAM} new my-tests      a folder with a suite that runs", "",
        "Commands:", *lines, "",
        f"Help and an example: {PROGRAM} COMMAND --help",
    ])  # fmt: skip


class _Format(argparse.HelpFormatter):
    """Examples stay in one line, to be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.indent(text, indent) if text.startswith("Example: ") else super()._fill_text(text, width, indent)
