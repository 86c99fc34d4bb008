"""What is read from hosts that are watched, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from OttoLibrary.contracts.facts import HostFacts


class Metric(Protocol):
    """One kind of readings; an instance belongs to one host, so that counters can become rates.

    One that is built in has a method ``here(uptime_s)`` too, which returns the same readings of this machine, by psutil.

    A series is named by what it is and its unit, with a label in brackets where there are several of a kind:
    ``cpu_percent``, ``network_sent_bytes_per_s[eth0]``. ``units.unit_of`` knows the endings.

    Attributes:
        main: The series that the name of the metric alone stands for, such as ``cpu_percent`` for ``cpu``.
        interval_s: It is read at most so often; 0 for every tick.
        forks: True when its script starts processes, which may hang: then it is run beside those that do not.
    """

    main: str
    interval_s: float
    forks: bool

    def script(self) -> str:
        """Return POSIX shell text that says what is to be read.

        It may use ``take FILE [LINES]``, which says (the first lines of) a file and nothing for one that cannot be read, and
        ``say TEXT``. Both start no process. ``IFS`` is a newline; names of variables begin with the metric's; nothing is
        printed but by these two.
        """

    def values(self, said: str, uptime_s: float) -> dict[str, float]:
        """Return the readings by series, from what the script said.

        Args:
            said: Its lines.
            uptime_s: The host's clock, seconds since it was started, for rates.

        Raises:
            ValueError: It is not what it should be; the text says what is wrong.
        """


class NetworkMetric(Protocol):
    """Readings that are asked for over the network from here, not in a shell of the host.

    Attributes:
        main: As in ``Metric``.
        interval_s: As in ``Metric``.
    """

    main: str
    interval_s: float

    async def ask(self, facts: HostFacts, uptime_s: float) -> dict[str, float]:
        """Return the readings by series.

        Raises:
            ValueError: There is no such reading; the text says why.
            OSError: The host does not answer.
        """


class Follower(Protocol):
    """Readings and events from what a command on the host writes, line by line, as long as the host is watched.

    Attributes:
        main: As in ``Metric``.
    """

    main: str

    def script(self) -> str:
        """Return the command."""

    def take(self, line: str) -> tuple[dict[str, float], str]:
        """Return the readings by series and the text of an event, either or both empty; raise ValueError."""


@dataclass(frozen=True)
class Tick:
    """All readings of a host at one moment.

    Attributes:
        host: Name of the host.
        at: When, in seconds since 1970 by this machine's clock.
        uptime_s: When by the host's clock, seconds since it was started.
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
