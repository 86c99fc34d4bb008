"""Says what is wrong in what one event does, as far as its description alone tells: no lab, no suite and no host is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from OttoLibrary.lab import selection
from OttoLibrary.scenario import disturbances
from OttoLibrary.scenario.events import DISTURBANCES, ScenarioEvent
from OttoLibrary.schema.source_position import SourcePosition


def check(event: ScenarioEvent, position: SourcePosition, options: Collection[str]) -> None:
    """Note what is wrong.

    Args:
        event: The event.
        position: Where it stands, and where mistakes go.
        options: The keys that an event may have; one that was mistyped may have become an argument.
    """
    if event.kind in DISTURBANCES:
        problem = disturbances.mistake(event.kind, event.target)
        if problem:
            position.at(event.kind).wrong(problem)
        if event.hosts:
            position.at("hosts").wrong(f"{event.kind!r} names its host itself; leave 'hosts' out")
    elif event.hosts:
        wrong, near, known = selection.mistake(event.hosts)
        if wrong:
            position.at("hosts").wrong(wrong, near, known)
    if event.kind in {"command", *DISTURBANCES}:
        for name in event.params:
            here = position.at("params").at(str(name))
            here.wrong(f"{str(name)!r} is no option of an event, and {event.kind!r} takes no arguments", str(name), options)


def check_script(event: ScenarioEvent, position: SourcePosition, folders: Sequence[Path]) -> None:
    """Note that the script of a load is in none of the folders."""
    name = event.target.partition(":")[0]
    if event.kind != "load" or not name.endswith(".py") or any((folder / name).is_file() for folder in folders):
        return
    searched = ", ".join(dict.fromkeys(str(folder) for folder in folders))
    position.at("load").wrong(f"there is no script '{name}'; searched: {searched}")
