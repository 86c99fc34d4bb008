"""The mark that ends the output of a command: what a shell prints for it, and whether it has arrived."""

from __future__ import annotations

import re
import secrets

from OttoLibrary.contracts.connections import UnexpectedAnswer
from OttoLibrary.shell.pending_output import PendingOutput

# What a mark reports: an exit status and the last background job, the background jobs, or nothing.
STATUS_AND_JOB = re.compile(rb"(\d{1,3}):(\d{1,10})@\n")
JOBS = re.compile(rb"(\s*(?:\d{1,10}\s+)*)@\n")
NOTHING = re.compile(rb"@\n")
_NO_JOB = re.compile(rb"[^\d\s@]|\d{11}")
# The longest report but that of jobs; what has no end by then is none.
_LONGEST_REPORT = 20


class EndMark:
    """The mark of one shell: a new one for each command, and none that a command can know before it is printed.

    Args:
        secret: What nobody else knows; made by chance when it is empty.

    Attributes:
        number: Which mark of the shell it is.
        printed: The mark as it arrives; what it reports comes behind it.
    """

    def __init__(self, secret: str = "") -> None:
        self._secret = secret or secrets.token_hex(8)
        self._take(0)

    def renew(self) -> None:
        """Take the next one."""
        self._take(self.number + 1)

    def _take(self, number: int) -> None:
        self.number = number
        self.printed = f"\n@{self._secret}.{number}:".encode()

    def format(self, report: str, end: str = "@\\n") -> str:
        """Return the format with which ``printf`` prints the mark and its report."""
        return f"'\\n@{self._secret}.{self.number}:{report}{end}'"

    def find(self, stream: PendingOutput, report: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Return the report of the mark once all of it has arrived, or None; raise UnexpectedAnswer when it cannot become one."""
        at = stream.find(self.printed)
        if at < 0:
            return None
        start = at + len(self.printed)
        found = report.match(stream.data, start)
        if found is None and _is_wrong(stream.data, start, report):
            raise UnexpectedAnswer("its shell reported the end of a command in a form that no shell uses")
        return found

    def split(self, stream: PendingOutput, report: re.Pattern[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
        """Take what was written before the mark, which has arrived, off a stream; return it with what the mark reports."""
        found = self.find(stream, report)
        assert found is not None
        at, groups = found.start() - len(self.printed), found.groups()
        return stream.take(found.end())[:at], groups


def _is_wrong(data: bytearray, start: int, report: re.Pattern[bytes]) -> bool:
    """Return True when what begins there can no longer become the report."""
    if report is JOBS:
        return _NO_JOB.search(data, start) is not None
    return data.find(b"\n", start) >= 0 or len(data) > start + _LONGEST_REPORT
