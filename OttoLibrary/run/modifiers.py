"""Pre-run modifiers: they change suites before they run."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

from robot.api import SuiteVisitor
from robot.utils.argumentparser import ArgFileParser  # type: ignore[import-untyped]

from OttoLibrary.run.robot_errors import without_traceback
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session
from OttoLibrary.run.variables import folder_of


class EachHost(SuiteVisitor):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Runs every suite once for each host; under pabot, side by side.

    ::

        pabot --variable LAB:bench --prerunmodifier OttoLibrary.EachHost:tag:dut suites/

    Each copy has the host's name in its own name, in the variable ``${HOST}``, in its metadata and as the tag ``host:NAME``.

    Args:
        words: A selection of hosts, split at its colons; ``lab=NAME`` names the lab, by default the variable ``LAB`` of the
            command line, the environment variable ``OTTO_LAB`` or the settings name it.

    Raises:
        UsageError: No lab is named, or no host is selected.
    """

    def __init__(self, *words: str) -> None:
        options = dict(word.split("=", 1) for word in words if word.startswith("lab="))
        self._selection = ":".join(word for word in words if not word.startswith("lab=")) or "*"
        self._references = options.get("lab") or _variable("LAB")
        self._hosts: list[str] = []

    def start_suite(self, suite: Any) -> bool | None:
        """Put copies of a suite that has tests in its place."""
        if not suite.tests:
            return None
        if not self._hosts:
            with without_traceback():
                self._hosts = self._chosen(suite)
        copies = [_copy(suite, host) for host in self._hosts]
        suite.tests.clear()
        # What it would import is for tests: each copy imports it for its own.
        suite.resource.imports.clear()
        suite.setup.config(name=None)
        suite.teardown.config(name=None)
        suite.suites.extend(copies)
        return False  # the copies are as they should be

    def _chosen(self, suite: Any) -> list[str]:
        session = Session(self._references, context=RunContext(suite_folder=folder_of(suite.source)))
        try:
            return session.lab.select(self._selection)
        finally:
            session.close()


def _copy(suite: Any, host: str) -> Any:
    copy = suite.deepcopy(name=f"{suite.name} on {host}")
    copy.metadata["Host"] = host
    copy.resource.variables.create(name="${HOST}", value=[host])
    for test in copy.tests:
        test.tags.add(f"host:{host}")
    return copy


def _variable(name: str) -> str:
    """Return a variable of the command line: what suites see is not there before they run."""
    # pabot hands its children their options in an argument file.
    words = ArgFileParser(["--argumentfile", "-A"]).process(sys.argv[1:])
    given = [after for option, after in pairwise(words) if option in {"-v", "--variable"}]
    given += [word.partition("=")[2] for word in words if word.startswith("--variable=")]
    return next((value for key, _, value in (word.partition(":") for word in reversed(given)) if key == name), "")
