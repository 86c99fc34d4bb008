"""Python functions as events: they run beside keywords, and a long one sees the kill switch."""

from __future__ import annotations

import time
from typing import Any

from OttoLibrary import scenario_event

ROBOT_LIBRARY_SCOPE = "GLOBAL"


@scenario_event
def play_until_the_end(kill_switch: Any, reporter: Any) -> None:
    """Do something long, and end as soon as the scenario does."""
    began = time.monotonic()
    while not kill_switch.wait(0.2):
        reporter.report("played", time.monotonic() - began, "s")
