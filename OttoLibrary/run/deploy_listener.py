"""The listener ``OttoLibrary.Deploy``: a testbed is brought up before the first test and given back after the last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robot.api import logger
from robot.libraries.BuiltIn import BuiltIn
from robot.result import TestSuite  # type: ignore[import-untyped]
from robot.utils import escape  # type: ignore[import-untyped]

from OttoLibrary import units
from OttoLibrary.errors import DeployError, UsageError, ValueFormatError
from OttoLibrary.masking import mask
from OttoLibrary.run import verdict
from OttoLibrary.run.bench import LEASE_S, NOT_ENDED, Bench, BenchOptions, default_options, reference_to, stopped_by_signals
from OttoLibrary.run.listener_guard import harmless
from OttoLibrary.run.needed_environment import begin_test
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.session import Session
from OttoLibrary.run.testbed_log import bench_html, step_line
from OttoLibrary.run.variables import folder_of, variable
from OttoLibrary.run.word_options import given_options, joined_words
from OttoLibrary.text import printable

_OPTIONS = ("environment", "inventory", "board", "skip_boot", "skip_contingency_checks", "on_failure", "wait", "lease")
_NEEDED = ("environment", "inventory", "board")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_KEYWORDS = {"fail": "BuiltIn.Fail", "skip": "BuiltIn.Skip"}


class Deploy:
    """Deploys a testbed for the whole run; when it does not come up, every test fails.

    ::

        robot --listener OttoLibrary.Deploy:environment=environment.json:inventory=inventory.json:board=bench-1 suites/

    Nothing is touched in a dry run and when no test is selected. Suites get its devices with ``Get Device``, and its hosts
    are the lab of a library that names none.

    Args:
        options: ``NAME=VALUE`` each: ``environment`` and ``inventory`` (paths or http URLs), ``board``, ``skip_boot``
            (``yes`` uses the devices as they are), ``skip_contingency_checks`` (``yes`` runs none before tests with
            requirements), ``on_failure`` (``fail``, the default, or ``skip``), ``wait`` (how long to wait for reserved
            hosts, by default not at all), ``lease`` (how long they stay reserved when this process hangs, by default
            2 minutes). Words that Robot split at a colon are joined again. A mistake fails every test.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, *options: str) -> None:
        self._given = options
        self._depth = 0
        self._bench: Bench | None = None
        self._session: Session | None = None
        self._libraries: list[Session] = []
        self._html = ""

    def start_suite(self, data: Any, result: Any) -> None:
        """Deploy before the first suite."""
        self._depth += 1
        if self._depth > 1 or verdict.in_dry_run() or not data.test_count:
            return
        on_failure = "fail"
        try:
            options = _read(self._given)
            on_failure = options.get("on_failure", on_failure)
            self._deploy(data, options)
            # What fails in a teardown can be shown as a failure; at the end of a suite nothing can.
            if not data.teardown:
                data.teardown.config(name="BuiltIn.No Operation")
        except Exception as error:  # noqa: BLE001 - Robot would only print it, and the tests would pass
            keyword = _KEYWORDS.get(on_failure, _KEYWORDS["fail"])
            # An error in a listener fails nothing by itself.
            data.setup.config(name=keyword, args=[escape(printable(mask(str(error) or type(error).__name__)))])

    @harmless
    def end_suite(self, data: Any, result: Any) -> None:
        """Give everything back after the last suite."""
        self._depth -= 1
        if not self._depth:
            self._end()

    @harmless
    def library_import(self, library: Any, importer: Any) -> None:
        """Make the deployed environment the lab of a library that names none."""
        session = getattr(library.instance, "session", None)
        if isinstance(session, Session):
            self._libraries.append(session)
            self._share()

    @harmless
    def start_test(self, data: Any, result: Any) -> None:
        """Show what was done before the first test in its log."""
        html, self._html = self._html, ""
        if html:
            logger.info(html, html=True)
        if self._session is not None and not verdict.in_dry_run():
            begin_test(self._session, data)

    def end_test(self, data: Any, result: Any) -> None:
        """Fail a test when the reservation of the devices was lost."""
        if self._session is not None:
            verdict.conclude(self._session, result)

    def end_keyword(self, data: Any, result: Any) -> None:
        """Give everything back in the teardown of the first suite, and fail it when a device could not be shut down."""
        if self._depth != 1 or self._bench is None or not isinstance(result.parent, TestSuite) or result.type != result.TEARDOWN:
            return
        board = self._bench.board
        try:
            failed = self._end()
        except Exception as error:  # noqa: BLE001 - Robot would only print it, and the run would pass
            failed = [str(error)]
        if failed:
            verdict.fail(result, [DeployError(board, failed, NOT_ENDED)])

    def close(self) -> None:
        """Give everything back, if the run did not come to its end."""
        self._end()

    def warn(self, sentence: str) -> None:
        """Warn in the log and on the console."""
        logger.warn(printable(mask(sentence)))

    def _deploy(self, data: Any, options: dict[str, str]) -> None:
        reference = reference_to(*(options[key] for key in _NEEDED))
        output = Path(BuiltIn().get_variable_value("${OUTPUT DIR}"))
        context = RunContext(variable=variable, suite_folder=folder_of(data.source), output_folder=output, tell=_tell)
        session = self._session = Session(reference, context=context)
        skip_boot, lease_s = _yes("skip_boot", options), units.seconds(options.get("lease", LEASE_S))
        how = BenchOptions(
            skip_boot,
            units.seconds(options.get("wait", 0)),
            lease_s,
            skip_checks=_yes("skip_contingency_checks", options),
            given=default_options(),
        )
        bench = Bench(session, reference, how, lambda step: _tell(step_line(step)))
        try:
            with stopped_by_signals(session.engine.interrupt):
                bench.deploy(lambda work: session.engine.call(work, interruptible=True))
            self._bench = bench
        finally:
            self._html = bench_html(bench)
        self._share()

    def _share(self) -> None:
        if self._bench is not None:
            for library in self._libraries:
                library.lab.references = library.lab.references or self._bench.reference
                library.reservations.held_by.add(self._bench.holder)

    def _end(self) -> list[str]:
        """Give everything back, once; return what failed."""
        session, bench, self._session, self._bench = self._session, self._bench, None, None
        if session is None:
            return []
        try:
            return session.engine.call(bench.end()) if bench is not None else []
        finally:
            session.close()
            for sentence in session.journal.take_warnings():
                self.warn(sentence)


def _tell(sentence: str) -> None:
    logger.console(printable(mask(sentence)))


def _yes(name: str, options: dict[str, str]) -> bool:
    word = options.get(name, "no").lower()
    if word not in _WORDS:
        raise ValueFormatError(f"OttoLibrary.Deploy: '{name}={word}' is not {' or '.join(_WORDS)}.")
    return _WORDS[word]


def _read(words: tuple[str, ...]) -> dict[str, str]:
    options = given_options("OttoLibrary.Deploy", joined_words(words), _OPTIONS)
    missing = [key for key in _NEEDED if not options.get(key)]
    if missing:
        raise UsageError(f"The listener OttoLibrary.Deploy needs {', '.join(f'{key}=' for key in missing)}.")
    if options.get("on_failure", "fail") not in _KEYWORDS:
        raise ValueFormatError(f"OttoLibrary.Deploy: 'on_failure={options['on_failure']}' is not fail or skip.")
    return options
