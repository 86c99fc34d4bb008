"""What is read from hosts that are watched, and what the readings become.

A metric is one kind of readings. Its class says how it is asked::

    Metric
    ├─ ShellMetric          a script in a shell of the host
    │   ├─ BuiltInsMetric   that starts no process
    │   └─ CommandMetric    that starts processes, which may hang
    ├─ LocalMetric          this machine itself, without a shell; a built-in metric is one of those above too
    ├─ FollowedMetric       the lines that a command on the host writes, such as those of a log
    └─ NetworkMetric        a question over the network from here, such as SNMP

An instance belongs to one host, so that counters can become rates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from OttoLibrary.contracts.facts import HostFacts


class Metric(ABC):
    """One kind of readings.

    A series is named after what it is and its unit, with a label in brackets where there are several of a kind:
    ``cpu_percent``, ``network_sent_bytes_per_s[eth0]``. ``units.unit_of`` knows the endings.

    Attributes:
        main: The series that the name of the metric alone stands for, such as ``cpu_percent`` for ``cpu``.
        interval_s: It is read at most this often; 0 for every tick.
    """

    main: str
    interval_s: float = 0.0


class ShellMetric(Metric):
    """Readings that a script in a shell of the host prints; a metric is one of the two kinds below."""

    @abstractmethod
    def script(self) -> str:
        """Return POSIX shell text that prints what is to be read.

        It may use ``take FILE [LINES]``, which prints (the first lines of) a file, and nothing for one that cannot be read, and
        ``say TEXT``. Neither starts a process. ``IFS`` is a newline; names of variables begin with the metric's; nothing else
        may print.
        """

    @abstractmethod
    def values(self, printed: str, uptime_s: float) -> dict[str, float]:
        """Return the readings by series, from what the script printed.

        Args:
            printed: Its lines.
            uptime_s: The host's clock, seconds since it booted, for rates.

        Raises:
            ValueError: It is not what it should be; the text says what is wrong.
        """


class BuiltInsMetric(ShellMetric):
    """Readings whose script starts no process: it is run together with all others of its kind."""


class CommandMetric(ShellMetric):
    """Readings whose script starts processes, which may hang: it is run by itself, beside the others."""


class LocalMetric(Metric):
    """Readings that this machine gives without a shell, by psutil or from ``/proc``."""

    @abstractmethod
    def here(self, uptime_s: float) -> dict[str, float]:
        """Return the readings of this machine by series.

        Args:
            uptime_s: Its clock, seconds since it booted, for rates.

        Raises:
            ValueError: They cannot be read; the text says why.
        """


class FollowedMetric(Metric):
    """Readings and events from what a command on the host writes, line by line, as long as the host is watched."""

    @abstractmethod
    def script(self) -> str:
        """Return the command."""

    @abstractmethod
    def take(self, line: str) -> tuple[dict[str, float], str]:
        """Return the readings by series and the text of an event, either or both empty; raise ValueError."""


class NetworkMetric(Metric):
    """Readings that are asked for over the network from here, not in a shell of the host."""

    @abstractmethod
    async def ask(self, facts: HostFacts, uptime_s: float) -> dict[str, float]:
        """Return the readings by series.

        Args:
            facts: The host.
            uptime_s: This machine's clock, in seconds, for rates.

        Raises:
            ValueError: There is no such reading; the text says why.
            OSError: The host does not answer.
        """


@dataclass(frozen=True)
class Tick:
    """All readings of a host at one moment.

    Attributes:
        host: Name of the host.
        at: When, in seconds since 1970 by this machine's clock.
        uptime_s: When by the host's clock, seconds since it booted.
        values: The readings by series.
    """

    host: str
    at: float
    uptime_s: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Event:
    """Something that happened, or lasted, while hosts were watched.

    Attributes:
        at: When it began, in seconds since 1970 by this machine's clock.
        text: What it was.
        kind: ``mark`` or ``span`` of a user, or ``gap``, ``error``, ``reboot``, ``clock``, ``log``, ``limit``, ``test``,
            ``keyword``.
        host: Name of the host, empty when it concerns all.
        until: When it ended, or None for a moment, or for what has not ended.
    """

    at: float
    text: str
    kind: str
    host: str = ""
    until: float | None = None
