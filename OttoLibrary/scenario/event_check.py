"""Says what is wrong in what one event does, as far as its description alone tells: no lab, no suite and no host is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import UnknownNameError
from OttoLibrary.lab import selection
from OttoLibrary.scenario import disturbances
from OttoLibrary.scenario.events import DISTURBANCES, ScenarioEvent
from OttoLibrary.schema.source_position import SourcePosition
from OttoLibrary.text import some

if TYPE_CHECKING:
    from OttoLibrary.lab.lab import Lab


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
    position.at("load").wrong(f"there is no script '{name}'; searched: {some(folders)}")


def check_hosts(event: ScenarioEvent, position: SourcePosition, lab: Lab) -> None:
    """Note hosts that a lab does not have; what is written wrong is noted by ``check``."""
    is_disturbance = event.kind in DISTURBANCES
    key, expression = (event.kind, event.target.partition(" ")[0]) if is_disturbance else ("hosts", event.hosts)
    if not expression or (not is_disturbance and selection.mistake(expression)[0]):
        return
    try:
        found = lab.select(expression)
    except UnknownNameError as error:
        position.at(key).wrong(f"the lab has no host {error.name!r}", error.name, lab.names())
        return
    if not found:
        position.at(key).wrong(f"no host of the lab is selected by '{expression}'.{lab.meant(expression)}".removesuffix("."))
