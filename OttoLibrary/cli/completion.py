"""Tab completion in bash, zsh and fish, by argcomplete: commands and options, and the labs and hosts that there are."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from OttoLibrary.errors import OttoError, PluginError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_PROGRAM = "ottolibrary"
# A ~/.zshrc that has nothing else does not start zsh's completion.
_ZSH_BEGIN = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"
# What a source may be asked for while somebody types: it reads files and runs nothing.
_QUIET = {"json", "ssh_config"}


def add_commands(commands: Commands) -> None:
    """Add the command to the parser."""
    completion = commands.add_parser("completion", help=f"print what makes a shell complete '{_PROGRAM}' by the tab key")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(run=_print_script)


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and end this process; return at once for every other call."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    import argcomplete

    for action in actions_of(parser):
        if action.dest == "lab":
            action.completer = _labs  # type: ignore[attr-defined]
        elif action.dest in {"host", "hosts"}:
            action.completer = _hosts  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, append_space=False)


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments and options of a parser and of all its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from actions_of(child)


def _print_script(options: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise PluginError(
            "Completion needs the package 'argcomplete'. Install it with: "
            f"{sys.executable} -m pip install 'robotframework-ottolibrary[completion]'"
        ) from None
    script = shellcode([_PROGRAM], shell=options.shell)
    if options.shell == "zsh":
        first, _, rest = script.lstrip().partition("\n")  # a file of fpath begins with it
        script = f"{first}\n{_ZSH_BEGIN}\n{rest}"
    print(script)
    return 0


def _labs(prefix: str, **_: Any) -> list[str]:
    """Return the labs; behind a comma, for one more lab."""
    from OttoLibrary.lab.settings import read
    from OttoLibrary.lab.source import known, reference_to

    before, comma, _last = prefix.rpartition(",")
    try:
        settings = read()
        found = [
            reference_to(name, source, settings)
            for source, labs in known(None, settings)
            if source in _QUIET and isinstance(labs, list)
            for name in labs
        ]
    except OttoError:
        return []
    return [f"{before}{comma}{name}" for name in found]


def _hosts(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the hosts of the lab that stands before, and their tags as selections."""
    from OttoLibrary.lab.loading import load_lab
    from OttoLibrary.lab.settings import read

    reference = getattr(parsed_args, "lab", "") or os.environ.get("OTTO_LAB", "")
    try:
        settings = read()
        reference = reference or str(settings.lab.get("default", ""))
        sources = {part.partition(":")[0] for part in reference.split(",") if ":" in part}
        if not reference or not sources <= _QUIET or settings.lab.get("backend", "json") not in _QUIET:
            return []
        lab = load_lab(reference, None, settings)
    except OttoError:
        return []
    tags = dict.fromkeys(f"tag:{tag}" for name in lab.names() for tag in lab.entry(name).tags)
    return [*lab.names(), *tags]
