"""The hosts of a run, and the check before one is used; none of them connects here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from OttoLibrary.contracts.connections import Record
from OttoLibrary.engine import Engine
from OttoLibrary.errors import NotFreeError, UnknownNameError
from OttoLibrary.host.host import Host
from OttoLibrary.lab.host_entry import HostEntry
from OttoLibrary.lab.settings import Settings
from OttoLibrary.masking import Masker
from OttoLibrary.run.current_lab import CurrentLab
from OttoLibrary.run.open_hosts import HostNotes, OpenHosts
from OttoLibrary.run.running_suite import RunningSuite

LAB = """{"hosts": {
    "gate": {"address": "192.0.2.1"},
    "other": {"address": "192.0.2.2"},
    "dut1": {"address": "192.0.2.3", "hop": "gate"},
    "dut2": {"address": "192.0.2.4"}
}}"""


class Reservations:
    """Who has what."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.ignored: set[str] = set()
        self.checked: list[str] = []

    def check(self, host: HostEntry) -> str:
        self.checked.append(host.name)
        if host.name in self.taken:
            raise NotFreeError(f"Host '{host.name}' is reserved by somebody else", ["bob"], "Wait.")
        return f"'{host.name}' is bob's" if host.name in self.ignored else ""


class Run:
    """Open hosts and what they said."""

    def __init__(self, path: Path) -> None:
        path.write_text(LAB)
        self.engine = Engine()
        self.reservations = Reservations()
        self.warnings: list[str] = []
        self.records: list[Record] = []
        lab = CurrentLab(str(path), RunningSuite(read=lambda folder: Settings()), Masker())
        notes = HostNotes(self.records.append, self.warnings.append, lambda host: None)
        self.hosts = OpenHosts(lab, self.engine, self.reservations.check, notes)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path / "lab.json")
    yield made
    made.engine.close()


def test_a_host_is_the_same_until_it_is_closed(run: Run) -> None:
    host = run.hosts.use("dut1")
    assert run.hosts.use("dut1") is host
    run.hosts.close()
    assert run.hosts.use("dut1") is not host


def test_hosts_behind_one_hop_share_it(run: Run) -> None:
    host = run.hosts.use("dut1")
    assert host.path == ("gate", "dut1")
    assert host.hop is run.hosts.use("gate")


def test_an_unknown_host_is_named(run: Run) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'dut1'"):
        run.hosts.use("dut11")
    assert not run.hosts.used


def test_a_host_of_somebody_else_is_refused(run: Run) -> None:
    run.reservations.taken.add("dut2")
    with pytest.raises(NotFreeError):
        run.hosts.use("dut2")
    assert not run.hosts.used


def test_a_hop_is_checked_too(run: Run) -> None:
    run.reservations.taken.add("gate")
    with pytest.raises(NotFreeError, match="gate"):
        run.hosts.use("dut1")


def test_a_host_is_checked_once(run: Run) -> None:
    run.hosts.use("dut2")
    run.hosts.use("dut2")
    assert run.reservations.checked == ["dut2"]


def test_a_check_that_only_warns_is_told(run: Run) -> None:
    run.reservations.ignored.add("dut2")
    assert run.hosts.use("dut2").name == "dut2"
    assert run.warnings == ["'dut2' is bob's"]


def test_used_are_those_that_a_test_asked_for_in_its_order(run: Run) -> None:
    run.hosts.use("dut2")
    run.hosts.use("dut1")
    run.hosts.use("dut2")
    assert list(run.hosts.used) == ["dut2", "dut1"]  # the hop was not asked for


def test_free_hosts_leave_out_those_of_others(run: Run) -> None:
    run.reservations.taken.add("dut2")
    assert [host.name for host in run.hosts.free(["dut1", "dut2"])] == ["dut1"]
    assert len(run.warnings) == 1
    assert run.warnings[0].startswith("Not watched: Host 'dut2' is reserved by somebody else")
    assert not run.hosts.used


def test_when_all_are_others_none_is_free(run: Run) -> None:
    run.reservations.taken |= {"dut1", "dut2"}
    with pytest.raises(NotFreeError, match="dut1"):
        run.hosts.free(["dut1", "dut2"])


def test_another_way_to_a_host_replaces_it(run: Run) -> None:
    direct = run.hosts.use("dut1")
    rerouted = run.hosts.reroute("dut1", "other")
    assert rerouted is not direct
    assert rerouted.path == ("other", "dut1")
    assert run.hosts.use("dut1") is rerouted


def test_the_same_way_to_a_host_keeps_it(run: Run) -> None:
    host = run.hosts.use("dut1")
    assert run.hosts.reroute("dut1", "gate") is host


def test_another_way_does_not_lead_around_the_check(run: Run) -> None:
    run.reservations.taken.add("dut1")
    with pytest.raises(NotFreeError, match="dut1"):
        run.hosts.reroute("dut1", "other")
    with pytest.raises(NotFreeError, match="dut1"):
        run.hosts.use("dut1")


def test_another_way_leads_through_no_host_of_somebody_else(run: Run) -> None:
    before = run.hosts.use("dut1")
    run.reservations.taken.add("other")
    with pytest.raises(NotFreeError, match="other"):
        run.hosts.reroute("dut1", "other")
    assert run.hosts.use("dut1") is before


def test_the_way_to_a_host_that_may_not_be_used_is_known(run: Run) -> None:
    run.reservations.taken.add("dut1")
    assert run.hosts.path_to("dut1") == ("gate", "dut1")
    run.hosts.reroute("dut2", "other")
    assert run.hosts.path_to("dut2") == ("other", "dut2")


def test_hosts_behind_hops_are_closed_first_and_one_that_fails_keeps_no_other_open(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def close(host: Host) -> None:
        closed.append(host.name)
        if host.name == "dut1":
            raise RuntimeError("it does not end")

    monkeypatch.setattr(Host, "close", close)
    run.hosts.use("dut1")
    run.hosts.use("dut2")
    with pytest.raises(RuntimeError, match="it does not end"):
        run.hosts.close()
    assert closed[0] == "dut1"
    assert sorted(closed) == ["dut1", "dut2", "gate"]
    run.hosts.close()
    assert len(closed) == 3
