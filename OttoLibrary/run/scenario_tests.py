"""Makes a test of each description of a scenario in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot.api import SuiteVisitor

from OttoLibrary.errors import UsageError
from OttoLibrary.run.robot_errors import without_traceback
from OttoLibrary.run.word_options import given_options
from OttoLibrary.scenario import description
from OttoLibrary.scenario.plan_text import words


class Scenarios(SuiteVisitor):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Adds a test for each description of a folder to a suite, which has the keywords that the events call.

    ::

        robot --prerunmodifier OttoLibrary.Scenarios:scenarios --test soak suites/soak.robot

    Each test is called as its scenario, has the tag ``scenario``, and runs it. Descriptions that are wrong stop the run before it
    starts, with all of their mistakes.

    Args:
        words: The folder, or one description, and ``NAME=VALUE`` each: ``suite`` (the name of the suite that gets them, by
            default the first that has tests), ``duration`` (in place of what descriptions say), ``resume`` (``yes`` to go on).

    Raises:
        UsageError: There is no description. ScenarioError: One is wrong.
    """

    def __init__(self, *words: str) -> None:
        folders = [word for word in words if "=" not in word]
        with without_traceback():
            if len(folders) != 1:
                raise UsageError("OttoLibrary.Scenarios needs one folder: --prerunmodifier OttoLibrary.Scenarios:folder.")
            options = [word for word in words if "=" in word]
            self._options = dict(given_options("OttoLibrary.Scenarios", options, ("suite", "duration", "resume")))
            self._files = description.files_in(Path(folders[0]))
            self._found = [(file, description.read(file).scenario) for file in self._files]
        self._is_done = False

    def start_suite(self, suite: Any) -> bool | None:
        """Add the tests to the suite."""
        wanted = self._options.get("suite", "")
        if self._is_done or not (suite.tests or not suite.suites) or (wanted and suite.name != wanted):
            return None
        self._is_done = True
        for file, scenario in self._found:
            test = suite.tests.create(name=scenario.name, tags=["scenario"], doc="\n".join(words(scenario, 0.0)))
            given = {key: self._options[key] for key in ("duration", "resume") if key in self._options}
            arguments = [str(file.absolute()), *(f"{key}={value}" for key, value in given.items())]
            test.body.create_keyword(name="Run Scenario", args=arguments)
        return None

    def end_suite(self, suite: Any) -> None:
        """Fail when no suite took the tests: nothing is left out silently."""
        if suite.parent is None and not self._is_done:
            with without_traceback():
                raise UsageError(f"OttoLibrary.Scenarios found no suite '{self._options.get('suite', '')}' to add its tests to.")
