"""The listener ``OttoLibrary.Metrics``: what the hosts did during each test, in log and report, with nothing in the suites."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from robot.api import logger
from robot.libraries.BuiltIn import BuiltIn

from OttoLibrary import units
from OttoLibrary.contracts.metrics import Event
from OttoLibrary.errors import ValueFormatError
from OttoLibrary.masking import mask
from OttoLibrary.run import guards, verdict
from OttoLibrary.run.listener_guard import harmless, needed_by_all
from OttoLibrary.run.run_context import RunContext
from OttoLibrary.run.run_monitor import monitor_option, recording_path
from OttoLibrary.run.running_suite import RunningSuite
from OttoLibrary.run.session import Session
from OttoLibrary.run.variables import folder_of, variable
from OttoLibrary.run.word_options import given_options, joined_words
from OttoLibrary.text import listed, printable

_OPTIONS = ("dashboard", "hosts", "interval", "lab", "metrics", "store")
_MOST_MARKS = 20


class MetricsListener(ABC):
    """Watches hosts from the first suite to the last and shows in each test what they did.

    Suites may add to it with ``Start Monitor``. The public class is ``dashboard.live_page.Metrics``, which has the page too.

    Args:
        options: ``NAME=VALUE`` each: ``lab`` (by default the variable ``LAB``, or what the suites or the settings name),
            ``hosts`` (a selection, by default all), ``interval`` (by default 1 s), ``metrics`` (names joined by commas),
            ``store`` (path of the recording, ``none`` for none; by default ``otto/metrics.db`` beside the log), ``dashboard``
            (``yes`` serves a live page, by default ``no``). What is not given is as the table ``[monitor]`` of the settings
            says. Words that Robot split at a colon are joined again. When one is unknown or wrong, every test
            fails: nobody would watch it.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, *options: str) -> None:
        self._given = options
        self._options: dict[str, str] = {}
        self.session: Session | None = None
        self._suites: list[float] = []
        self._marks: list[Event] = []
        self._keyword_depth = 0
        self._told: set[str] = set()
        self._libraries: list[Session] = []
        self._library_judges = False
        # Which suites are watched each for itself: the first one alone, or its children.
        self._watched_depth = 1

    # -- the run

    @needed_by_all
    def start_suite(self, data: Any, result: Any) -> None:
        """Begin to watch with the first suite; suites of several repositories are watched one by one, as their settings say."""
        self._suites.append(time.time())
        if len(self._suites) == 1:
            guards.refuse_wrong_tags(data)
            self._options = _read(self._given)
            self._watched_depth = 2 if _is_of_several_repositories(data) else 1
        if len(self._suites) == self._watched_depth and not verdict.in_dry_run():
            self._begin(data)

    @harmless
    def end_suite(self, data: Any, result: Any) -> None:
        """Put the totals of the suite into its metadata."""
        depth, since, session = len(self._suites), self._suites.pop(), self.session
        if session is None:
            return
        for key, value in session.monitor.ask(lambda monitor: monitor.totals(since)).items():
            result.metadata.setdefault(key, value)
        self._tell(session)
        if depth == self._watched_depth:
            self.close()

    def library_import(self, library: Any, importer: Any) -> None:
        """Let the keywords of the library ask this monitor; libraries of the first suite come before the suite begins."""
        session = getattr(library.instance, "session", None)
        if isinstance(session, Session):
            self._libraries.append(session)
            self._share()

    def close(self) -> None:
        """Stop watching."""
        session, self.session = self.session, None
        if session is not None:
            session.close()

    # -- a test

    @harmless
    def start_test(self, data: Any, result: Any) -> None:
        """Begin the window of the test."""
        if self.session is None:
            return
        self._share()  # also with libraries that have loaded another lab since
        self._library_judges = any(library.scopes.test_began is not None for library in self._libraries)
        self.session.scopes.begin("test")
        if not self._library_judges:
            guards.refuse_unguarded(data, result, self.session)
        self._marks, self._keyword_depth = [], 0
        self._tell_test(result, None, "RUNNING")

    @harmless
    def end_test(self, data: Any, result: Any) -> None:
        """Show charts and statistics of the test, and fail it for its limits unless a library has done so."""
        session = self.session
        if session is None:
            verdict.refuse(result)
            return
        try:
            self._conclude(session, result)
        finally:
            self._tell_test(result, time.time(), result.status)
            session.scopes.end()
        self._tell(session)

    def _conclude(self, session: Session, result: Any) -> None:
        since = session.scopes.test_began or time.time()
        if not self._library_judges:
            verdict.conclude(session, result)
        html, metadata = session.monitor.ask(lambda monitor: monitor.shown(since, self._marks))
        logger.info(session.masker.mask(html), html=True)
        if hasattr(result, "metadata"):  # Robot Framework 7.5
            for key, value in metadata.items():
                result.metadata.setdefault(key, value)

    def _tell_test(self, result: Any, ended: float | None, status: str) -> None:
        """Tell the page of a test that begins or ends."""
        if self.session is not None:
            began = self.session.scopes.test_began or time.time()
            self.session.tests.tell(mask(result.full_name), began, ended, status)

    def start_keyword(self, data: Any, result: Any) -> None:
        """Mark where the keywords of the test begin."""
        self._keyword_depth += 1
        if self._keyword_depth == 1 and self.session is not None and len(self._marks) < _MOST_MARKS:
            self._marks.append(Event(time.time(), str(getattr(result, "name", "") or ""), "keyword"))

    def end_keyword(self, data: Any, result: Any) -> None:
        """Mark what failed."""
        self._keyword_depth -= 1
        if self._keyword_depth == 0 and self.session is not None and result.status == "FAIL":
            self._marks.append(Event(time.time(), f"{getattr(result, 'name', '')} failed", "error"))

    # -- steps

    def warn(self, sentence: str) -> None:
        """Warn in the log and on the console, once of each."""
        if sentence not in self._told:
            self._told.add(sentence)
            logger.warn(printable(mask(sentence)))

    def _begin(self, data: Any) -> None:
        serves = _is_yes(self._options.get("dashboard", "no"))
        if serves:
            self.check_page()
        variables = BuiltIn().get_variables(no_decoration=True)
        imported = next((library.lab.given for library in self._libraries if library.lab.given), "")
        context = RunContext(variable=variable, suite_folder=_folder(data), output_folder=Path(variables["OUTPUT_DIR"]))
        session = Session(self._options.get("lab") or str(variables.get("LAB") or "") or imported, context=context)
        try:
            names = session.lab.select(monitor_option(session.suite, "hosts", self._options.get("hosts"), "*"))
            wanted = listed(monitor_option(session.suite, "metrics", self._options.get("metrics"), ""))
            interval_s = units.seconds(monitor_option(session.suite, "interval", self._options.get("interval"), "1s"))
            place = recording_path(session.suite, self._options.get("store", ""))
            session.monitor.start(names, wanted, interval_s, place, data.name)
            if serves:
                logger.console(f"Dashboard: {self.serve_page(session)}")
        except BaseException:
            session.close()
            raise
        self.session = session
        self._share()

    @abstractmethod
    def check_page(self) -> None:
        """Raise when no page can be served."""

    @abstractmethod
    def serve_page(self, session: Session) -> str:
        """Serve a page with what the session's monitor reads; return its address."""

    def _share(self) -> None:
        if self.session is not None:
            for library in self._libraries:
                library.monitor.share(self.session.monitor)

    def _tell(self, session: Session) -> None:
        for sentence in [*session.journal.take_warnings(), *session.monitor.do(lambda monitor: monitor.take_warnings())]:
            self.warn(sentence)


def _folder(suite: Any) -> Path | None:
    """Return the folder of a suite; of one that several files or folders make, the folder of the first of them."""
    return folder_of(suite.source or next((child.source for child in suite.suites), None))


def _is_of_several_repositories(suite: Any) -> bool:
    """Return True for a suite that several files or folders make, around which there are different settings."""
    if suite.source:
        return False
    found = {RunningSuite(_folder(child)).settings_files for child in suite.suites}
    return len(found) > 1


def _is_yes(word: str) -> bool:
    if word.lower() not in {"yes", "no"}:
        raise ValueFormatError(f"dashboard={word} is neither 'yes' nor 'no'.")
    return word.lower() == "yes"


def _read(options: tuple[str, ...]) -> dict[str, str]:
    return given_options("OttoLibrary.Metrics", joined_words(options), _OPTIONS)
