"""The rules of the arrow: a file imports only from lower rows."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "OttoLibrary"
FOLDER = Path(__file__).parents[2] / PACKAGE
ADAPTERS, HOST, EDGE = 2, 3, 5
# A file of the package, or a folder of it, and its row.
ROWS = {
    0: ["deadline", "errors", "fanout", "given", "scales", "text", "units", "version"],
    1: [
        "contracts/",
        "engine",
        "inbox",
        "kinds",
        "labjson",
        "leasequeue",
        "login",
        "place",
        "profiles",
        "rates",
        "registry",
        "stream",
        "tcp",
    ],
    ADAPTERS: ["labsources/", "metrics/", "references/", "reservations/", "transfers/", "transports/"],
    HOST: [
        "acquiring",
        "background",
        "checksums",
        "chronicle",
        "console",
        "fields",
        "files",
        "folders",
        "host",
        "lab",
        "labsource",
        "launch",
        "lease",
        "line",
        "lines",
        "lineshell",
        "link",
        "ottolab",
        "promptshell",
        "settings",
        "shell",
        "steps",
        "steward",
        "transfer",
        "transcript",
        "trees",
        "uptime",
        "values",
        "watch",
    ],
    4: [
        "bounds",
        "charts",
        "chunks",
        "deploy",
        "evidence",
        "export",
        "instructions",
        "livesource",
        "load/",
        "monitor",
        "page",
        "recording",
        "report",
        "reserving",
        "scenario",
        "session",
        "stability",
        "statistics",
        "store",
        "summaries",
        "testing",
    ],
    EDGE: [
        "__main__",
        "artifacts",
        "cli",
        "examples/",
        "evidencelistener",
        "harmless",
        "keywords/",
        "library",
        "limits",
        "listener",
        "live",
        "lostresults",
        "modifiers",
        "options",
        "outputs",
        "parallel",
        "progress",
        "repeat",
        "suiteprocess",
        "testspans",
        "variables",
        "watcher",
        "webserver",
    ],
}
ROOT = "__init__"
OF_ROBOT = {"robot", "robotlibcore"}


@dataclass(frozen=True)
class Import:
    """One import: the file that does it, the module that it names, and the line."""

    file: str
    module: str
    line: int

    def __str__(self) -> str:
        return f"{PACKAGE}/{self.file}.py:{self.line} imports {self.module}"


def test_every_file_has_a_row() -> None:
    unknown = [file for file in _files(FOLDER) if file != ROOT and _row(file) is None]
    assert not unknown, f"No row is known for {', '.join(unknown)}. Say in ROWS of this test where each belongs."


def test_no_import_breaks_a_rule_of_the_arrow() -> None:
    broken = _broken(FOLDER)
    assert not broken, "\n" + "\n".join(broken)


def test_files_do_not_import_each_other_in_circles() -> None:
    graph: dict[str, set[str]] = {}
    for found in _imports(FOLDER):
        if found.module.startswith(PACKAGE) and (target := _file(found.module, FOLDER)) is not None:
            graph.setdefault(found.file, set()).add(target)
    circle = _circle(graph)
    assert not circle, f"The files import each other in a circle: {' -> '.join(circle)}"


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("shell", "from OttoLibrary.session import Session", "row 3, imports from row 4"),
        ("shell", "if TYPE_CHECKING:\n    from OttoLibrary import session", "row 3, imports from row 4"),
        ("contracts/facts", "def f():\n    import OttoLibrary.host", "row 1, imports from row 3"),
        ("host", "from .transports.ssh import Ssh", "rows 2 and 3 do not know each other"),
        ("transports/ssh", "from ..stream import Stream", ""),
        ("transports/ssh", "from . import local", "adapters of one folder do not know each other"),
        ("transports/ssh", "import OttoLibrary.references.env", "adapters do not know each other"),
        ("session", "from robot.api import logger", "only row 5 knows Robot Framework"),
        ("library", "from robotlibcore import DynamicCore", ""),
        ("session", "import asyncssh", "only adapters and the edge know other packages"),
        ("transports/ssh", "import asyncssh.misc", ""),
        ("library", "from OttoLibrary import __version__", "nobody imports the package root"),
        ("library", "import OttoLibrary", "nobody imports the package root"),
        ("library", "from OttoLibrary import host", ""),
        ("text", "import json\nfrom __future__ import annotations", ""),
        ("keywords/lab", "from OttoLibrary.keywords.component import Component", ""),
    ],
)
def test_rules_are_noticed(tmp_path: Path, file: str, source: str, rule: str) -> None:
    others = [
        "__init__",
        "host",
        "session",
        "stream",
        "transports/local",
        "transports/ssh",
        "references/env",
        "keywords/component",
    ]
    for name in [*others, file]:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source if name == file else "")
    broken = _broken(tmp_path)
    assert len(broken) == bool(rule), broken
    assert rule in "".join(broken)


def _broken(folder: Path) -> list[str]:
    return [f"{found}: {rule}." for found in _imports(folder) if (rule := _broken_rule(found, folder))]


def _broken_rule(found: Import, folder: Path) -> str:
    """Return the rule that an import breaks, or nothing."""
    if found.file == ROOT:
        return ""
    row = _row(found.file)
    if row is None:
        return ""  # told by the test of the rows
    top = found.module.partition(".")[0]
    if top in OF_ROBOT:
        return "" if row == EDGE else "only row 5 knows Robot Framework"
    if top != PACKAGE:
        return (
            "" if row in {ADAPTERS, EDGE} or top in sys.stdlib_module_names else "only adapters and the edge know other packages"
        )
    target = _file(found.module, folder)
    if target is None or target == ROOT:
        return "nobody imports the package root" if target else "there is no such file"
    return _broken_order(found.file, row, target)


def _broken_order(file: str, row: int, target: str) -> str:
    other = _row(target)
    if other is None:
        return ""
    if {row, other} == {ADAPTERS, HOST}:
        return "rows 2 and 3 do not know each other"
    if row == other == ADAPTERS:
        same = file.partition("/")[0] == target.partition("/")[0]
        return "adapters of one folder do not know each other" if same else "adapters do not know each other"
    return f"row {row}, imports from row {other}" if other > row else ""


def _row(file: str) -> int | None:
    folder, slash, _ = file.partition("/")
    wanted = folder + slash
    return next((row for row, files in ROWS.items() if wanted in files), None)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py"))


def _file(module: str, folder: Path) -> str | None:
    """Return the file of a module of the package."""
    parts = module.split(".")[1:]
    path = "/".join(parts)
    if not parts:
        return ROOT
    if (folder / f"{path}.py").is_file():
        return path
    return f"{path}/{ROOT}" if (folder / path).is_dir() else None


def _imports(folder: Path) -> Iterator[Import]:
    """Yield all imports, those inside functions and ``if TYPE_CHECKING`` too."""
    for file in _files(folder):
        for node in ast.walk(ast.parse((folder / f"{file}.py").read_text(), file)):
            if isinstance(node, ast.Import):
                yield from (Import(file, name.name, node.lineno) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = _origin(file, node)
                modules = {_most_exact(origin, name.name, folder) for name in node.names}
                yield from (Import(file, module, node.lineno) for module in sorted(modules))


def _origin(file: str, node: ast.ImportFrom) -> str:
    """Return the absolute name of what is imported from."""
    if not node.level:
        return node.module or ""
    package = [PACKAGE, *file.split("/")][: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _most_exact(origin: str, name: str, folder: Path) -> str:
    """Return the module that ``from origin import name`` means: ``name`` may be one itself."""
    inner = f"{origin}.{name}"
    is_ours = origin == PACKAGE or origin.startswith(f"{PACKAGE}.")
    return inner if is_ours and _file(inner, folder) is not None else origin


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the files of one circle in the order of their imports; none when there is none."""
    done: set[str] = set()

    def follow(file: str, way: list[str]) -> list[str]:
        if file in way:
            return [*way[way.index(file) :], file]
        if file in done:
            return []
        for target in sorted(graph.get(file, ())):
            if found := follow(target, [*way, file]):
                return found
        done.add(file)
        return []

    return next((circle for file in sorted(graph) if (circle := follow(file, []))), [])
