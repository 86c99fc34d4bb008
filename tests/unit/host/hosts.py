"""Hosts on connections that the test makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OttoLibrary import registry
from OttoLibrary.contracts.connections import Record
from OttoLibrary.contracts.facts import HostFacts
from OttoLibrary.host.host import Host
from tests.unit.fakes import FakeTransport


def make_host(*connections: Any, journal: Callable[[Record], None] = lambda record: None, **facts: Any) -> Host:
    """Return a host that gets these connections, in order."""
    registry.register_transport("fake", FakeTransport)
    FakeTransport.ready[:] = connections
    return Host("box", ("box",), lambda: HostFacts("box", transport="fake", **facts), None, journal)
