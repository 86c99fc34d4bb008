"""Runs a test several times: the pre-run modifier ``Repeat``, and the tag ``otto:retry=``."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Mapping
from typing import Any

from robot.api import SuiteVisitor
from robot.errors import DataError, ExecutionFailed, ExecutionStatus, PassExecution  # type: ignore[import-untyped]
from robot.result import TestCase  # type: ignore[import-untyped]
from robot.running.bodyrunner import BodyRunner, KeywordRunner  # type: ignore[import-untyped]
from robot.running.model import Group, Keyword  # type: ignore[import-untyped]
from robot.running.resourcemodel import UserKeyword  # type: ignore[import-untyped]
from robot.running.status import SuiteStatus, TestStatus  # type: ignore[import-untyped]
from robot.running.statusreporter import StatusReporter  # type: ignore[import-untyped]

from OttoLibrary.errors import UsageError
from OttoLibrary.run.guards import fail_run, retry_tag
from OttoLibrary.run.repetition import FAIL, PASS, SKIP, Plan, RunOutcome, Tally, repetitions, tries


class Repeat(SuiteVisitor):  # type: ignore[misc]  # Robot Framework has no type hints for it
    """Runs every test many times and passes it when enough runs passed.

    ::

        robot --prerunmodifier OttoLibrary.Repeat:iterations=100:threshold=95 suites/

    Set-up, body and teardown run each time, with fresh test variables; each time is a block of the log. A run that fails does not
    stop the next one. A ``[Timeout]`` of the test is one of each run. Runs that are skipped do not count, and a test whose first
    run is skipped is skipped. A fatal error, and the end of the execution by a signal, end it at once.

    Args:
        options: ``NAME=VALUE`` each: ``iterations`` (how often), ``duration`` (how long; both: whichever comes first),
            ``threshold`` (how many percent have to pass, by default 100). A wrong one fails every test.

    Raises:
        DataError: An option is unknown or wrong.
    """

    def __init__(self, *options: str) -> None:
        self._options = options

    def start_suite(self, suite: Any) -> None:
        """Replace the body of each test by its runs."""
        try:
            plan = repetitions(self._options)
        except UsageError as error:
            # Robot reports a modifier's error and continues without it: tests that ran once would pass.
            fail_run(suite, str(error))
            raise DataError(str(error)) from error
        for test in suite.tests:
            repeat(test, plan)


def repeat(test: Any, plan: Plan) -> None:
    """Let a test run as a plan says, set-up and teardown too.

    Args:
        test: Robot's data of the test; one that cannot run, or is repeated already, stays as it is.
        plan: How often.
    """
    if test.error or not test.body or is_repeated(test):
        return
    once = UserKeyword(owner=test.parent.resource)
    once.body = list(test.body)
    if test.has_setup:
        once.setup = test.setup
    if test.has_teardown:
        once.teardown = test.teardown
    test.setup, test.teardown = None, None
    test.body.clear()
    test.body.append(_Iterations(plan, once))


def is_repeated(test: Any) -> bool:
    """Return True for a test that runs several times."""
    return any(isinstance(item, _Iterations) for item in test.body)


def retry(test: Any, result: Any) -> None:
    """Let a test with the tag ``otto:retry=`` be tried again when it fails; a wrong tag fails it.

    Args:
        test: Robot's data of a test that begins. One that ``Repeat`` repeats is not: a second try would hide what that counts.
        result: Robot's result of it, whose tags count.
    """
    stated = retry_tag(result.tags)
    if stated is None or test.error:
        return
    try:
        repeat(test, tries(*stated))
    except UsageError as error:
        test.error = str(error)


class Iteration(Keyword):  # type: ignore[misc]
    """One run of a test: what listeners get as the data of its block of the log."""

    @property
    def label(self) -> str:
        """What it is called in the names of files, such as ``iteration-3``."""
        return re.sub(r"\W+", "-", self.name.partition(" of ")[0].lower())


class _Iterations(Group):  # type: ignore[misc]
    """All runs of a test, in the place of its body.

    Args:
        plan: How often.
        once: Set-up, body and teardown of the test.
    """

    def __init__(self, plan: Plan, once: Any) -> None:
        super().__init__()
        self._plan, self._once = plan, once

    def run(self, result: Any, context: Any, run: bool = True, templated: bool = False) -> None:
        """Run the test as often as planned; raise ExecutionFailed with the verdict unless it passed."""
        if not run:
            return
        if context.dry_run:
            self._run_once(self._plan.title(1), result, context, templated)
            return
        ended, verdict = self._run_all(result, context, templated)
        result.message = verdict.message
        if ended:
            raise ExecutionFailed(f"{verdict.message}\n\nEnded early: {ended}", exit=True)
        if verdict.status != PASS:
            raise ExecutionFailed(verdict.message, skip=verdict.status == SKIP)

    def _run_all(self, result: Any, context: Any, templated: bool) -> tuple[str, RunOutcome]:
        """Return why all of the execution ends, or nothing, and the verdict."""
        fresh, tally, began = _FreshTest(context), Tally(), time.monotonic()
        ended = ""
        while not ended and self._plan.goes_on(tally, time.monotonic() - began):
            fresh.begin()
            try:
                self._run_once(self._plan.title(tally.runs + 1), result, context, templated)
            except ExecutionFailed as error:
                tally.add(RunOutcome(SKIP if error.skip else FAIL, error.message))
                ended = error.message if error.exit else ""
            else:
                tally.add(RunOutcome(PASS))
        fresh.begin()
        return ended, self._plan.verdict(tally)

    def _run_once(self, title: str, result: Any, context: Any, templated: bool) -> None:
        """Run the test into a block of the log; raise ExecutionFailed unless it passes."""
        # Tags such as robot:continue-on-failure count inside of the block only when it has them.
        tags = [tag for tag in context.test.tags if tag.lower().startswith("robot:")]
        block = result.body.create_keyword(name=title, tags=tags)
        data = Iteration(name=title, parent=self.parent, lineno=context.test.lineno)
        try:
            with StatusReporter(data, block, context, implementation=self._once):
                self._run_steps(block, context, templated)
        finally:
            # It is in the output already; a thousand runs would fill the memory.
            block.setup = block.teardown = None
            block.body.clear()

    def _run_steps(self, block: Any, context: Any, templated: bool) -> None:
        """Run set-up, body and teardown as Robot does for a test; its own rules make the message."""
        once, test = self._once, context.test
        # No tags of the test, which would turn failures into skips already here.
        status = TestStatus(SuiteStatus(), TestCase())
        status.setup_executed(_run_fixture(once.setup, block.setup, context) if once.has_setup else None)
        if status.passed:
            try:
                BodyRunner(context, templated=templated).run(once, block)
            except PassExecution as passed:
                if passed.earlier_failures:
                    status.test_failed(error=passed.earlier_failures)
            except ExecutionStatus as failed:
                status.test_failed(error=failed)
        test.status, test.message = status.status, status.message
        with context.test_teardown(test):
            status.teardown_executed(_run_fixture(once.teardown, block.teardown, context) if once.has_teardown else None)
        if status.passed and test.timeout and test.timeout.timed_out():
            status.test_failed(test.timeout.get_message())
        if status.status != PASS:
            raise ExecutionFailed(status.message, skip=status.status == SKIP, exit=bool(status.exit))


class _FreshTest:
    """What each run of a test begins with: its variables, time-out and status as they were when it began."""

    def __init__(self, context: Any) -> None:
        self._context, self._status = context, context.test.status
        self._timeouts = copy.copy(context.timeouts)
        before = context.variables.as_dict()
        context.namespace.end_test()
        suite = context.variables.as_dict()
        context.namespace.start_test()
        self._variables: Mapping[str, Any] = {
            name: value for name, value in before.items() if name not in suite or suite[name] is not value
        }

    def begin(self) -> None:
        """Begin a run, or the end of the test."""
        context, test = self._context, self._context.test
        context.namespace.end_test()
        context.namespace.start_test()
        for name, value in self._variables.items():
            context.variables.set_test(name, value)
        context.timeouts, context.timeout_occurred = copy.copy(self._timeouts), False
        if test.timeout:
            test.timeout.start()
        test.status, test.message = self._status, ""


def _run_fixture(data: Any, result: Any, context: Any) -> ExecutionStatus | None:
    """Run a set-up or teardown and return how it ended, None when it passed."""
    try:
        KeywordRunner(context).run(data, result, setup_or_teardown=True)
    except ExecutionStatus as ended:
        return ended
    return None
