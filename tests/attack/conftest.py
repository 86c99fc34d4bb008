"""Hosts under the control of an attacker, and what the tests of hosts have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.conftest import open_lab, own_home
from tests.peers.hostile import HostileHost

__all__ = ["hostile", "open_lab", "own_home"]


@pytest.fixture
def hostile(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., HostileHost]:
    """Make a host whose tools the test writes: ``hostile()`` on this machine, ``hostile("sshd")`` behind an SSH server."""

    def made(way: str = "local", name: str = "hostile") -> HostileHost:
        host = HostileHost(tmp_path / name)
        if way == "sshd":
            keys: Any = request.getfixturevalue("keys")
            host.reached_by(request.getfixturevalue("make_sshd")(options={"SetEnv": host.path_setting}), keys)
        return host

    return made
