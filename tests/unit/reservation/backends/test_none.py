"""Nobody has anything."""

from __future__ import annotations

import pytest

from OttoLibrary import registry
from OttoLibrary.reservation.backends.none import NoReservations
from OttoLibrary.testing import ReservationTests


class TestNone(ReservationTests):
    """The promises of every backend."""

    def backend(self) -> NoReservations:
        """Return what is tested."""
        return NoReservations()


@pytest.mark.parametrize("name", ["", "dut1", "*", "x" * 10_000])
def test_everything_is_free_for_everybody(name: str) -> None:
    assert NoReservations().who_reserved(name) == []
    assert NoReservations().get_reserved_resources(name) == set()


def test_an_answer_is_the_caller_s_own() -> None:
    backend = NoReservations()
    backend.who_reserved("dut1").append("bob")
    backend.get_reserved_resources("bob").add("dut1")
    assert backend.who_reserved("dut1") == []
    assert backend.get_reserved_resources("bob") == set()


def test_it_is_reached_by_its_name_and_says_it() -> None:
    made = registry.load("reservation", "none")
    assert isinstance(made, NoReservations)
    assert made.backend_name() == "none"
