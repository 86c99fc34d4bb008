"""Leases in Redis, without a server: what is needed to begin, and that no silence is taken for a free host."""

from __future__ import annotations

import pytest

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.errors import ReservationError

pytest.importorskip("redis")
from OttoLibrary.reservation.backends.redis import RedisReservations

# A socket in no folder: refused by this machine, at once and without a network.
NOWHERE = "unix:///nowhere/redis.sock"


def test_without_a_server_it_says_where_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTTO_REDIS", raising=False)
    with pytest.raises(ReservationError, match=r"need a server. Name it in OTTO_REDIS, such as redis://host:6379/0"):
        RedisReservations()


def test_making_one_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_REDIS", NOWHERE)
    made = RedisReservations()
    assert made.backend_name() == "redis"
    made.close()


def test_a_server_that_does_not_answer_leaves_it_unknown_who_has_what() -> None:
    backend = RedisReservations(NOWHERE)
    demand = Demand({"dut1": ("dut1",)}, 1, "bob")
    for ask in (backend.holdings, lambda: backend.who_reserved("dut1"), lambda: backend.join(demand)):
        with pytest.raises(ReservationError, match="so it is unknown who has what"):
            ask()
    backend.close()


def test_a_ticket_that_is_unknown_cannot_be_left_behind_a_server_that_is_gone() -> None:
    with pytest.raises(ReservationError):
        RedisReservations(NOWHERE).leave("none")
