"""What the users of a load do: a Robot keyword, a Python function, or a script, as the turrets need it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot.errors import DataError  # type: ignore[import-untyped]
from robot.libraries.BuiltIn import BuiltIn
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError
from OttoLibrary.load.plan import plain_json

ROBOT_COMMAND = (sys.executable, "-m", "OttoLibrary.run.robot_users")
# Libraries whose keywords need a run of Robot around them.
_NEEDS_ROBOT = ("OttoLibrary", "robot.")
# What Robot sets by itself in each process.
_OWN_VARIABLES = re.compile(
    r"[$@&]\{(?:(?:TEST|SUITE|PREV|KEYWORD|LOG|REPORT|OUTPUT|DEBUG|OPTIONS)\b.*|(?:EXECDIR|CURDIR|TEMPDIR|:|/|\\n|SPACE|EMPTY"
    r"|None|null|True|False|true|false|\d+)\})"
)


@dataclass(frozen=True)
class LoadTarget:
    """What users do.

    Attributes:
        title: How the report calls it.
        script: For turrets of Python, as ``load_maker`` has it; None for a Robot keyword.
        keyword: The Robot keyword, or nothing.
        arguments: Its arguments.
    """

    title: str
    script: dict[str, Any] | None = None
    keyword: str = ""
    arguments: tuple[Any, ...] = ()

    def for_hosts(self) -> tuple[dict[str, Any], list[Path]]:
        """Return what turrets on hosts run, and the files that they need; raise UsageError for what needs Robot Framework."""
        if self.script is None:
            raise UsageError(
                f"'{self.title}' needs Robot Framework, which hosts do not have. From hosts, fire a script or a keyword of a "
                "Python library that is one file."
            )
        script = dict(self.script)
        if "module" in script:
            name = script.pop("module").rpartition(".")[2]
            source = next((path for folder in script["path"] if (path := Path(folder) / f"{name}.py").is_file()), None)
            if source is None:
                raise UsageError(f"'{self.title}' is not in a library of one file. From hosts, fire a script.")
        else:
            source = Path(script["script"])
        return {**script, "script": source.name, "path": []}, [source]


def of_script(script: str, folder: Path) -> LoadTarget:
    """Return the class ``Transaction`` of a script, or with ``file.py:Name`` another class or function of it."""
    path, _, name = script.partition(":")
    place = folder / path
    if not place.is_file():
        raise UsageError(f"There is no script '{place}'.")
    what: dict[str, Any] = {"script": str(place)}
    if name and name[0].isupper():
        what["transaction"] = name
    elif name:
        what["function"] = name
    return LoadTarget(script, what)


def with_arguments(target: LoadTarget, arguments: tuple[Any, ...]) -> LoadTarget:
    """Return the target with arguments, which only a function takes."""
    if not arguments:
        return target
    if target.script is None or not target.script.get("function"):
        raise UsageError(f"'{target.title}' takes no arguments. Name a function of it, such as 'users.py:buy'.")
    return LoadTarget(target.title, {**target.script, "arguments": plain_json(list(arguments))})


def of_keyword(name: str, arguments: tuple[Any, ...]) -> LoadTarget:
    """Return a keyword as the running suite knows it; raise UnknownNameError or UsageError.

    A keyword of a Python library runs without Robot, in a thread for each user; any other in a process for each.
    """
    runner = EXECUTION_CONTEXTS.current.get_runner(name, recommend_on_failure=False)
    keyword = getattr(runner, "keyword", None)
    if keyword is None or getattr(keyword, "error", None):
        raise UsageError(f"There is no keyword '{name}' to fire: {_reason(keyword)}.")
    script = _python_function(keyword, arguments)
    if script is not None:
        return LoadTarget(name, script)
    _check_arguments(name, keyword, arguments)
    return LoadTarget(name, keyword=name, arguments=tuple(plain_json(list(arguments))))


def _check_arguments(name: str, keyword: Any, arguments: tuple[Any, ...]) -> None:
    """Raise UsageError when the keyword does not take these arguments: each user would fail each time."""
    if getattr(keyword, "embedded", None):
        return
    try:
        # Without variables only how many there are, and their names, are looked at.
        keyword.resolve_arguments(list(arguments))
    except DataError as error:
        raise UsageError(f"The users cannot run '{name}': {str(error).removesuffix('.')}.") from error


def _reason(keyword: Any) -> str:
    return str(getattr(keyword, "error", None) or "it is not known here").removesuffix(".")


def _python_function(keyword: Any, arguments: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return where the function of a library's keyword is, or None when it needs Robot."""
    method = getattr(keyword, "method_name", None)
    library = getattr(keyword, "owner", None)
    code = getattr(library, "code", None)
    if method is None or code is None or library is None:
        return None
    module = code.__module__ if isinstance(code, type) else code.__name__
    if module.startswith(_NEEDS_ROBOT) or "robot" in getattr(code, "ROBOT_LISTENER_API_VERSION", ()) or _uses_robot(code):
        return None
    try:
        positional, named = keyword.resolve_arguments(list(arguments), variables=EXECUTION_CONTEXTS.current.variables)
        what = {"function": method, "arguments": json.loads(json.dumps(positional)), "named": json.loads(json.dumps(dict(named)))}
    except (TypeError, ValueError):
        # An argument that only this process has.
        return None
    path = str(library.source.parent) if library.source else ""
    owner = {"owner": code.__qualname__, "owner_arguments": list(library.init.positional)} if isinstance(code, type) else {}
    return {**what, **owner, "module": module, "path": [path] if path else []}


def _uses_robot(code: Any) -> bool:
    """Whether a library calls Robot: its functions would fail without a run around them."""
    module = sys.modules.get(code.__module__) if isinstance(code, type) else code
    return (
        any(getattr(value, "__module__", "") == "robot.libraries.BuiltIn" for value in vars(module).values()) if module else True
    )


def suite_variables() -> dict[str, Any]:
    """Return the variables of the running suite that another process can have, without those that Robot makes itself."""
    found = {}
    for name, value in BuiltIn().get_variables().items():
        if _OWN_VARIABLES.match(name) or name.startswith("%"):
            continue
        try:
            found[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            continue
    return found


def suite_source() -> Path:
    """Return the file of the running suite; raise UsageError when it has none."""
    source = BuiltIn().get_variable_value("${SUITE SOURCE}")
    if not source:
        raise UsageError("A keyword can be fired only by a suite that has a file.")
    return Path(str(source))
