"""What fails a test that is over: limits of metrics that were broken, leases that were lost, checks that did not hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.errors import NotOpenError, OttoError, UsageError
from OttoLibrary.run.session import Session

_TAG = "otto:limit="
_FORM = re.compile(
    r"\s*(?P<hosts>\S.*?)\s+(?P<metric>\S+)\s+(?P<statistic>\w+)\s*(?P<relation>[<>]=?|[=!]=)\s*(?P<value>\S.*?)\s*"
)


def conclude(session: Session, result: Any, tags: Iterable[str] | None = None) -> None:
    """Fail a test that is over for what it broke: limits of its keywords or tags, leases that were lost, checks.

    A skipped test stays skipped; the breaches are added to its message.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the test, or of one of its runs.
        tags: The tags that may state limits, by default those of the result.
    """
    if in_dry_run():
        return
    stated = _stated(result.tags if tags is None else tags)
    session.renew_leases()
    errors: list[OttoError] = list(session.breaches.take())
    if not session.monitor.is_running:
        _fail(result, errors)
        _refuse(result, stated)
        return
    try:
        errors += _broken(session, result, stated)
    except Exception as error:  # noqa: BLE001 - Robot would only print it, and the test would pass unchecked
        errors.append(OttoError(f"The limits of the test could not be checked: {error}"))
    _fail(result, errors)


def conclude_fixture(session: Session, result: Any) -> None:
    """Fail the set-up or teardown of a suite for the checks in it that did not hold.

    Args:
        session: Where they were noted.
        result: Robot's result of it.
    """
    if not in_dry_run():
        _fail(result, session.breaches.take_checks())


def refuse(result: Any) -> None:
    """Fail a test whose tags state a limit that nobody watches: what was not checked did not pass.

    Args:
        result: Robot's result of the test.
    """
    if not in_dry_run():
        _refuse(result, _stated(result.tags))


def fail_at_once(session: Session, result: Any) -> None:
    """Fail the keyword that ran when a limit was broken that counts at once; teardowns are run to their end.

    The limit stays broken until the end of the test, also when the suite ignores the error of a keyword.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the keyword.
    """
    if session.breaches.urgent and result.status == "PASS" and not in_teardown():
        _fail(result, session.breaches.urgent)


def in_dry_run() -> bool:
    """Return True in a dry run."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.dry_run)


def in_teardown() -> bool:
    """Return True in a teardown, which always runs to its end."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.in_teardown)


def _refuse(result: Any, stated: Sequence[str]) -> None:
    if stated and result.status == "PASS":
        _fail(result, [NotOpenError(f"The tag '{stated[0]}' states a limit, and no monitor is running.")])


def _fail(result: Any, errors: Sequence[OttoError]) -> None:
    """Fail the result unless it is skipped, and add to the message of one that did not pass what it does not say yet."""
    if not errors:
        return
    before = result.message if result.status != "PASS" else ""
    said = dict.fromkeys(escape(str(error), quote=False) if before.startswith("*HTML*") else str(error) for error in errors)
    result.status = "SKIP" if result.status == "SKIP" else "FAIL"
    result.message = "\n\n".join(filter(None, [before, "\n".join(text for text in said if text not in before)]))


def _broken(session: Session, result: Any, stated: Sequence[str]) -> list[OttoError]:
    """End the limits of the test and return which were broken; limits of a skipped test are not waited for."""
    is_skipped = result.status == "SKIP"
    errors = [] if is_skipped else _add_tags(session, stated)
    return [*errors, *session.monitor.ask(lambda monitor: monitor.take_limits(wait_s=0 if is_skipped else None))]


def _stated(tags: Iterable[str]) -> list[str]:
    return [tag for tag in tags if tag.lower().startswith(_TAG)]


def _add_tags(session: Session, stated: Sequence[str]) -> list[OttoError]:
    errors: list[OttoError] = []
    for tag in stated:
        try:
            session.monitor.do(lambda monitor, tag=tag: _add_tag(session, monitor, tag))  # type: ignore[misc]
        except OttoError as error:
            errors.append(error)
    return errors


def _add_tag(session: Session, monitor: Any, tag: str) -> None:
    found = _FORM.fullmatch(tag[len(_TAG) :])
    if found is None:
        raise UsageError(
            f"The tag '{tag}' states no limit. Write {_TAG}HOSTS METRIC STATISTIC < VALUE, such as {_TAG}dut1 cpu max < 90."
        )
    for host in session.lab.loaded.select(found["hosts"]):
        stated = found["metric"], found["statistic"], found["relation"], found["value"]
        monitor.limit(host, *stated, must=True, since=session.scopes.test_began)
