"""Keeps the log of thousands of keyword runs flat: what passed is left out, what failed is written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from robot.result import Group  # type: ignore[import-untyped]
from robot.running.context import EXECUTION_CONTEXTS  # type: ignore[import-untyped]

# Of one run; of longer ones the beginning is kept, with everything that is open closed.
_MOST_CALLS = 20_000
# Of one event; further ones are counted, and the last is in the table.
MOST_FAILURES_LOGGED = 200


class _Recording:
    """Takes what the output file would be told, to tell it later or never."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, Any]] = []
        self._left_out = 0
        self._depth_left_out = 0

    def __getattr__(self, name: str) -> Callable[[Any], None]:
        return lambda item: self._take(name, item)

    def write_to(self, logger: Any) -> None:
        """Tell all of it."""
        for name, item in self._calls:
            getattr(logger, name)(item)

    def _take(self, name: str, item: Any) -> None:
        is_start, is_end = name.startswith("start_"), name.startswith("end_")
        if self._depth_left_out or (len(self._calls) >= _MOST_CALLS and not is_end):
            self._depth_left_out += is_start - is_end
            self._left_out += 1
            return
        self._calls.append((name, item))


class KeptRuns:
    """Chooses the runs of events that the log keeps: failures, and samples of the others, so few that a day stays small."""

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}

    def status(self, event: str, number: int, *, has_failed: bool) -> str:
        """Return the status with which a run is kept, or nothing: the first failures, and of all the first, tenth, hundredth."""
        if has_failed:
            self._failed[event] = self._failed.get(event, 0) + 1
        is_kept = (has_failed and self._failed[event] <= MOST_FAILURES_LOGGED) or str(number).strip("0") == "1"
        return ("FAIL" if has_failed else "PASS") if is_kept else ""


class FoldedLog:
    """The output of the present run of Robot Framework, with a group around each run that is kept."""

    @contextmanager
    def run(self, title: str, status: Callable[[], str]) -> Iterator[None]:
        """Hold back what is logged inside; afterwards write it as a group, or drop it.

        Args:
            title: What the group is called.
            status: Returns the status of the group, ``PASS`` or ``FAIL``, or nothing to drop it.
        """
        context = EXECUTION_CONTEXTS.current
        file = getattr(context.output, "output_file", None)
        if file is None or not hasattr(file, "real_logger") or file.flatten_level:
            yield
            return
        before, recording, began = (file.logger, file.real_logger), _Recording(), datetime.now()  # noqa: DTZ005 - as Robot Framework has it
        file.logger = file.real_logger = recording
        try:
            yield
        finally:
            file.logger, file.real_logger = before
            ended = status()
            if ended:
                self._write(file.logger, recording, Group(name=title, status=ended, start_time=began))
            # The results are in the output, or dropped; all of a soak would fill the memory.
            if context.steps:
                context.steps[-1][1].body.clear()

    def _write(self, logger: Any, recording: _Recording, group: Any) -> None:
        group.elapsed_time = datetime.now() - group.start_time  # noqa: DTZ005
        logger.start_group(group)
        recording.write_to(logger)
        logger.end_group(group)
