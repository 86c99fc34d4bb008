"""Hosts that somebody else has reserved are not used, and nobody who does not answer is taken for a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from robot.api import ExecutionResult

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.backends.file import FileReservations
from tests.robot.running import ROOT, command, run

_SUITE = """*** Settings ***
Library     OttoLibrary    lab=demo

*** Test Cases ***
One
    Run On Host    dut1    true

Two
    Run On Host    dut2    true

Reserved
    Hosts Should Be Reserved    dut2
"""
_BOB = {"user": "bob", "resources": ["demo/dut1"]}
_ALICE = {"user": "alice", "resources": ["demo/dut2"]}


class Site:
    """A folder with a suite, run by alice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.suite = _SUITE
        self.environment = {"OTTO_USER": "alice", "OTTO_LEASES": str(folder / "leases")}

    def booked(self, *reservations: dict[str, object]) -> None:
        (self.folder / "who.json").write_text(json.dumps({"version": 1, "reservations": list(reservations)}))
        self.environment |= {"OTTO_RESERVATION_BACKEND": "json", "OTTO_RESERVATIONS": str(self.folder / "who.json")}

    def run(self, *words: str) -> tuple[int, str]:
        return command(self.folder, *words, **self.environment)

    def robot(self, *options: str) -> tuple[dict[str, str], str]:
        """Return the message of each test that failed, ``PASS`` of those that did not, and what was said."""
        ran = run(self.folder, self.suite, *options, **self.environment)
        return {name: test.message if test.failed else test.status for name, test in ran.tests.items()}, ran.said


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_another_s_host_is_refused_and_the_rest_goes_on(site: Site) -> None:
    site.booked(_BOB, _ALICE)
    found, _ = site.robot()
    assert found == {
        "One": "Host 'dut1' is reserved by somebody else. Who has what: 'demo/dut1': bob. Wait for it with 'Reserve Hosts'; "
        "'--variable OTTO_SKIP_RESERVATION_CHECK:yes' uses it anyway.",
        "Two": "PASS",
        "Reserved": "PASS",
    }


def test_going_on_all_the_same_is_loud(site: Site) -> None:
    site.booked(_BOB, _ALICE)
    found, said = site.robot("--variable", "OTTO_SKIP_RESERVATION_CHECK:yes")
    assert found == {"One": "PASS", "Two": "PASS", "Reserved": "PASS"}
    assert "[ WARN ] Host 'dut1' is reserved by somebody else, but OTTO_SKIP_RESERVATION_CHECK allows its use." in said


def test_what_two_have_is_for_both(site: Site) -> None:
    site.booked(_BOB, _ALICE | {"resources": ["demo/dut1"]})
    found, _ = site.robot()
    assert (found["One"], found["Two"]) == ("PASS", "PASS")
    assert found["Reserved"].startswith("1 host not reserved by this run: dut2. Who has what: nobody.")


def test_a_backend_that_does_not_answer_is_no_yes(site: Site) -> None:
    site.booked()
    (site.folder / "who.json").unlink()
    found, _ = site.robot()
    assert all("so it is unknown who has what" in message for message in found.values())


def test_a_process_of_another_user_is_somebody_else(site: Site) -> None:
    backend = FileReservations(str(site.folder / "leases"))
    assert backend.attempt(backend.join(Demand({"dut1": ("demo/dut1",)}, 1, "bob", "soak test")))
    found, _ = site.robot()
    assert "Who has what: 'demo/dut1': bob (" in found["One"]
    assert found["Two"] == "PASS"
    backend.close()
    assert site.robot()[0]["One"] == "PASS"


def test_a_lab_whose_resources_are_another_s_does_not_start(site: Site) -> None:
    demo = json.loads((ROOT / "OttoLibrary" / "lab" / "labs" / "demo.json").read_text())
    (site.folder / "rack.json").write_text(json.dumps(demo | {"name": "demo", "resources": ["rack-7"]}))
    site.suite = _SUITE.replace("lab=demo", "lab=rack.json")
    site.booked(_ALICE, {"user": "bob", "resources": ["rack-7"]})
    found, _ = site.robot()
    assert found["One"].startswith("Host 'dut1' is reserved by somebody else. Who has what: 'rack-7': bob. ")
    assert found["Two"].startswith("Host 'dut2' is reserved by somebody else. Who has what: 'demo/dut2': alice; 'rack-7': bob. ")
    site.booked(_ALICE, {"user": "alice", "resources": ["rack-7"]})
    assert site.robot()[0] == {"One": "PASS", "Two": "PASS", "Reserved": "PASS"}


def test_the_monitor_leaves_them_out_and_says_so(site: Site) -> None:
    site.booked(_BOB)
    _, said = site.robot("--listener", "OttoLibrary.Metrics:lab=demo:hosts=tag:dut:interval=200ms:store=none")
    assert "[ WARN ] Not watched: Host 'dut1' is reserved by somebody else." in said
    metadata = [test.metadata for test in ExecutionResult(site.folder / "results" / "output.xml").suite.tests]
    assert not any("dut1" in key for entries in metadata for key in entries)


def test_the_command_line_tells(site: Site) -> None:
    site.booked(_BOB)
    code, said = site.run("OttoLibrary", "check", "demo")
    assert code == 1
    assert "dut1     Host 'dut1' is reserved by somebody else. Who has what: 'demo/dut1': bob." in said
    code, said = site.run("OttoLibrary", "reservations", "demo")
    assert code == 0
    assert [line.split()[:3] for line in said.splitlines() if line.startswith("dut")] == [
        ["dut1", "demo/dut1", "bob"],
        ["dut2", "demo/dut2", "free"],
        ["dut3", "demo/dut3", "free"],
    ]


def test_another_s_host_is_refused_on_another_way_too(site: Site) -> None:
    site.booked(_BOB)
    site.suite = (
        _SUITE.partition("*** Test Cases")[0]
        + """*** Test Cases ***
Around
    Open Host    dut1    hop=gateway

After It
    Run On Host    dut1    true
"""
    )
    found, _ = site.robot()
    for name in ("Around", "After It"):
        assert found[name].startswith("Host 'dut1' is reserved by somebody else. Who has what: "), found


def test_on_many_hosts_the_others_have_their_results(site: Site) -> None:
    site.booked(_BOB)
    site.suite = (
        _SUITE.partition("*** Test Cases")[0]
        + """*** Test Cases ***
All
    Run On Hosts    dut*    echo here is $HOSTNAME
"""
    )
    ran = run(site.folder, site.suite, **site.environment)
    message = ran.tests["All"].message
    assert message.startswith("'echo here is $HOSTNAME' failed on 1 of 3 hosts:")
    assert "Host 'dut1' is reserved by somebody else" in message
    table = next(said.message for said in ran.tests["All"].body[0].messages if "<table" in said.message)
    assert table.count("here is") == 3  # the command itself, and the two hosts
    assert "Host &#x27;dut1&#x27; is reserved" in table
