"""Pre-run modifiers: they change suites before they run."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

from robot.api import SuiteVisitor
from robot.errors import DataError  # type: ignore[import-untyped]
from robot.utils.argumentparser import ArgFileParser  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError
from OttoLibrary.run.guards import fail_run
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session
from OttoLibrary.run.variables import folder_of
from OttoLibrary.run.word_options import given_options, is_option


class EachHost(SuiteVisitor):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Runs every suite once for each host; under pabot, side by side.

    ::

        pabot --variable LAB:bench --prerunmodifier OttoLibrary.EachHost:tag:dut suites/

    Each copy has the host's name in its own name, in the variable ``${HOST}``, in its metadata and as the tag ``host:NAME``.

    Args:
        words: A selection of hosts, split at its colons; ``lab=NAME`` names the lab, by default the variable ``LAB`` of the
            command line, the environment variable ``OTTO_LAB`` or the settings name it.

    Raises:
        DataError: No lab is named, no host is selected, or an option is unknown; every test fails.
    """

    def __init__(self, *words: str) -> None:
        self._words = words
        self._hosts: list[str] = []
        self._error = ""

    def start_suite(self, suite: Any) -> bool | None:
        """Put copies of a suite that has tests in its place."""
        if self._error:
            return False
        if not suite.tests:
            return None
        if not self._hosts:
            try:
                self._hosts = self._chosen(suite)
            except UsageError as error:
                # Robot reports a modifier's error and continues without it: suites that ran once would pass.
                self._error = str(error)
                fail_run(suite, self._error)
                raise DataError(self._error) from error
        copies = [_copy(suite, host) for host in self._hosts]
        suite.tests.clear()
        # What it would import is for tests: each copy imports it for its own.
        suite.resource.imports.clear()
        suite.setup.config(name=None)
        suite.teardown.config(name=None)
        suite.suites.extend(copies)
        return False  # the copies are as they should be

    def _chosen(self, suite: Any) -> list[str]:
        options = [word for word in self._words if is_option(word)]
        references = given_options("OttoLibrary.EachHost", options, ["lab"]).get("lab") or _variable("LAB")
        selection = ":".join(word for word in self._words if word not in options) or "*"
        session = Session(references, context=RunContext(suite_folder=folder_of(suite.source)))
        try:
            return session.lab.select(selection)
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
