"""Every error that OttoLibrary raises.

::

    OttoError
    ├─ UsageError                 the suite, lab or plug-in is wrong: fix it, don't retry
    │   ├─ UnknownNameError       (also LookupError)
    │   ├─ LabError ─ SettingsError, ScenarioError
    │   ├─ PluginError
    │   ├─ ValueFormatError
    │   └─ NotOpenError
    ├─ HostError                  the other side; carries host, path (hops) and last output
    │   ├─ ConnectError
    │   │   ├─ LoginError
    │   │   ├─ HostKeyError
    │   │   └─ HopError
    │   ├─ ConnectionLostError
    │   ├─ WaitTimeoutError       (also TimeoutError)
    │   ├─ DisturbanceEndedError  a disturbance of a host ended before it was healed
    │   ├─ CommandError           unexpected exit status; carries the CommandResult
    │   └─ TransferError          a file did not arrive complete; carries sent_bytes, expected_bytes, verified
    ├─ ReservationError           hosts could not be reserved
    │   ├─ NotFreeError           somebody else has reserved them; carries the holders
    │   └─ LeaseLostError         a reservation of ours ended early
    ├─ DeployError                devices of an environment did not come up; carries each failure
    ├─ ScenarioFailedError        events of a scenario failed, or it ended early; the message has each
    ├─ LimitError                 a measured value broke its limit (also AssertionError)
    └─ CheckError                 a check of a suite failed (also AssertionError)

A constructor takes data and builds the sentence. The first line is complete by itself; details follow.
A message shows no secret, does not control a terminal, and is cut when it is very long; the data of an error are not.
"""

from __future__ import annotations

import difflib
import errno
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, Self

from OttoLibrary.masking import mask
from OttoLibrary.text import plural, printable

_TAIL_LINES = 10
_LONGEST_LINE = 1000
# Of long output so much is masked and searched for its last lines; a secret that this cuts is never in what is shown.
_TAIL_WINDOW = 1 << 16
_LONGEST = 10_000
_MOST_PROBLEMS = 50
_MOST_NAMES = 30
_LONGEST_NAME = 100
# What a machine may be short of, and where: the host that a message names has no part in it.
_SHORT_OF = {
    errno.ENOSPC: "on this machine",
    errno.EDQUOT: "on this machine",
    errno.EROFS: "on this machine",
    errno.EFBIG: "on this machine (see 'ulimit -f')",
    errno.EMFILE: "in this process, which may have {files} (see 'ulimit -n')",
    errno.ENFILE: "on this machine",
    errno.ENOMEM: "on this machine",
}


class Result(Protocol):
    """What an error needs of a ``CommandResult``."""

    @property
    def host(self) -> str: ...  # noqa: D102 - as in CommandResult
    @property
    def command(self) -> str: ...  # noqa: D102
    @property
    def rc(self) -> int: ...  # noqa: D102
    @property
    def stdout(self) -> str: ...  # noqa: D102
    @property
    def stderr(self) -> str: ...  # noqa: D102
    @property
    def signal(self) -> str | None: ...  # noqa: D102
    @property
    def duration_s(self) -> float: ...  # noqa: D102
    @property
    def stdout_file(self) -> Path | None: ...  # noqa: D102
    @property
    def stderr_file(self) -> Path | None: ...  # noqa: D102


class OttoError(Exception):
    """Base of all errors; the log shows only the sentence, not the class name. It shows no secret and steers no terminal.

    Among the results of many hosts an error has the attributes of a result, so that a suite can ask each the same.

    Attributes:
        rc: Exit status of the command when it had a wrong one, otherwise -1.
        stdout: What the command wrote to standard output until then, of long output the beginning and the end.
        stderr: The same for standard error.
    """

    ROBOT_SUPPRESS_NAME = True
    rc = -1
    stdout = stderr = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(_bounded(printable(mask(message))))


def reason_here(error: OSError) -> str | None:
    """Return what this machine is short of when that is why the system refused, such as room on a disk; or None."""
    where = _SHORT_OF.get(error.errno or 0)
    if where is None or isinstance(error, OttoError):
        return None
    file = f" ('{error.filename}')" if error.filename else ""
    return f"{error.strerror} {where.format(files=resource.getrlimit(resource.RLIMIT_NOFILE)[0])}{file}"


class UsageError(OttoError):
    """The suite, the lab or a plug-in is wrong."""


