"""Python environments of the peers that cannot live beside our own packages; each is made once, on the first need.

``python -m tests.peers.requirements`` makes them all before the tests start.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv-peers"
PACKAGES = {
    "locust": ["locust==2.47.*"],
    "oct-turrets": ["oct-turrets==0.2.8"],
    "vitro": ["vitro==0.8.1"],
}
_READY = ".ready"


def require_environment(name: str) -> Path:
    """Return the python of a peer's environment, or skip the test; with ``OTTO_PEERS=required`` fail it."""
    import pytest

    if not is_ready(name):
        reason = f"The environment of {name} is missing. Make it: python -m tests.peers.requirements"
        if os.environ.get("OTTO_PEERS") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return python_of(name)


def python_of(name: str) -> Path:
    return FOLDER / name / "bin" / "python"


def is_ready(name: str) -> bool:
    """Whether the environment holds what is asked for today."""
    mark = FOLDER / name / _READY
    return mark.is_file() and mark.read_text().split() == PACKAGES[name]


def make(name: str) -> None:
    """Make the environment; what a run that was ended left of it is replaced."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER / name], check=True)
    subprocess.run([python_of(name), "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True)
    (FOLDER / name / _READY).write_text("\n".join(PACKAGES[name]))
