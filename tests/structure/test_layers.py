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
# From top to bottom. What stands on one line do not know each other; ``*`` is what stays directly in the package.
FLOORS = (
    "__main__  testing  examples",
    "cli",
    "library",
    "keywords  parallel",
    "instructions  dashboard",
    "run",
    "scenario",
    "testbed  load",
    "transfer  reservation  monitor",
    "host",
    "shell  lab",
    "schema  report  transport",
    "contracts",
    "*",
)
RANKS = {name: rank for rank, floor in enumerate(reversed(FLOORS)) for name in floor.split()}
RUN = RANKS["run"]
ADAPTERS = (
    "transport",
    "transfer/protocols",
    "monitor/metrics",
    "lab/sources",
    "lab/references",
    "reservation/backends",
    "testbed/devices",
    "testbed/power",
)
ROOT = "__init__"
OF_ROBOT = {"robot", "robotlibcore"}
MOST_AT_THE_TOP = 12
# What stands in a folder of adapters and is none: what they share.
NO_ADAPTERS = {
    *("channels", "client_config", "host_trust", "known_hosts", "login"),
    *("gathered_writes", "lines_only", "receive_buffer", "restored_signals", "ssh_options", "ssh_session", "tcp"),
}
# One word for one thing, in two kinds.
SAME_THING = {
    "artifacts",
    "disturbances",
    "console",
    "files",
    "instructions",
    "environment",
    "lab",
    "labs",
    "load",  # the noun, and the metric that Unix calls so
    "monitor",
    "options",
    "reservations",
    "testbed",  # the noun and its keywords or contract
    "scenario",
    "scenarios",
    "tunnel",
    "tunnels",  # the noun and its keywords or contract
    "file",
    "json",
    "local",
    "pabot",
    "snmp",
    "tcp",  # adapters are called as suites and labs call them
}
WHO_KNOWS_ADAPTERS = {}
# The parts of the transport ssh know its package too.
# What is below run/ and needs another's package all the same: errors hide secrets before anything is cut, the merge that an
# environment means is that of another's package, cron expressions are checked where descriptions are, and of load one file
# knows each package and says so when it is missing.
WHO_KNOWS_PACKAGES = {
    "masking": "ahocorasick_rs",
    "shell/search_pattern": "regex",
    "lab/environment": "jsonmerge",
    "scenario/cron": "cronsim",
    "testbed/hooks": "pluggy",
    "testbed/pexpect_console": "pexpect",
    "testbed/vitro_bridge": "vitro",
    "load/sockets": "zmq",
    "load/report_page": "jinja2",
    "load/turret/curve_connection": "zmq",
    "load/locust_engine/locust_turret": "locust gevent",
    "load/locust_engine/locustfiles/transaction_users": "locust",
    **dict.fromkeys(("transport/host_trust", "transport/ssh_options", "transport/ssh_session"), "asyncssh"),
}


@dataclass(frozen=True)
class Import:
    """One import: the file that does it, the module that it names, and the line."""

    file: str
    module: str
    line: int

    def __str__(self) -> str:
        return f"{PACKAGE}/{self.file}.py:{self.line} imports {self.module}"


def test_every_folder_has_a_floor() -> None:
    unknown = {file for file in _files(FOLDER) if "/" in file and file.partition("/")[0] not in RANKS}
    assert not unknown, f"No floor is known for {', '.join(sorted(unknown))}. Say in FLOORS of this test where the folder stands."


def test_few_modules_stand_outside_of_the_folders() -> None:
    outside = [file for file in _files(FOLDER) if "/" not in file]
    assert len(outside) <= MOST_AT_THE_TOP, f"Find a folder for one of {', '.join(outside)}."


def test_every_folder_says_what_it_is_for() -> None:
    for file in _files(FOLDER):
        folder, slash, name = file.rpartition("/")
        if name == ROOT and slash and "/" not in folder and folder != "examples":
            lines = (ast.get_docstring(ast.parse((FOLDER / f"{file}.py").read_text())) or "").splitlines()
            said = [line for line in lines if line.strip()]
            assert len(said) >= 3, f"{file}.py: say what the folder is for, what its face is, and what it never does."


