"""The tests of a run, for those who show them while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Follower = Callable[[Mapping[str, Any]], None]


class FollowedTests:
    """Tells its followers when a test begins and when it ends."""

    def __init__(self) -> None:
        self._followers: list[Follower] = []
        self._present: Mapping[str, Any] | None = None

    def follow(self, follower: Follower) -> None:
        """Call ``follower`` with each test that begins or ends, and now with the one that runs."""
        self._followers.append(follower)
        if self._present is not None:
            follower(self._present)

    def leave(self, follower: Follower) -> None:
        """Call ``follower`` no more."""
        self._followers.remove(follower)

    def tell(self, name: str, began: float, ended: float | None, status: str) -> None:
        """Tell that a test has begun, or ended.

        Args:
            name: Its full name.
            began: When it began, in seconds since 1970.
            ended: When it ended, or None.
            status: ``RUNNING``, or Robot Framework's.
        """
        test = {"name": name, "began": began, "ended": ended, "status": status, "link": ""}
        self._present = None if ended else test
        for follower in self._followers:
            follower(test)
