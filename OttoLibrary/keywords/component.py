"""What all keyword groups share: calling the engine, and publishing what hosts did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from robot.api import logger
from robot.api.types import Secret as RobotSecret
from robot.libraries.BuiltIn import BuiltIn, RobotNotRunningError
from robot.utils import DotDict  # type: ignore[import-untyped]

from OttoLibrary.contracts.connections import Expected
from OttoLibrary.errors import OttoError
from OttoLibrary.run.fanout import each, whole
from OttoLibrary.run.session import Session
from OttoLibrary.text import Secret

if TYPE_CHECKING:
    from OttoLibrary.report.blocks import Attachments

T = TypeVar("T")
ExpectedRc: TypeAlias = int | list[int] | Literal["any"]
Text: TypeAlias = str | RobotSecret


class Component:
    """A group of keywords of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._attachments: Attachments | None = None

    def call(self, coroutine: Coroutine[Any, Any, T], *, publish: bool = True) -> T:
        """Run ``coroutine`` and log what hosts did, also when it fails or is interrupted."""
        try:
            return self.session.breaches.call(coroutine)
        finally:
            if publish:
                self.publish()

    def on_each(
        self,
        hosts: str,
        work: Callable[[str], Awaitable[T]],
        limit: int,
        table: Callable[[list[tuple[str, tuple[str, ...], T | OttoError]]], str],
        failed: str,
    ) -> dict[str, Any]:
        """Do the same on many hosts at once, log one table and return the results by host.

        Args:
            hosts: Which hosts, a selection.
            work: Does it on the host of a name.
            limit: How many at the same time.
            table: Makes the table of name, path and outcome of each.
            failed: What failed, for the message, before the number of hosts.

        Raises:
            HostError: It failed for at least one host; all were tried, and the message names each.
        """
        names = self.session.lab.select(hosts)
        found = self.call(each(names, work, limit), publish=False)
        self.session.journal.take_records()
        self.log_html(table([(name, self.session.hosts.path_to(name), found[name]) for name in names]))
        return dotted(whole(found, failed))

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
