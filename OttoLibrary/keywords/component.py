"""What all keyword groups share: calling the engine, and publishing what hosts did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from robot.api import logger
from robot.api.types import Secret as RobotSecret
from robot.libraries.BuiltIn import BuiltIn, RobotNotRunningError
from robot.utils import DotDict  # type: ignore[import-untyped]

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import OttoError, UsageError
from OttoLibrary.run.fanout import FanOut, whole
from OttoLibrary.run.session import Session
from OttoLibrary.text import Secret

if TYPE_CHECKING:
    from OttoLibrary.report.blocks import Attachments

T = TypeVar("T")
ExpectedRc: TypeAlias = int | list[int] | Literal["any"]
Text: TypeAlias = str | RobotSecret
OnError: TypeAlias = Literal["fail", "return"]


@dataclass(frozen=True)
class FanoutOptions:
    """How the same is done on many hosts.

    Attributes:
        limit: How many at the same time.
        stop_after: After so many failures no further host is begun; 0 for all of them.
        on_error: ``fail``, or ``return`` the errors among the results.
    """

    limit: int
    stop_after: int = 0
    on_error: OnError = "fail"

    def check(self) -> None:
        """Raise UsageError for a number that makes no sense."""
        if self.limit < 1:
            raise UsageError(f"limit={self.limit} lets no host begin. Write 1 or more.")
        if self.stop_after < 0:
            raise UsageError(f"stop_after={self.stop_after} is no number of failures. Write 1 or more, or 0 to try all hosts.")


class Component:
    """A group of keywords of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._attachments: Attachments | None = None

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and log what hosts did, also when it fails or is interrupted."""
        try:
            return self.session.breaches.call(coroutine)
        finally:
            self.publish()

    def on_each(
        self,
        hosts: str,
        work: Callable[[str], Awaitable[T]],
        spread: FanoutOptions,
        table: Callable[[list[tuple[str, tuple[str, ...], T | OttoError]]], str],
        failed: str,
    ) -> dict[str, Any]:
        """Do the same on many hosts at once, log one table and return the results by host.

        What fails is in the log as soon as it does; the table is there also when the keyword is ended by a time-out.

        Args:
            hosts: Which hosts, a selection.
            work: Does it on the host of a name.
            spread: How many at a time, and what a failure means.
            table: Makes the table of name, path and outcome of each.
            failed: What failed, for the message, before the number of hosts.

        Raises:
            HostError: It failed for at least one host; the message names each.
            UsageError: A number of hosts is below what makes sense.
        """
        spread.check()
        names = self.session.lab.select(hosts)
        fan_out = FanOut(names, work, spread.limit, spread.stop_after)
        try:
            self.session.breaches.call(fan_out.run(), lambda: self._tell_failures(fan_out))
        finally:
            self.session.journal.take_records()
            found = fan_out.outcomes()
            self.log_html(table([(name, self.session.hosts.path_to(name), found[name]) for name in names]))
        return dotted(found if spread.on_error == "return" else whole(found, failed))

    def _tell_failures(self, fan_out: FanOut[Any]) -> None:
        for _, error in fan_out.take_failures():
            logger.info(self.session.masker.mask(str(error)))

    def publish(self) -> None:
        """Log what hosts did since the last time."""
        from OttoLibrary.report.blocks import block

        for record in self.session.journal.take_records():
            self.log_html(block(record, self.attachments))

    def log_html(self, html: str) -> None:
        """Log a block of HTML, secrets hidden."""
        logger.info(self.session.masker.mask(html), html=True)

    @property
    def attachments(self) -> Attachments:
        """The files beside the log."""
        if self._attachments is None:
            from OttoLibrary.report.blocks import Attachments

            self._attachments = Attachments(_output_folder(), self.session.masker.mask, logger.warn)
        return self._attachments

    def timeout(self, host: str, given: timedelta | None) -> float | None:
        """Return seconds: those given, or those set for the host, or None for the lab's."""
        return given.total_seconds() if given is not None else self.session.scopes.timeout(host)

    def secret(self, text: Text) -> str | Secret:
        """Return plain text as it is, and Robot's Secret as ours, masked from now on."""
        if not isinstance(text, RobotSecret):
            return text
        self.session.masker.add(text.value)
        return Secret(text.value)


def expected(rc: ExpectedRc) -> Expected:
    """Return which exit statuses are right."""
    if rc == "any":
        return Expected(())
    return Expected(tuple(rc) if isinstance(rc, list) else (int(rc),))


def dotted(items: dict[str, Any]) -> dict[str, Any]:
    """Return a dictionary whose items are attributes too, as Robot's own dictionaries are."""
    found: dict[str, Any] = DotDict(items)
    return found


def _output_folder() -> Path | None:
    try:
        folder = BuiltIn().get_variable_value("${OUTPUT DIR}")
    except RobotNotRunningError:
        return None
    return Path(folder) if folder else None
