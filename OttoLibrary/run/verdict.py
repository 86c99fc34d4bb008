"""What fails a test that is over: limits of metrics that were broken, leases that were lost, checks that did not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.run import guards
from OttoLibrary.run.guards import StatedLimit
from OttoLibrary.run.session import Session


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
    stated, wrong = _stated(result.tags if tags is None else tags)
    session.renew_leases()
    errors: list[OttoError] = [*session.breaches.take(), *wrong]
    if not session.monitor.is_running:
        fail(result, errors)
        _refuse(result, stated)
        return
    try:
        errors += _broken(session, result, stated)
    except Exception as error:  # noqa: BLE001 - Robot would only print it, and the test would pass unchecked
        errors.append(OttoError(f"The limits of the test could not be checked: {error}"))
    fail(result, errors)


def conclude_fixture(session: Session, result: Any) -> None:
    """Fail the set-up or teardown of a suite for the checks in it that did not hold.

    Args:
        session: Where they were noted.
        result: Robot's result of it.
    """
    if not in_dry_run():
        fail(result, session.breaches.take_checks())


def conclude_end(session: Session, result: Any) -> None:
    """Fail what is over for what could not be ended with it.

    Args:
        session: Where that was noted.
        result: Robot's result of a test, or of the teardown of a suite.
    """
    fail(result, session.breaches.take_ends())


def refuse(result: Any) -> None:
    """Fail a test whose tags state a limit that nobody watches: what was not checked did not pass.

    Args:
        result: Robot's result of the test.
    """
    if not in_dry_run():
        stated, wrong = _stated(result.tags)
        fail(result, wrong)
        _refuse(result, stated)


def fail_at_once(session: Session, result: Any) -> None:
    """Fail the keyword that ran when a limit was broken that counts at once; teardowns are run to their end.

    The limit stays broken until the end of the test, also when the suite ignores the error of a keyword.

    Args:
        session: Whose monitor watched.
        result: Robot's result of the keyword.
    """
    if session.breaches.urgent and result.status == "PASS" and not in_teardown():
        fail(result, session.breaches.urgent)


def fail(result: Any, errors: Sequence[OttoError]) -> None:
    """Fail a result unless it is skipped, and add to the message of one that did not pass what it does not say yet.

    Args:
        result: Robot's result.
        errors: Why; without any nothing is done.
    """
    if not errors:
        return
    before = result.message if result.status != "PASS" else ""
    said = dict.fromkeys(escape(str(error), quote=False) if before.startswith("*HTML*") else str(error) for error in errors)
    result.status = "SKIP" if result.status == "SKIP" else "FAIL"
    result.message = "\n\n".join(filter(None, [before, "\n".join(text for text in said if text not in before)]))


def in_dry_run() -> bool:
    """Return True in a dry run."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.dry_run)


def in_teardown() -> bool:
    """Return True in a teardown, which always runs to its end."""
    context = EXECUTION_CONTEXTS.current
    return bool(context and context.in_teardown)


def _stated(tags: Iterable[str]) -> tuple[list[StatedLimit], list[OttoError]]:
    """Return the limits that tags state, or what is wrong with them: a test may get tags while it runs."""
    tags = list(tags)
    try:
        guards.check_tags(tags)
        return guards.stated_limits(tags), []
    except OttoError as error:
        return [], [error]


def _refuse(result: Any, stated: Sequence[StatedLimit]) -> None:
    if stated and result.status == "PASS":
        fail(result, [guards.no_monitor(stated[0])])


def _broken(session: Session, result: Any, stated: Sequence[StatedLimit]) -> list[OttoError]:
    """End the limits of the test and return which were broken; limits of a skipped test are not waited for."""
    is_skipped = result.status == "SKIP"
    errors = [] if is_skipped else _add_limits(session, stated)
    return [*errors, *session.monitor.ask(lambda monitor: monitor.take_limits(wait_s=0 if is_skipped else None))]


def _add_limits(session: Session, stated: Sequence[StatedLimit]) -> list[OttoError]:
    errors: list[OttoError] = []
    for limit in stated:
        try:
            hosts = limit.chosen(session)
        except OttoError as error:
            errors.append(error)
            continue
        try:
            session.monitor.do(lambda monitor, limit=limit, hosts=hosts: _add_limit(session, monitor, limit, hosts))  # type: ignore[misc]
        except OttoError as error:
            errors.append(UsageError(f"The tag '{limit.tag}' guards nothing: {error}"))
    return errors


def _add_limit(session: Session, monitor: Any, limit: StatedLimit, hosts: Sequence[str]) -> None:
    stated = limit.metric, limit.statistic, limit.relation, limit.value
    for host in hosts:
        monitor.limit(host, *stated, must=True, since=session.scopes.test_began)
