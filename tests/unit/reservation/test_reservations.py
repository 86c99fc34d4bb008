"""The reservations of one run: which backend decides, and the check before a host is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import pytest

from OttoLibrary import registry
from OttoLibrary.contracts.reservations import Holding, Quarantine
from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotFreeError, ReservationError, UnknownNameError, UsageError
from OttoLibrary.reservation.reservations import SKIP_CHECK, RunReservations


class Board:
    """A backend that only says who has what."""

    taken: Mapping[str, list[str]] = {}
    opened = 0

    def __init__(self, *place: str) -> None:
        type(self).opened += 1
        self.place = place
        if place == ("broken",):
            raise ConnectionRefusedError("nobody there")

    def backend_name(self) -> str:
        return "board"

    def get_reserved_resources(self, username: str) -> set[str]:
        return {resource for resource, users in self.taken.items() if username in users}

    def who_reserved(self, resource: str) -> list[str]:
        return list(self.taken.get(resource, []))


class Entry:
    """A host of a lab, as reservations see it."""

    name = "dut1"
    needs = ("dut1", "rack")
    reserved_as = ("dut1",)


@pytest.fixture(autouse=True)
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_USER", "bob")
    monkeypatch.delenv("OTTO_RESERVATION_BACKEND", raising=False)
    monkeypatch.setattr(Board, "taken", {})
    monkeypatch.setattr(Board, "opened", 0)
    registry.register_reservation_backend("board", Board)


def made(name: str = "board", settings: Mapping[str, Any] | None = None, **variables: str) -> RunReservations:
    return RunReservations(name, lambda: dict(settings or {}), Engine(), variable=lambda key: variables.get(key, ""))


HOST: Any = Entry()


def test_no_backend_is_opened_before_the_first_use_and_then_only_one() -> None:
    run = made()
    assert Board.opened == 0
    run.check(HOST)
    run.check(HOST)
    assert Board.opened == 1


@pytest.mark.parametrize("taken", [{}, {"dut1": ["bob"]}, {"rack": ["eve", "bob"]}, {"dut2": ["eve"]}])
def test_a_free_host_and_one_of_this_user_may_be_used(taken: Mapping[str, list[str]]) -> None:
    Board.taken = taken
    assert made().check(HOST) == ""


@pytest.mark.parametrize("resource", ["dut1", "rack"])
def test_a_host_of_somebody_else_may_not_be_used(resource: str) -> None:
    Board.taken = {resource: ["eve"]}
    with pytest.raises(NotFreeError, match="Host 'dut1' is reserved by somebody else") as raised:
        made().check(HOST)
    assert "eve" in str(raised.value)


@pytest.mark.parametrize("word", ["yes", "TRUE", "On", "1"])
def test_the_check_can_be_switched_off_and_is_a_warning_then(word: str) -> None:
    Board.taken = {"dut1": ["eve"]}
    warning = made(**{SKIP_CHECK: word}).check(HOST)
    assert warning.startswith(f"Host 'dut1' is reserved by somebody else, but {SKIP_CHECK} allows its use.")
    assert "eve" in warning


@pytest.mark.parametrize("word", ["", "no", "0", "maybe"])
def test_any_other_word_leaves_the_check_on(word: str) -> None:
    Board.taken = {"dut1": ["eve"]}
    with pytest.raises(NotFreeError):
        made(**{SKIP_CHECK: word}).check(HOST)


def test_the_argument_counts_before_the_environment_and_that_before_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"backend": "none"}
    assert made("board", settings).backend.backend_name() == "board"
    assert made("", settings).backend.backend_name() == "none"
    monkeypatch.setenv("OTTO_RESERVATION_BACKEND", "board")
    assert made("", settings).backend.backend_name() == "board"


def test_the_place_of_one_backend_is_not_given_to_another() -> None:
    own: Any = made("", {"backend": "board", "path": "/there"}).backend
    other: Any = made("board", {"backend": "file", "path": "/there"}).backend
    assert (own.place, other.place) == (("/there",), ())


def test_a_backend_that_cannot_be_opened_is_one_sentence() -> None:
    with pytest.raises(ReservationError, match="'board' could not be opened: ConnectionRefusedError: nobody there"):
        made("", {"backend": "board", "url": "broken"}).check(HOST)
    with pytest.raises(UnknownNameError):
        made("bord").check(HOST)


def test_a_backend_that_only_says_who_has_what_reserves_nothing() -> None:
    with pytest.raises(UsageError, match="'board' can only say who has what"):
        _ = made().leases
    Board.taken = {"dut1": ["bob"]}
    assert made().has(HOST)
    Board.taken = {"dut1": ["eve"]}
    assert not made().has(HOST)


def test_what_was_never_opened_is_closed_without_a_word() -> None:
    run = made()
    run.renew()
    run.close()
    run.close()
    assert Board.opened == 0


class Ward(Board):
    """A backend that keeps quarantines, too."""

    sick: ClassVar[dict[str, Quarantine]] = {}

    def quarantines(self) -> list[Quarantine]:
        return list(self.sick.values())

    def quarantine(self, resources: Collection[str], user: str, reason: str) -> None:
        self.sick.update({resource: Quarantine(resource, user, 0.0, reason) for resource in resources})

    def lift(self, resources: Collection[str]) -> list[Quarantine]:
        return [self.sick.pop(resource) for resource in resources if resource in self.sick]


def test_a_host_in_quarantine_is_refused_with_who_and_why_until_it_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ward, "sick", {})
    registry.register_reservation_backend("ward", Ward)
    run = made("ward")
    run.quarantine(["rack"], "the fan is broken")
    with pytest.raises(NotFreeError, match="Host 'dut1' is in quarantine") as raised:
        run.check(HOST)
    assert "'rack': put in quarantine by bob on 1970-01-0" in str(raised.value)
    assert "(the fan is broken)" in str(raised.value)
    assert made("ward", **{SKIP_CHECK: "yes"}).check(HOST).startswith("Host 'dut1' is in quarantine, but ")
    assert [one.resource for one in run.lift(["rack"])] == ["rack"]
    assert run.check(HOST) == ""


def test_a_backend_without_quarantines_says_so() -> None:
    with pytest.raises(UsageError, match="The reservations 'board' cannot put hosts in quarantine"):
        made().quarantine(["dut1"], "smoke")
    assert made().waiting() == []


class Shelf(Board):
    """A backend that reserves, and says which process has what."""

    held: ClassVar[list[Holding]] = []

    def attempt(self, ticket: str) -> None:
        """There is nothing to get."""

    def holdings(self) -> list[Holding]:
        return list(self.held)


@pytest.mark.parametrize(
    ("holding", "has"),
    [
        (Holding("dut1", "bob", process="here:7"), True),
        (Holding("dut1", "bob"), True),  # a backend that knows users only
        (Holding("dut1", "bob", process="here:8"), False),
        (Holding("dut1", "eve", process="here:7"), False),
        (Holding("dut2", "bob", process="here:7"), False),
    ],
)
def test_what_another_process_holds_for_a_run_is_its_own(monkeypatch: pytest.MonkeyPatch, holding: Holding, has: bool) -> None:
    monkeypatch.setattr(Shelf, "held", [holding])
    registry.register_reservation_backend("shelf", Shelf)
    run = made("shelf")
    assert not run.has(HOST)
    run.held_by.add("here:7")
    assert run.has(HOST) is has
