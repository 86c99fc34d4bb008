"""Projects of OCT as folders: made new, packed into turrets, and their results as CSV."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from OttoLibrary.errors import UsageError
from OttoLibrary.load.curve_keys import read_keys
from OttoLibrary.load.plan import CONFIG, ProjectPlan
from OttoLibrary.load.result_store import ResultReader

_FILES = Path(__file__).parent / "templates" / "project"
_PLACES = {CONFIG: CONFIG, "v_user.txt": "test_scripts/v_user.py", "report.html": "templates/report.html"}
_FOLDERS = ("templates/css", "templates/img", "templates/scripts", "templates/fonts")
# What an archive of a project must have.
_NEEDED = (CONFIG, "test_scripts", "templates", "templates/report.html")
_SETUP = """from setuptools import setup

setup(name={name!r}, version="0.1", install_requires={requirements!r})
"""
_CLIENT = "oct-turrets"
_TITLES = ("elapsed time", "epoch (in seconds)", "turret name", "transaction time", "error")
_MOST_BYTES = 1 << 30
_MOST_FILES = 10_000


def new_project(folder: Path, template: Path | None = None) -> None:
    """Make a project; raise UsageError when the folder exists or the archive is no project.

    Args:
        folder: The new folder.
        template: An archive of a project in place of the usual one.
    """
    if folder.exists():
        raise UsageError(f"'{folder}' exists already. Choose another name for the new project.")
    if template is not None:
        _unpack_project(template, folder)
        return
    for path in _FOLDERS:
        (folder / path).mkdir(parents=True)
    for name, path in _PLACES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_FILES / name, folder / path)


def _unpack_project(template: Path, folder: Path) -> None:
    try:
        with tarfile.open(template) as tar:
            members = tar.getmembers()
            names = [PurePosixPath(member.name) for member in members]
            prefix = _common_prefix(names)
            inside = {str(name.relative_to(prefix)) for name in names if name.is_relative_to(prefix)}
            missing = [name for name in _NEEDED if name not in inside and not any(each.startswith(f"{name}/") for each in inside)]
            if missing:
                raise UsageError(f"'{template}' is no project: it has no {', '.join(missing)}.")
            if len(members) > _MOST_FILES or sum(member.size for member in members) > _MOST_BYTES:
                raise UsageError(f"'{template}' is too large for a project.")
            folder.mkdir(parents=True)
            for member in members:
                name = PurePosixPath(member.name)
                if name.is_relative_to(prefix) and name != prefix:
                    tar.extract(member.replace(name=str(name.relative_to(prefix)), deep=False), folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(f"'{template}' cannot be unpacked: {error}.") from error


def _common_prefix(names: list[PurePosixPath]) -> PurePosixPath:
    """Return the folder in which the configuration of the project is, nearest to the top."""
    found = sorted((name.parent for name in names if name.name == CONFIG), key=lambda parent: len(parent.parts))
    return found[0] if found else PurePosixPath()


def pack_turrets(plan: ProjectPlan, python: bool) -> list[Path]:
    """Write the archive of each turret of a project and return their paths; raise UsageError for what cannot be packed.

    Args:
        plan: The project.
        python: Add a ``setup.py``, which installs what scripts need.
    """
    return [_pack(plan, turret, python) for turret in plan.turrets]


def turret_config(plan: ProjectPlan, turret: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a packed turret, for a client of OCT and for one of ours."""
    own = {key: value for key, value in turret.items() if key != "extra_files"}
    where = {"hq_address": plan.hq_address, "hq_rc": plan.rc_port, "hq_publisher": plan.publish_port, "hq_port": plan.own_port}
    keys = {"curve": read_keys(plan.curve).turret} if plan.curve is not None else {}
    return {"rampup": 0, **own, **where, **plan.extra, **keys}


def _pack(plan: ProjectPlan, turret: Mapping[str, Any], python: bool) -> Path:
    target = plan.folder / f"{turret['name']}.tar.gz"
    if Path(turret["name"]).name != turret["name"]:
        raise UsageError(f"The turret '{turret['name']}' cannot be packed: its name is no name of a file.")
    files: dict[str, Path] = {}
    for path, name in _files(plan.folder, turret):
        if name in files or name in {CONFIG, "setup.py"}:
            raise UsageError(f"The turret '{turret['name']}' cannot be packed: two of its files would be called '{name}'.")
        files[name] = path
    written = {CONFIG: json.dumps(turret_config(plan, turret), indent=4)}
    if python:
        written["setup.py"] = _SETUP.format(name=turret["name"], requirements=[*plan.requirements, _CLIENT])
    try:
        # With keys in it, it is for its owner alone.
        target.unlink(missing_ok=True)
        target.touch(0o600 if plan.curve is not None else 0o644)
        with tarfile.open(target, "w:gz") as tar:
            for name, text in written.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(text.encode()), 0o644
                tar.addfile(info, io.BytesIO(text.encode()))
            for name, path in files.items():
                tar.add(path, name)
    except OSError as error:
        raise UsageError(f"'{target}' cannot be written: {error.strerror or error}.") from error
    return target


def _files(folder: Path, turret: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each file of a turret, and what it is called in the archive: further files are at the top, as OCT packs them."""
    script = folder / turret["script"]
    if not script.is_file() or not script.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"The script '{turret['script']}' of turret '{turret['name']}' is not in '{folder}'.")
    yield script, PurePosixPath(script.resolve().relative_to(folder.resolve())).as_posix()
    for name in turret.get("extra_files") or ():
        path = folder / name
        if not path.exists():
            raise UsageError(f"There is no '{path}', which turret '{turret['name']}' needs.")
        yield path, path.name


def results_folder(project: Path) -> Path:
    """Return where a run of a project keeps its results by default."""
    return project / "results" / datetime.now().strftime("results_%Y.%m.%d_%H.%M.%S_%f")  # noqa: DTZ005 - as OCT names it


def write_csv(results: ResultReader, target: Path, delimiter: str = ";") -> int:
    """Write each result as a line of a CSV file, as OCT does, and return how many; raise UsageError."""
    if len(delimiter) != 1:
        raise UsageError(f"'{delimiter}' cannot separate columns: it is not one character.")
    timers: dict[str, None] = {}
    for *_, own_timers, _ in results.rows():
        timers.update(dict.fromkeys(own_timers))
    count = 0
    try:
        with target.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, delimiter=delimiter)
            writer.writerow([*_TITLES, *timers])
            for error, took, elapsed, epoch, own_timers, turret in results.rows():
                writer.writerow([elapsed, epoch, turret, took, error, *(own_timers.get(name, "") for name in timers)])
                count += 1
    except OSError as error:
        raise UsageError(f"'{target}' cannot be written: {error.strerror or error}.") from error
    return count