class UnknownNameError(UsageError, LookupError):
    """Nothing has this name; the message suggests the nearest one and lists the known ones.

    Args:
        kind: What was looked for, such as ``host``.
        name: The unknown name.
        known: The names that exist.
        advice: What to do, or where it was looked for, a whole sentence.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        more = f", and {len(self.known) - _MOST_NAMES} more" if len(self.known) > _MOST_NAMES else ""
        listed = ", ".join(self.known[:_MOST_NAMES]) + more or "none"
        super().__init__(_join(f"No {kind} named '{name}'.{did_you_mean(name, self.known)} Known: {listed}.", advice))


class LabError(UsageError):
    """One or more mistakes in lab files, all of them in one message."""

    _subject = "The lab has"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        if count == 1:
            super().__init__(self.problems[0])
        else:
            listed = "\n".join(f"  {problem}" for problem in self.problems[:_MOST_PROBLEMS])
            which = "" if count <= _MOST_PROBLEMS else f", the first {_MOST_PROBLEMS} are"
            super().__init__(f"{self._subject} {count} mistakes{which}:\n{listed}")


class SettingsError(LabError):
    """One or more mistakes in settings files, all of them in one message."""

    _subject = "The settings have"


class ScenarioError(LabError):
    """One or more mistakes in the description of a scenario, all of them in one message."""

    _subject = "The scenario has"


class PluginError(UsageError):
    """A plug-in breaks its contract, claims a taken name or lacks its package."""

    @classmethod
    def missing_package(cls, subject: str, package: str, cause: object, python: str = sys.executable) -> PluginError:
        """Return the error of what needs a package that a Python does not have, with the command that installs it.

        Args:
            subject: What needs it.
            package: What is installed, an extra of ours such as ``robotframework-ottolibrary[load]`` or a package.
            cause: Why it is known to be missing.
            python: Where.
        """
        install = f"{python} -m pip install '{package}'"
        return cls(f"{subject} needs a package that is not installed ({cause}). Install it with: {install}")


class ValueFormatError(UsageError):
    """A value is not in a known format."""


class NotOpenError(UsageError):
    """Something is used that was never opened, or has been closed."""


class HostError(OttoError):
    """Something happened on, or on the way to, a host.

    Attributes:
        host: The name of the host.
        path: The hosts on the way to it, the first hop first and the host itself last.
        last_output: The last output of the host, as far as known.
    """

    def __init__(self, message: str, *, host: str = "", path: Sequence[str] = (), last_output: str = "") -> None:
        self.host, self.path, self.last_output = host, tuple(path) or (host,), last_output
        super().__init__(message)

    def with_output(self, output: tuple[str, str]) -> Self:
        """Return it with what the command wrote to standard output and standard error until then."""
        self.stdout, self.stderr = output
        return self


class ConnectError(HostError):
    """No connection could be made.

    Attributes:
        what: What happened, in the words of the sentence.
        cause: Why, without a final full stop.

    Args:
        advice: What to do, a whole sentence.
    """

    what = "cannot be reached"

    def __init__(self, host: str, path: Sequence[str], cause: str, advice: str = "") -> None:
        self.cause = cause
        super().__init__(_join(f"{subject(host, path)} {self.what}: {cause}.", advice), host=host, path=path)


class LoginError(ConnectError):
    """The host answered and refused the login."""

    what = "refused the login"


class HostKeyError(ConnectError):
    """The host did not prove its identity."""

    what = "was not trusted"


class HopError(ConnectError):
    """A hop on the way failed.

    Attributes:
        hop: The name of the hop that failed.
        hop_did: What it did, in the words of the sentence.
    """

    def __init__(self, host: str, path: Sequence[str], hop: str, what: str, cause: str) -> None:
        self.hop = hop
        self.hop_did = what
        self.what = f"cannot be reached, because hop '{hop}' {what}"
        super().__init__(host, path, cause)


class ConnectionLostError(HostError):
    """The connection broke while it was in use."""

    def __init__(self, host: str, path: Sequence[str], cause: str, last_output: str = "") -> None:
        sentence = f"{subject(host, path)} lost its connection: {cause}. The next keyword that uses it reconnects."
        super().__init__(sentence + tail("Last output", last_output), host=host, path=path, last_output=last_output)


class WaitTimeoutError(HostError, TimeoutError):
    """Something did not happen in time.

    Args:
        what: What did not happen, such as ``did not show 'login:'``.
        seconds: How long was waited.
    """

    def __init__(
        self, host: str, path: Sequence[str], what: str, seconds: float, *, last_output: str = "", advice: str = ""
    ) -> None:
        self.seconds = seconds
        sentence = _join(f"{subject(host, path)} {what} in {seconds:g} seconds.", advice)
        super().__init__(sentence + tail("Last output", last_output), host=host, path=path, last_output=last_output)


class DisturbanceEndedError(HostError):
    """A disturbance of a host ended before its time; it is undone."""


class CommandError(HostError):
    """A command ended with another exit status than expected.

    Attributes:
        result: The ``CommandResult``.
    """

    def __init__(self, result: Result, path: Sequence[str], expected: str) -> None:
        self.result = result
        self.rc, self.stdout, self.stderr = result.rc, result.stdout, result.stderr
        said = result.stderr or result.stdout
        stream = "stderr" if result.stderr else "stdout"
        how = f"was ended by {result.signal}" if result.signal else f"exited with {result.rc}"
        sentence = f"{subject(result.host, path)}: command '{shorten(result.command)}' {how}, expected {expected}."
        super().__init__(sentence + tail(f"Last lines of {stream}", said), host=result.host, path=path, last_output=said)


class TransferError(HostError):
    """A file did not arrive, or arrived changed.

    Attributes:
        sent_bytes: How many bytes were moved.
        expected_bytes: How many the file has, or None when that is not known.
        verified: True when the content was right, and a later step failed.

    Args:
        what: What did not happen, such as ``did not take 'a.bin' as '/tmp/a.bin'``.
        cause: Why, without a final full stop.
        advice: What to do, a whole sentence.
    """

    def __init__(
        self,
        host: str,
        path: Sequence[str],
        what: str,
        cause: str,
        advice: str = "",
        *,
        sent_bytes: int = 0,
        expected_bytes: int | None = None,
        verified: bool = False,
    ) -> None:
        self.sent_bytes, self.expected_bytes, self.verified = sent_bytes, expected_bytes, verified
        super().__init__(_join(f"{subject(host, path)} {what}: {cause}.", advice), host=host, path=path)


class ReservationError(OttoError):
    """Hosts could not be reserved: a backend does not answer, or refuses."""


class NotFreeError(ReservationError):
    """Somebody else has reserved what is wanted.

    Attributes:
        holders: Who has what, in words.
    """

    def __init__(self, what: str, holders: Sequence[str], advice: str = "") -> None:
        self.holders = tuple(holders)
        listed = "; ".join(holders) or "nobody, but others are waiting for it too"
        super().__init__(_join(f"{what}. Who has what: {listed}.", advice))


class LeaseLostError(ReservationError):
    """A reservation of ours ended before we released it."""

    def __init__(self, hosts: Sequence[str], cause: str) -> None:
        names = ", ".join(f"'{name}'" for name in hosts)
        super().__init__(f"The reservation of {names} was lost: {cause}. Others may use them now; stop what you run there.")


class DeployError(OttoError):
    """Devices of an environment could not be made, brought up, checked or shut down; all of them in one message.

    Attributes:
        board: The board, or bench.
        failed: Each failure in a sentence.
    """

    def __init__(self, board: str, failed: Sequence[str], what: str = "are not up") -> None:
        self.board, self.failed = board, tuple(failed)
        listed = "".join(f"\n  {line}" for line in self.failed)
        super().__init__(f"The devices of '{board}' {what}, {plural(len(self.failed), 'failure')}:{listed}")


class ScenarioFailedError(OttoError):
    """A scenario failed; the message has every reason.

    Attributes:
        ROBOT_EXIT_ON_FAILURE: The whole execution ends, since an event asked for that.
    """

    def __init__(self, message: str, *, is_fatal: bool = False) -> None:
        self.ROBOT_EXIT_ON_FAILURE = is_fatal
        super().__init__(message)


class LimitError(OttoError, AssertionError):
    """A measured value broke its limit, or there was no reading to compare.

    Attributes:
        host: Name of the host.
        metric: The metric as the user named it.
    """

    def __init__(self, host: str, metric: str, sentence: str) -> None:
        self.host, self.metric = host, metric
        super().__init__(sentence)


class CheckError(OttoError, AssertionError):
    """Checks that failed, all of them in one message.

    Attributes:
        failed: Each in one line.
    """

    def __init__(self, failed: Sequence[str]) -> None:
        self.failed = tuple(failed)
        listed = "".join(f"\n  {line}" for line in self.failed)
        super().__init__(f"{plural(len(self.failed), 'check')} failed:{listed}")


def subject(host: str, path: Sequence[str] = ()) -> str:
    """Return how a sentence names a host: ``Host 'dut1' (through gateway)``."""
    hops = [name for name in path if name != host]
    return f"Host '{host}' (through {', '.join(hops)})" if hops else f"Host '{host}'"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1) if len(name) <= _LONGEST_NAME else []
    return f" Did you mean '{near[0]}'?" if near else ""


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def shorten(command: str) -> str:
    """Return the first line of a command, cut when it is long."""
    first, _, rest = mask(command).strip().partition("\n")
    return f"{first[:77]}..." if rest or len(first) > 80 else first


def tail(label: str, output: str) -> str:
    """Return the last lines of an output for the end of a sentence, below a label; nothing for no output."""
    lines = mask(output.rstrip()[-_TAIL_WINDOW:]).splitlines()[-_TAIL_LINES:]
    shown = (line if len(line) <= _LONGEST_LINE else f"...{line[-_LONGEST_LINE:]}" for line in lines)
    return f"\n{label}:\n" + "\n".join(shown) if lines else ""


def _bounded(message: str) -> str:
    """Return a message with its middle left out when it is too long to read."""
    half = _LONGEST // 2
    left_out = len(message) - 2 * half
    return message if left_out <= 0 else f"{message[:half]}\n... {left_out} characters left out ...\n{message[-half:]}"
