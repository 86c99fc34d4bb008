"""The shells that scripts of metrics run in."""

from __future__ import annotations

import pytest

from tests.unit.monitor.shells import SHELLS


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)
