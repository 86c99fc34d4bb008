"""Limits of metrics and the tests that they fail."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.errors import NotOpenError, OttoError, UsageError
from OttoLibrary.session import Session

_TAG = "otto:limit="
_FORM = re.compile(
    r"\s*(?P<hosts>\S.*?)\s+(?P<metric>\S+)\s+(?P<statistic>\w+)\s*(?P<relation>[<>]=?|[=!]=)\s*(?P<value>\S.*?)\s*"
)


def conclude(session: Session, result: Any) -> None:
    """Fail a test that is over when a limit was broken: one of its keywords, or one of its tags. A skipped test stays skipped.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the test.
    """
    if in_dry_run():
        return
    errors: list[OttoError] = list(session.take_breaches())
    if not session.is_watched:
        _fail(result, errors)
        refuse(result)
        return
    try:
        errors += _broken(session, result)
    except Exception as error:  # noqa: BLE001 - Robot would only print it, and the test would pass unchecked
        errors.append(OttoError(f"The limits of the test could not be checked: {error}"))
    if result.status != "SKIP":
        _fail(result, errors)


def refuse(result: Any) -> None:
    """Fail a test whose tags state a limit that nobody watches: what was not checked did not pass.

    Args:
        result: Robot's result of the test.
    """
    tags = _tags(result)
    if tags and result.status == "PASS" and not in_dry_run():
        _fail(result, [NotOpenError(f"The tag '{tags[0]}' states a limit, and no monitor is running.")])


def fail_at_once(session: Session, result: Any) -> None:
    """Fail the keyword that ran when a limit was broken that counts at once; teardowns are run to their end.

    The limit stays broken until the end of the test, also when the suite ignores the error of a keyword.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the keyword.
    """
    if session.breaches and result.status == "PASS" and not in_teardown():
        _fail(result, session.breaches)


def in_dry_run() -> bool:
    """Tell whether Robot only looks at the suites."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.dry_run)


def in_teardown() -> bool:
    """Tell whether a teardown runs, which is run to its end."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.in_teardown)


def _fail(result: Any, errors: Sequence[OttoError]) -> None:
    """Fail the result, and add to the message of one that had failed already what it does not say yet."""
    if not errors:
        return
    before = result.message if result.status == "FAIL" else ""
    said = dict.fromkeys(escape(str(error), quote=False) if before.startswith("*HTML*") else str(error) for error in errors)
    result.status = "FAIL"
    result.message = "\n\n".join(filter(None, [before, "\n".join(text for text in said if text not in before)]))


def _broken(session: Session, result: Any) -> list[OttoError]:
    """End the limits of the test and return which were broken; one that skipped is not waited for."""
    is_skipped = result.status == "SKIP"
    errors = [] if is_skipped else _add_tags(session, result)
    return [*errors, *session.ask_monitor(lambda monitor: monitor.take_limits(wait_s=0 if is_skipped else None))]


def _tags(result: Any) -> list[str]:
    return [tag for tag in result.tags if tag.lower().startswith(_TAG)]


def _add_tags(session: Session, result: Any) -> list[OttoError]:
    errors: list[OttoError] = []
    for tag in _tags(result):
        try:
            session.on_monitor(lambda monitor, tag=tag: _add_tag(session, monitor, tag))  # type: ignore[misc]
        except OttoError as error:
            errors.append(error)
    return errors


def _add_tag(session: Session, monitor: Any, tag: str) -> None:
    found = _FORM.fullmatch(tag[len(_TAG) :])
    if found is None:
        raise UsageError(
            f"The tag '{tag}' states no limit. Write {_TAG}HOSTS METRIC STATISTIC < VALUE, such as {_TAG}dut1 cpu max < 90."
        )
    for host in session.lab.select(found["hosts"]):
        stated = found["metric"], found["statistic"], found["relation"], found["value"]
        monitor.limit(host, *stated, must=True, since=session.test_began)
