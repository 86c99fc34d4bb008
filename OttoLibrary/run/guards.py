"""Guards that would guard nothing: what is wrong with them fails the tests before the first of them runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from robot.libraries.BuiltIn import BuiltIn

from OttoLibrary.errors import NotOpenError, OttoError, UnknownNameError, UsageError
from OttoLibrary.run.repetition import tries
from OttoLibrary.run.session import Session

LIMIT, RETRY = "otto:limit", "otto:retry"
# Robot ignores case, spaces and underscores in tags.
_IGNORED = re.compile(r"[\s_]")
_FORM = re.compile(
    r"\s*(?P<hosts>\S.*?)\s+(?P<metric>\S+)\s+(?P<statistic>\w+)\s*(?P<relation>[<>]=?|[=!]=)\s*(?P<value>\S.*?)\s*"
)
_EXAMPLE = f"Write {LIMIT}=HOSTS METRIC STATISTIC < VALUE, such as {LIMIT}=dut1 cpu max < 90"


@dataclass(frozen=True)
class StatedLimit:
    """What a tag says about the readings of hosts; it must hold.

    Attributes:
        tag: The tag as written.
        hosts: A selection.
        metric: As in ``Get Metric``.
        statistic: The same.
        relation: ``<``, ``<=``, ``>``, ``>=``, ``==`` or ``!=``.
        value: A number, or one with a unit.
    """

    tag: str
    hosts: str
    metric: str
    statistic: str
    relation: str
    value: str

    def chosen(self, session: Session) -> list[str]:
        """Return its hosts; raise UsageError when there is none."""
        try:
            return session.lab.select(self.hosts)
        except OttoError as error:
            raise self._error(error) from error

    def check(self, session: Session) -> None:
        """Raise UsageError when it would guard nothing."""
        from OttoLibrary.monitor.registered_metrics import check_limit

        for name in self.chosen(session):
            owned = session.lab.loaded.entry(name).written().get("metrics", {})
            try:
                check_limit(self.metric, self.value, owned)
            except OttoError as error:
                raise self._error(error) from error

    def _error(self, error: OttoError) -> UsageError:
        return UsageError(f"The tag '{self.tag}' guards nothing: {error}")


def stated_limits(tags: Iterable[str]) -> list[StatedLimit]:
    """Return the limits that tags state; raise UsageError for one that states none."""
    return [_limit(tag, value) for tag, name, value in _of_ours(tags) if name == LIMIT]


def retry_tag(tags: Iterable[str]) -> tuple[str, str] | None:
    """Return the tag that says how often to try again, and what stands behind its equals sign; or None."""
    return next(((tag, value) for tag, name, value in _of_ours(tags) if name == RETRY), None)


def check_tags(tags: Iterable[str]) -> None:
    """Raise UsageError for a tag of ours that would do nothing."""
    for tag, name, value in _of_ours(tags):
        if name == LIMIT:
            _limit(tag, value)
        elif name == RETRY:
            tries(tag, value)
        else:
            raise _unknown(tag)


def check_names(tags: Iterable[str]) -> None:
    """Raise UnknownNameError for a tag that begins with ``otto:`` and is none of ours."""
    for tag, name, _ in _of_ours(tags):
        if name not in {LIMIT, RETRY}:
            raise _unknown(tag)


def refuse_wrong_tags(suite: Any) -> None:
    """Fail the whole run when a test of it has an unknown tag of ours; a wrong value fails its own test.

    Args:
        suite: Robot's data of a suite that begins; all tests of the run are looked at with the first one.
    """
    root = _root(suite)
    _refuse(root, root.all_tests, check_names)


def refuse_unguarded(test: Any, result: Any, session: Session) -> None:
    """Fail a test that begins when its tags would guard nothing; with the first test of a suite, also all others of it.

    Args:
        test: Robot's data of the test.
        result: Robot's result of it, whose tags have the values of variables.
        session: Whose lab has the hosts.
    """

    def check_limits(tags: Iterable[str]) -> None:
        for stated in _well_formed(tags):
            stated.check(session)

    suite = test.parent
    if test is suite.tests[0]:
        _refuse(suite, suite.tests, check_limits)
    try:
        check_tags(result.tags)
        check_limits(result.tags)
    except OttoError as error:
        test.error = test.error or str(error)


def fail_run(suite: Any, sentence: str) -> None:
    """Let every test of the run that did not begin yet fail with this sentence, set-ups and teardowns left out."""
    _fail_all(_root(suite), sentence)


def tags_of_keyword(result: Any) -> UsageError | None:
    """Return the error for a keyword that has a tag of ours: there it would do nothing; or None."""
    for tag, _, _ in _of_ours(result.tags):
        return UsageError(f"The keyword '{result.name}' has the tag '{tag}', which guards tests only. Give it to the test.")
    return None


def _refuse(suite: Any, tests: Iterable[Any], check: Callable[[Iterable[str]], None]) -> None:
    for test in tests:
        try:
            check(_replaced(test.tags))
        except OttoError as error:
            _fail_all(suite, f"Test '{test.name}': {error}")
            return


def _fail_all(suite: Any, sentence: str) -> None:
    for test in suite.all_tests:
        test.error = test.error or sentence
    suite.setup.config(name=None)
    suite.teardown.config(name=None)
    for child in suite.suites:
        _fail_all(child, sentence)


def _root(suite: Any) -> Any:
    while suite.parent is not None:
        suite = suite.parent
    return suite


def _unknown(tag: str) -> UnknownNameError:
    advice = "The prefix otto: is OttoLibrary's."
    return UnknownNameError("tag", tag.partition("=")[0].strip(), (LIMIT, RETRY), advice)


def _well_formed(tags: Iterable[str]) -> list[StatedLimit]:
    try:
        return stated_limits(tags)
    except UsageError:
        return []


def _replaced(tags: Iterable[str]) -> list[str]:
    """Return tags with the values of variables; one with a variable that is not set yet is looked at when its test begins."""
    return [text for tag in tags if (text := _with_values(tag) if "{" in tag else tag) is not None]


def _with_values(tag: str) -> str | None:
    try:
        return str(BuiltIn().replace_variables(tag))
    except Exception:  # noqa: BLE001 - Robot has many kinds for it
        return None


def _of_ours(tags: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the tags that begin with ``otto:``, each with its name as Robot compares it and its value."""
    for tag in tags:
        if _is_ours(tag):
            name, _, value = tag.partition("=")
            yield tag, _IGNORED.sub("", name).lower(), value


@lru_cache(maxsize=1024)
def _is_ours(tag: str) -> bool:
    return _IGNORED.sub("", tag[:40]).lower().startswith("otto:")


def _limit(tag: str, value: str) -> StatedLimit:
    from OttoLibrary.monitor.limit import RELATIONS
    from OttoLibrary.monitor.statistics import STATISTICS
    from OttoLibrary.units import number_of

    found = _FORM.fullmatch(value)
    if found is None:
        raise UsageError(f"The tag '{tag}' states no limit. {_EXAMPLE}.")
    if found["statistic"] not in STATISTICS:
        raise UnknownNameError("statistic", found["statistic"], STATISTICS, f"The tag is '{tag}'.")
    if found["relation"] not in RELATIONS:
        raise UnknownNameError("relation", found["relation"], RELATIONS, f"The tag is '{tag}'.")
    if number_of(found["value"]) is None:
        raise UsageError(f"The tag '{tag}' compares with '{found['value']}', which is no number. {_EXAMPLE}.")
    return StatedLimit(tag, **found.groupdict())


def no_monitor(stated: StatedLimit) -> NotOpenError:
    """Return the error for a limit that nobody watches."""
    return NotOpenError(f"The tag '{stated.tag}' states a limit, and no monitor is running.")
