"""What fails the present test, beside its own keywords: lost leases, broken limits, checks that did not hold."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from OttoLibrary.engine import Engine
from OttoLibrary.errors import CheckError, OttoError

T = TypeVar("T")


class Breaches:
    """Collects what fails the present test, and ends the keyword that runs when that cannot wait.

    Args:
        engine: Runs the keyword that is ended.
        may_interrupt: Tells whether one may be ended now.
    """

    def __init__(self, engine: Engine, may_interrupt: Callable[[], bool]) -> None:
        self._engine, self._may_interrupt = engine, may_interrupt
        self._urgent: list[OttoError] = []
        self._later: list[OttoError] = []
        self._failed_checks: list[str] = []
        self._failed_ends: list[OttoError] = []

    @property
    def urgent(self) -> Sequence[OttoError]:
        """What has to end the keyword that runs, or the next one."""
        return self._urgent

    def add(self, error: OttoError) -> None:
        """Fail the test that runs: the keyword of this library at once, any other when it is over; no teardown."""
        self._urgent.append(error)
        if self._may_interrupt():
            self._engine.interrupt(error)

    def add_for_end(self, errors: Iterable[OttoError]) -> None:
        """Fail the test when it is over."""
        self._later += errors

    def add_failed_check(self, line: str) -> None:
        """Fail the test when it is over, for a check that did not hold; one line says which."""
        self._failed_checks.append(line)

    def add_failed_end(self, error: OttoError) -> None:
        """Fail the test, or the teardown of the suite, at whose end something could not be ended."""
        self._failed_ends.append(error)

    def call(self, coroutine: Coroutine[Any, Any, T], meanwhile: Callable[[], None] | None = None) -> T:
        """Run ``coroutine`` on the engine and return its result; it ends, or does not begin, after an urgent breach."""
        if self._urgent and self._may_interrupt():
            coroutine.close()
            raise self._urgent[0]
        return self._engine.call(coroutine, interruptible=True, meanwhile=meanwhile)

    def take(self) -> list[OttoError]:
        """Return what must fail the test since the last call: broken limits, lost leases, failed checks."""
        taken, self._urgent, self._later = [*self._urgent, *self._later], [], []
        return [*taken, *self.take_checks()]

    def take_checks(self) -> list[OttoError]:
        """Return the error that lists the checks that did not hold since the last call, or nothing."""
        failed, self._failed_checks = self._failed_checks, []
        return [CheckError(failed)] if failed else []

    def take_ends(self) -> list[OttoError]:
        """Return what could not be ended since the last call."""
        failed, self._failed_ends = self._failed_ends, []
        # A lease that was lost at the end of a test is no matter of the next one.
        self._urgent = [error for error in self._urgent if error not in failed]
        return failed
