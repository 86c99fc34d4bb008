"""Rates of counters."""

from __future__ import annotations


class Rates:
    """Remembers counters and computes how fast they grow."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def per_second(self, name: str, count: float, at_s: float) -> float | None:
        """Return the growth per second since the last call for ``name``.

        Returns:
            None the first time, when no time has passed, and when the counter or the clock went back: a reset is no rate.
        """
        before = self._before.get(name)
        self._before[name] = (count, at_s)
        if before is None or count < before[0] or at_s <= before[1]:
            return None
        return (count - before[0]) / (at_s - before[1])
