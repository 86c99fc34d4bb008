"""Fixtures of the tests that run whole robots."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_known_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Trust no key that a server of another test had on the same port, and leave none in the home of who runs this."""
    monkeypatch.setenv("OTTO_KNOWN_HOSTS", str(tmp_path_factory.mktemp("known") / "known_hosts"))


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
