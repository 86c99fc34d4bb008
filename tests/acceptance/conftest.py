"""What the tests that run user suites have."""

from __future__ import annotations

from tests.robot.conftest import own_known_hosts

__all__ = ["own_known_hosts"]
