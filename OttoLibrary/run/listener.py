"""The library's own listener: scopes, clean-up, and secrets kept out of every log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from robot.api import logger
from robot.libraries.BuiltIn import BuiltIn
from robot.result import TestSuite  # type: ignore[import-untyped]
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]
from robot.utils import escape  # type: ignore[import-untyped]

from OttoLibrary.errors import OttoError
from OttoLibrary.run import guards, verdict
from OttoLibrary.run.bench import is_any_deployed
from OttoLibrary.run.needed_environment import begin_test
from OttoLibrary.run.repeat import Iteration, is_repeated, retry
from OttoLibrary.run.robot_results import learn, learn_variables, mask_before_output, mask_result, mask_suites_above
from OttoLibrary.run.session import Session
from OttoLibrary.run.variables import folder_of
from OttoLibrary.text import printable

_ON_CONSOLE = {"WARN", "ERROR"}
# As in ${password: Secret}.
_SETS_VARIABLE = re.compile(r"Set (Local|Test|Task|Suite|Global) Variable")
_TYPE = re.compile(r": [^{}]*\}$")


class LibraryListener:
    """Follows the suites that import the library."""

    ROBOT_LISTENER_API_VERSION = 3
    # First of all listeners, so that others see masked text only.
    ROBOT_LISTENER_PRIORITY = 10_000

    def __init__(self, session: Session, on_suite: Callable[[], None] = lambda: None) -> None:
        self._session, self._on_suite = session, on_suite
        self._scopes: list[str] = []
        self._began = 0.0
        self._tags_checked = False
        mask_before_output(session.masker)

    def start_suite(self, data: Any, result: Any) -> None:
        """Enter the suite, and say which software is under test."""
        self._begin("suite")
        learn_variables(self._session.masker)
        self._session.suite.begin(folder_of(data.source), Path(BuiltIn().get_variable_value("${OUTPUT DIR}")))
        for repository in self._session.suite.settings.repositories:
            result.metadata.setdefault(repository.name, repository.version)
        if not self._tags_checked:
            self._tags_checked = True
            guards.refuse_wrong_tags(data)
        try:
            self._session.follow_suite()
            self._on_suite()
        except OttoError as error:
            # An error in a listener fails nothing by itself.
            data.setup.config(name="BuiltIn.Fail", args=[escape(self._mask(str(error)))])

    def end_suite(self, data: Any, result: Any) -> None:
        """Leave the suite; what was broken after its last test is a warning."""
        self._session.journal.warn(*map(str, self._session.breaches.take()))
        self._end("suite")
        self._session.journal.warn(*map(str, self._session.breaches.take_ends()))
        self._publish_warnings()
        mask_result(result, self._session.masker)
        result.message = printable(result.message)
        mask_suites_above(result, self._session.masker)
        self._session.suite.end()

    def start_test(self, data: Any, result: Any) -> None:
        """Enter the test and learn the secrets among its variables."""
        learn_variables(self._session.masker)
        if not verdict.in_dry_run():
            guards.refuse_unguarded(data, result, self._session)
        retry(data, result)
        self._begin_test()
        if not verdict.in_dry_run():
            begin_test(self._session, data)
        self._began = time.time()
        self._session.tests.tell(self._mask(result.full_name), self._began, None, "RUNNING")

    def end_test(self, data: Any, result: Any) -> None:
        """Leave the test: it fails when a limit was broken, and what it started is ended."""
        # The runs of a repeated test were judged one by one.
        verdict.conclude(self._session, result, () if is_repeated(data) else None)
        self._end("test")
        verdict.conclude_end(self._session, result)
        mask_result(result, self._session.masker)
        # The console shows it, whatever a host had in it.
        result.message = printable(result.message)
        self._session.tests.tell(self._mask(result.full_name), self._began, time.time(), result.status)

    def start_keyword(self, data: Any, result: Any) -> None:
        """Hide secrets in the arguments that the log shows; enter a run of a repeated test."""
        if isinstance(data, Iteration):
            self._begin_test()
        if result.tags and (mistake := guards.tags_of_keyword(result)):
            self._session.breaches.add_for_end([mistake])
        mask_result(result, self._session.masker)

    def end_keyword(self, data: Any, result: Any) -> None:
        """Hide secrets in what it leaves; fail what ran when a limit was broken that counts at once."""
        self._learn(result.assign)
        if result.owner == "BuiltIn" and _SETS_VARIABLE.fullmatch(result.name):
            learn_variables(self._session.masker)
        if isinstance(data, Iteration):
            verdict.conclude(self._session, result, EXECUTION_CONTEXTS.current.test.tags)
            self._end("test")
            verdict.conclude_end(self._session, result)
        elif isinstance(result.parent, TestSuite):
            verdict.conclude_fixture(self._session, result)
            self._end_judged(data, result)
        verdict.fail_at_once(self._session, result)
        mask_result(result, self._session.masker)

    def start_body_item(self, data: Any, result: Any) -> None:
        """Hide secrets in what a control structure shows, such as the values of a loop."""
        mask_result(result, self._session.masker)

    def end_body_item(self, data: Any, result: Any) -> None:
        """Do it again with what has come since."""
        mask_result(result, self._session.masker)

    def end_var(self, data: Any, result: Any) -> None:
        """Learn a secret that ``VAR`` made."""
        self._learn([data.name])
        mask_result(result, self._session.masker)

    def variables_import(self, attributes: Any, importer: Any) -> None:
        """Learn the secrets that a variable file brought."""
        learn_variables(self._session.masker)

    def resource_import(self, resource: Any, importer: Any) -> None:
        """Learn the secrets that a resource file brought."""
        learn_variables(self._session.masker)

    def log_message(self, message: Any) -> None:
        """Hide secrets in the log."""
        # Robot cuts the values of variables before it writes '${name} = ...'.
        message.message = self._session.masker.mask_cut(message.message)
        if message.level in _ON_CONSOLE or message.console:
            message.message = printable(message.message)

    def message(self, message: Any) -> None:
        """Hide secrets in the system log."""
        message.message = printable(self._mask(message.message))

    def close(self) -> None:
        """End the run."""
        self._session.close()
        self._publish_warnings()

    def _end_judged(self, data: Any, result: Any) -> None:
        """Give devices and hosts back in the teardown of the suite that has them: it can fail, and the end of a suite cannot."""
        is_judged = self._session.scopes.is_judged
        if is_judged and result.type == result.SETUP and not data.parent.teardown:
            data.parent.teardown.config(name="BuiltIn.No Operation")
        # The devices of a whole run are given back in the teardown of its first suite, after all that uses them.
        if result.type == result.TEARDOWN and (is_judged or is_any_deployed()):
            self._session.scopes.end_early()
            verdict.conclude_end(self._session, result)

    def _begin_test(self) -> None:
        self._begin("test")
        self._session.hosts.used.clear()

    def _begin(self, kind: str) -> None:
        self._scopes.append(kind)
        self._session.begin(kind)

    def _end(self, kind: str) -> None:
        if self._scopes and self._scopes[-1] == kind:
            self._scopes.pop()
            self._session.scopes.end()
        self._publish_warnings()

    def _publish_warnings(self) -> None:
        for warning in self._session.journal.take_warnings():
            logger.warn(warning)

    def _learn(self, names: Sequence[str]) -> None:
        """Learn the secrets in variables that were set."""
        for name in names:
            plain = _TYPE.sub("}", name.rstrip("= "))
            learn(BuiltIn().get_variable_value(plain), self._session.masker)

    def _mask(self, text: str) -> str:
        return self._session.masker.mask(text) if text else text
