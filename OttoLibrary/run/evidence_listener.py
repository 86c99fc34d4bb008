"""The listener ``OttoLibrary.Evidence``: files and command output from the hosts of a failed test, kept beside its log."""

from __future__ import annotations

from typing import Any

from robot.api import logger

from OttoLibrary import units
from OttoLibrary.errors import ValueFormatError
from OttoLibrary.masking import mask
from OttoLibrary.run.artifacts import artifact_folder, artifact_link
from OttoLibrary.run.evidence import Bounds, Piece, collect, evidence_table
from OttoLibrary.run.listener_guard import harmless, needed_by_all
from OttoLibrary.run.repeat import Iteration, is_repeated
from OttoLibrary.run.session import Session
from OttoLibrary.run.word_options import given_options, joined_words
from OttoLibrary.text import plural, printable

_OPTIONS = ("max_size", "timeout")
_MOST_RUNS = 3
_STOPPED = "Execution terminated by signal"


class Evidence:
    """Fetches what the ``evidence`` of the lab names from every host that a failed test used.

    ::

        robot --variable LAB:bench --listener OttoLibrary.Evidence:timeout=30 s suites/

    Files and outputs go into the artifact directory of the test and are linked in its log. It uses the connections of the library
    that the suites import. Of a test that runs several times, the first failed runs are asked about.

    Args:
        options: ``NAME=VALUE`` each: ``max_size`` (of a file or output, whose end is kept, by default 10 MB), ``timeout`` (how
            long each host may take, by default 30 s; hosts are asked side by side). When one is unknown or wrong, every test
            fails.
    """

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, *options: str) -> None:
        self._given = options
        self._bounds: Bounds | None = None
        self._sessions: list[Session] = []
        self._depth = self._runs = 0

    @needed_by_all
    def start_suite(self, data: Any, result: Any) -> None:
        """Read the options with the first suite."""
        self._depth += 1
        if self._depth == 1:
            self._bounds = _read(self._given)

    @harmless
    def end_suite(self, data: Any, result: Any) -> None:
        """Notice when the last suite ends."""
        self._depth -= 1

    @harmless
    def library_import(self, library: Any, importer: Any) -> None:
        """Note which library's hosts the tests use."""
        session = getattr(library.instance, "session", None)
        if isinstance(session, Session) and session not in self._sessions:
            self._sessions.append(session)

    @harmless
    def start_test(self, data: Any, result: Any) -> None:
        """Start counting the runs of the test."""
        self._runs = 0

    @harmless
    def end_keyword(self, data: Any, result: Any) -> None:
        """Fetch evidence of a failed run of a test that runs several times."""
        if isinstance(data, Iteration) and self._counts(result):
            self._runs += 1
            if self._runs <= _MOST_RUNS:
                self._fetch(data.label)
            elif self._runs == _MOST_RUNS + 1:
                logger.info(f"Evidence is kept of the first {plural(_MOST_RUNS, 'failed run')} only.")

    @harmless
    def end_test(self, data: Any, result: Any) -> None:
        """Fetch evidence of a failed test."""
        if not is_repeated(data) and self._counts(result):
            self._fetch("")

    def warn(self, sentence: str) -> None:
        """Warn in the log and on the console."""
        logger.warn(printable(mask(sentence)))

    def _counts(self, result: Any) -> bool:
        # A user who stops the execution does not want to wait for it.
        return self._bounds is not None and result.status == "FAIL" and not result.message.endswith(_STOPPED)

    def _fetch(self, label: str) -> None:
        pieces = [piece for session in self._sessions for piece in self._of(session, label)]
        if pieces:
            logger.info(evidence_table(pieces, artifact_link), html=True)

    def _of(self, session: Session, label: str) -> list[Piece]:
        """Return what was kept of the hosts that the test used through one library."""
        names = [name for name in session.hosts.used if session.lab.loaded.entry(name).written().get("evidence")]
        if not names or self._bounds is None:
            return []
        hosts = [session.hosts.use(name) for name in names]
        return session.engine.call(collect(hosts, artifact_folder() / label, self._bounds, session.masker.mask))


def _read(options: tuple[str, ...]) -> Bounds:
    given = given_options("OttoLibrary.Evidence", joined_words(options), _OPTIONS)
    size = int(units.quantity(given["max_size"], "B")) if "max_size" in given else Bounds.size_bytes
    time_s = units.seconds(given["timeout"]) if "timeout" in given else Bounds.timeout_s
    if size < 1 or not time_s:
        raise ValueFormatError("OttoLibrary.Evidence needs a 'max_size' and a 'timeout' above 0.")
    return Bounds(size, time_s)
