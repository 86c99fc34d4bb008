"""Statistics of an invented series."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    host: str
    series: str
    unit: str = "%"
    min: float = 1.0
    mean: float = 12.0
    p95: float = 40.0
    max: float = 42.0
    last: float = 7.5
