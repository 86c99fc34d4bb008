"""Leases in PabotLib, without its server: what others may have written, and what is refused before anything is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.errors import LeaseLostError, ReservationError
from OttoLibrary.reservation.backends.pabot import PabotReservations


class Server:
    """What PabotLib keeps: its locks and its values."""

    def __init__(self) -> None:
        self.locks: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def answer(self, keyword: str, *arguments: str) -> Any:
        work: Callable[..., Any] = getattr(self, keyword)
        return work(*arguments)

    def acquire_lock(self, name: str, caller: str) -> bool:
        return self.locks.setdefault(name, caller) == caller

    def release_lock(self, name: str, caller: str) -> None:
        if self.locks.get(name) == caller:
            del self.locks[name]

    def get_parallel_value_for_key(self, key: str) -> Any:
        return self.values.get(key, "")

    def set_parallel_value_for_key(self, key: str, value: Any) -> None:
        self.values[key] = value

    def acquire_value_set(self, caller: str, *tags: str) -> tuple[str, str]:
        return "set", caller

    def release_value_set(self, caller: str) -> None:
        """Nothing is kept of sets."""


class Backend(PabotReservations):
    """The backend at a server in this process."""

    def __init__(self, server: Server) -> None:
        super().__init__("127.0.0.1:1")
        self._server = server

    def _call(self, keyword: str, *arguments: str) -> Any:
        return self._server.answer(keyword, *arguments)


def demand(*hosts: str, count: int = 1, user: str = "bob") -> Demand:
    return Demand({host: (host,) for host in hosts}, count, user, "soak")


def test_outside_of_pabot_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PABOTLIBURI", raising=False)
    with pytest.raises(ReservationError, match="belong to one run of pabot, and this is not one"):
        PabotReservations()


def test_what_one_has_another_does_not_get() -> None:
    server = Server()
    first, second = Backend(server), Backend(server)
    lease = first.attempt(first.join(demand("dut1")))
    assert lease is not None
    assert second.attempt(second.join(demand("dut1", user="eve"))) is None
    assert second.who_reserved("dut1") == ["bob"]
    first.release(lease)
    assert second.who_reserved("dut1") == []


def test_too_few_hosts_are_none_and_leave_nothing_behind() -> None:
    server = Server()
    first, second = Backend(server), Backend(server)
    assert first.attempt(first.join(demand("dut2")))
    assert second.attempt(second.join(demand("dut1", "dut2", count=2))) is None
    assert second.who_reserved("dut1") == []
    assert second.attempt(second.join(demand("dut1")))


def test_hosts_that_share_a_resource_are_not_taken_together() -> None:
    backend = Backend(Server())
    shared = Demand({"dut1": ("dut1", "rack"), "dut2": ("dut2", "rack"), "dut3": ("dut3",)}, 2, "bob")
    lease = backend.attempt(backend.join(shared))
    assert lease is not None
    assert lease.hosts == ("dut1", "dut3")


def test_a_lease_that_was_taken_by_force_says_by_whom_and_why() -> None:
    server = Server()
    backend = Backend(server)
    lease = backend.attempt(backend.join(demand("dut1")))
    assert lease is not None
    assert backend.renew(lease).token == lease.token
    (taken,) = Backend(server).release_forced("dut1", "eve", "it burns")
    assert (taken.user, taken.purpose) == ("bob", "soak")
    with pytest.raises(LeaseLostError, match=r"eve took it by force \(it burns\)"):
        backend.renew(lease)


@pytest.mark.parametrize("written", ["x", "[]", "7", "{}", '{"host": 1}', "[" * 100_000, json.dumps({"user": "bob"}), 7])
def test_what_was_not_written_by_us_is_an_error_and_not_free(written: Any) -> None:
    server = Server()
    server.values["otto:dut1"] = written
    with pytest.raises(ReservationError, match="'otto:dut1' is not what OttoLibrary wrote; so it is unknown who has what"):
        Backend(server).who_reserved("dut1")


def test_what_nobody_ever_had_is_free() -> None:
    backend = Backend(Server())
    assert backend.who_reserved("dut1") == []
    assert backend.holdings() == []
    assert backend.release_forced("dut1", "eve", "no reason") == []
