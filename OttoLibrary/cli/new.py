"""The command ``new``: a folder for tests, which runs green as it is."""

from __future__ import annotations

import argparse
import json
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from OttoLibrary.errors import UsageError
from OttoLibrary.lab.loading import schema

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_TEMPLATES = {
    "suites/smoke.robot": "smoke.robot",
    "resources/product.resource": "product.resource",
    "labs/bench.json": "bench.json",
    "robot.toml": "robot.toml",
    "requirements.txt": "requirements.txt",
    ".gitignore": "gitignore.txt",
}
_CI = {"github": (".github/workflows/tests.yml", "github.yml"), "gitlab": (".gitlab-ci.yml", "gitlab.yml")}
_SCHEMA = "labs/lab.schema.json"


def add_commands(commands: Commands) -> None:
    """Add the command to the parser."""
    new = commands.add_parser("new", help="make a folder for tests: a lab, a suite, a resource, a file for CI")
    new.add_argument("project", metavar="PROJECT", help="the folder to make; it must not be there, or be empty")
    new.add_argument("--ci", choices=(*_CI, "none"), default="github", help="whose file for CI to write (default: github)")
    new.set_defaults(run=_new)


def _new(options: argparse.Namespace) -> int:
    folder = Path(options.project).expanduser()
    chosen = {**_TEMPLATES, **dict([_CI[options.ci]] if options.ci in _CI else [])}
    texts = {
        target: resources.files("OttoLibrary.examples").joinpath("project", name).read_text() for target, name in chosen.items()
    }
    texts[_SCHEMA] = json.dumps(schema(), indent=2) + "\n"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"'{folder}' is there and not empty. Name a new folder.")
        for target, text in texts.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"'{folder}' cannot be made: {error.strerror or error}. Name a folder that you may write.") from error
    for target in sorted(texts):
        print(f"  {folder / target}")
    print("\nRun it on the demo lab, which needs nothing:\n")
    print(f"  cd {shlex.quote(str(folder))} && robot --outputdir results suites\n")
    print("Then put your hosts into labs/bench.json, and look whether they answer:\n")
    print("  python -m OttoLibrary check bench")
    return 0
