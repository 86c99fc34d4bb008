"""Limits of metrics and the tests that they fail."""

from __future__ import annotations

import re
from typing import Any

from OttoLibrary.errors import NotOpenError, OttoError, UsageError
from OttoLibrary.session import Session

_TAG = "otto:limit="
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_FORM = re.compile(
    r"\s*(?P<hosts>\S.*?)\s+(?P<metric>\S+)\s+(?P<statistic>\w+)\s*(?P<relation>[<>]=?|[=!]=)\s*(?P<value>\S.*?)\s*"
)


def conclude(session: Session, result: Any) -> None:
    """Fail a test that is over when a limit was broken: one of its keywords, or one of its tags.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the test.
    """
    errors: list[OttoError] = list(session.take_breaches())
    if session.is_watched:
        errors += _add_tags(session, result)
        errors += session.ask_monitor(lambda monitor: monitor.take_limits())
    elif _tags(result):
        errors.append(NotOpenError(f"The tag '{_tags(result)[0]}' states a limit, and no monitor is running."))
    if errors:
        _fail(result, "\n".join(map(str, errors)))


def fail_at_once(session: Session, result: Any) -> None:
    """Fail the keyword that ran when a limit was broken that counts at once.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the keyword.
    """
    if session.breaches and result.status == "PASS":
        _fail(result, "\n".join(str(error) for error in session.take_breaches()))


def _fail(result: Any, sentence: str) -> None:
    failed_before = result.status == "FAIL" and result.message
    result.status = "FAIL"
    result.message = f"{result.message}\n\n{sentence}" if failed_before and sentence not in result.message else sentence


def _tags(result: Any) -> list[str]:
    return [tag for tag in result.tags if tag.lower().startswith(_TAG)]


def _add_tags(session: Session, result: Any) -> list[OttoError]:
    errors: list[OttoError] = []
    for tag in _tags(result):
        try:
            session.ask_monitor(lambda monitor, tag=tag: _add_tag(session, monitor, tag))  # type: ignore[misc]
        except OttoError as error:
            errors.append(error)
    return errors


async def _add_tag(session: Session, monitor: Any, tag: str) -> None:
    found = _FORM.fullmatch(tag[len(_TAG) :])
    if found is None:
        raise UsageError(
            f"The tag '{tag}' states no limit. Write {_TAG}HOSTS METRIC STATISTIC < VALUE, such as {_TAG}dut1 cpu max < 90."
        )
    for host in session.lab.select(found["hosts"]):
        opposite = _OPPOSITE[found["relation"]]
        monitor.limit(host, found["metric"], found["statistic"], opposite, found["value"], since=session.test_began)
