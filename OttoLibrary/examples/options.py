"""Options of the demo product: what `Load Options` fills from variables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True)
class DemoOptions:
    """How the demo product is deployed.

    Attributes:
        product: Name of the program.
        rounds: How often it tests itself.
        level: What it logs.
        settle: How long it may take to start.
    """

    product: str = "fw"
    rounds: int = 1
    level: Literal["quiet", "debug"] = "quiet"
    settle: timedelta = timedelta(seconds=5)