def test_no_public_class_name_is_used_twice() -> None:
    owners: dict[str, list[str]] = {}
    for file in _files(FOLDER):
        for node in ast.parse((FOLDER / f"{file}.py").read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                owners.setdefault(node.name, []).append(file)
    twice = {name: files for name, files in owners.items() if len(files) > 1}
    assert not twice, f"Two classes of one name: {twice}"


def test_no_file_name_is_used_for_two_things() -> None:
    owners: dict[str, list[str]] = {}
    for file in _files(FOLDER):
        owners.setdefault(file.rpartition("/")[2], []).append(file)
    twice = {name: files for name, files in owners.items() if name not in {ROOT, *SAME_THING} and len(files) > 1}
    assert not twice, f"Two files of one name for different things: {twice}"


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
        ("shell/console", "from OttoLibrary.run.session import Session", "shell/ imports from run/, which stands above it"),
        (
            "shell/console",
            "if TYPE_CHECKING:\n    from OttoLibrary.run import session",
            "shell/ imports from run/, which stands above it",
        ),
        ("contracts/facts", "def f():\n    import OttoLibrary.host.host", "contracts/ imports from host/, which stands above it"),
        ("text", "from OttoLibrary.contracts.facts import HostFacts", "the top imports from contracts/, which stands above it"),
        ("host/host", "from ..transport.ssh import Ssh", "adapters are reached through registry"),
        ("transport/ssh", "from .tcp import TcpChannel", ""),
        ("transport/ssh", "from . import local", "adapters do not know each other"),
        ("shell/console", "import OttoLibrary.lab.lab", "shell/ and lab/ stand side by side"),
        ("lab/references/env", "import OttoLibrary.lab.sources.json", "adapters do not know each other"),
        ("monitor/monitor", "from robot.api import logger", "Robot Framework is known from run/ upwards"),
        ("library", "from robotlibcore import DynamicCore", ""),
        ("run/session", "import rich", ""),
        ("monitor/monitor", "import asyncssh", "only adapters, and folders from run/ upwards, know other packages"),
        ("transport/ssh", "import asyncssh.misc", ""),
        ("library", "from OttoLibrary import __version__", "nobody imports the package root"),
        ("library", "import OttoLibrary", "nobody imports the package root"),
        ("library", "from OttoLibrary.host import host", ""),
        ("text", "import json\nfrom __future__ import annotations", ""),
        ("keywords/lab", "from OttoLibrary.keywords.component import Component", ""),
    ],
)
def test_rules_are_noticed(tmp_path: Path, file: str, source: str, rule: str) -> None:
    others = [
        "__init__",
        "contracts/facts",
        "host/host",
        "keywords/component",
        "lab/lab",
        "lab/references/env",
        "lab/sources/json",
        "run/session",
        "transport/local",
        "transport/ssh",
        "transport/tcp",
    ]
    for name in [*others, file]:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
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
    top = found.module.partition(".")[0]
    if top in OF_ROBOT:
        return "" if _rank(found.file) >= RUN else "Robot Framework is known from run/ upwards"
    if top != PACKAGE:
        is_known = top in sys.stdlib_module_names or top in WHO_KNOWS_PACKAGES.get(found.file, "").split()
        allowed = is_known or _is_adapter(found.file) or _rank(found.file) >= RUN
        return "" if allowed else "only adapters, and folders from run/ upwards, know other packages"
    target = _file(found.module, folder)
    if target is None or target == ROOT:
        return "nobody imports the package root" if target else "there is no such file"
    return _broken_order(found.file, target)


def _broken_order(file: str, target: str) -> str:
    here, there = _floor(file), _floor(target)
    if _is_adapter(target) and file not in WHO_KNOWS_ADAPTERS:
        return "adapters do not know each other" if _is_adapter(file) else "adapters are reached through registry"
    if here == there:
        return ""
    if RANKS[here] == RANKS[there]:
        return f"{_shown(here)} and {_shown(there)} stand side by side"
    return f"{_shown(here)} imports from {_shown(there)}, which stands above it" if RANKS[there] > RANKS[here] else ""


def _is_adapter(file: str) -> bool:
    folder, _, name = file.rpartition("/")
    return folder in ADAPTERS and name not in {ROOT, *NO_ADAPTERS}


def _floor(file: str) -> str:
    """Return what stands in FLOORS for a file."""
    first, slash, _ = file.partition("/")
    return first if slash or first in RANKS else "*"


def _shown(floor: str) -> str:
    return {"*": "the top", "library": "library", "testing": "testing", "__main__": "__main__"}.get(floor, f"{floor}/")


def _rank(file: str) -> int:
    return RANKS[_floor(file)]


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


def test_what_goes_to_hosts_is_python_3_8_and_needs_nothing_else() -> None:
    wrong, all_imports = list[str](), list(_imports(FOLDER / "load"))
    for path in sorted((FOLDER / "load" / "turret").glob("*.py")):
        ast.parse(path.read_text(), str(path), feature_version=(3, 8))
        file = path.relative_to(FOLDER / "load").with_suffix("").as_posix()
        modules = {found.module for found in all_imports if found.file == file}
        known = {*sys.stdlib_module_names, *WHO_KNOWS_PACKAGES.get(f"load/{file}", "").split()}
        of_others = {module for module in modules if not module.startswith(f"{PACKAGE}.load.turret")}
        wrong += [f"{file} imports {module}" for module in of_others if module.partition(".")[0] not in known]
    assert not wrong, f"Hosts have Python alone: {', '.join(wrong)}"
