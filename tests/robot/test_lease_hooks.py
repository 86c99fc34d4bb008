"""What a lab does around each reservation of a host, in whole runs, and what becomes of hosts that cannot be made ready."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.contracts.reservations import Demand
from OttoLibrary.reservation.backends.file import FileReservations
from tests.robot.running import Run, begin, command, run

_SUITE = """*** Settings ***
Library    OttoLibrary    lab=lab.json
*** Test Cases ***
Ready
    Reserve Hosts    box
    Hosts Should Be Reserved    box
    Run On Host    box    echo used >> trace
Not Ready
    Run Keyword And Expect Error    'before_lease' of host 'sick' failed: *no fan*    Reserve Hosts    sick
    Run Keyword And Expect Error
    ...    Host 'sick' is in quarantine. Who has what: *put in quarantine by * ('before_lease' of host 'sick' failed: *
    ...    Run On Host    sick    true
    Reserve Hosts    box
Not Tidy
    Reserve Hosts    untidy
Too Slow
    Run Keyword And Expect Error    'before_lease' of host 'slow' failed: it took longer than 1.00 s*    Reserve Hosts    slow
Warned
    Reserve Hosts    warned
"""
_AT_ITS_END = """*** Settings ***
Library    OttoLibrary    lab=lab.json
Suite Setup    Reserve Hosts    untidy
*** Test Cases ***
One
    Log    does not use it
"""
_TWO = """*** Settings ***
Library    OttoLibrary    lab=lab.json
*** Test Cases ***
One
    Reserve Hosts    HOST
Two
    Run On Host    box    true
"""
_LONG_S = 60.0


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lab of hosts that are this machine, each with its own hooks."""
    monkeypatch.setenv("OTTO_LEASES", str(tmp_path / "leases"))

    def step(text: str, **more: Any) -> dict[str, Any]:
        return {"command": text, **more}

    hosts = {
        "box": {"before_lease": [step("echo before box >> trace")], "after_lease": [step("echo after box >> trace")]},
        "sick": {"before_lease": [step("echo no fan; exit 3", on_failure="quarantine"), step("echo never >> trace")]},
        "untidy": {"after_lease": [step("echo no room; exit 4"), step("echo tried >> trace", host="box")]},
        "slow": {"before_lease": [step("sleep 300", timeout="1 s")]},
        "warned": {"before_lease": [step("exit 5", on_failure="warn")]},
        "long": {"after_lease": [step("echo $$ > ending; until test -e go; do sleep 0.05; done")]},
        "waiting": {"before_lease": [step("echo $$ >> began; test -e go || sleep 300")]},
    }
    same = {"transport": "local", "cwd": str(tmp_path)}
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": {name: same | hooks for name, hooks in hosts.items()}}))
    return tmp_path


def trace(site: Path) -> list[str]:
    file = site / "trace"
    return file.read_text().splitlines() if file.exists() else []


def holdings(site: Path) -> list[Any]:
    backend = FileReservations(str(site / "leases"))
    try:
        return [holding.resource for holding in backend.holdings()]
    finally:
        backend.close()


def wait_until(state: Callable[[], object], what: str) -> None:
    end = time.monotonic() + _LONG_S
    while not state():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.05)


def statuses(done: Run) -> dict[str, str]:
    return {name: test.status for name, test in done.tests.items()}


def test_hosts_are_made_ready_and_tidied_and_sick_ones_are_taken_out(site: Path) -> None:
    done = run(site, _SUITE)
    expected = {"Ready": "PASS", "Not Ready": "PASS", "Not Tidy": "FAIL", "Too Slow": "PASS", "Warned": "PASS"}
    assert statuses(done) == expected, {name: test.message for name, test in done.tests.items()}
    assert trace(site) == ["before box", "used", "after box", "before box", "after box", "tried"]
    assert "'after_lease' of host 'untidy' failed:" in done.tests["Not Tidy"].message
    assert "'before_lease' of host 'warned' failed:" in done.said
    assert holdings(site) == []
    rc, said = command(site, "OttoLibrary", "reservations", "lab.json", "--json")
    assert rc == 0
    assert {row["host"] for row in json.loads(said) if row["quarantine"]} == {"sick"}


def test_what_fails_at_the_end_of_a_suite_fails_its_teardown(site: Path) -> None:
    done = run(site, _AT_ITS_END)
    assert (done.rc, statuses(done)) == (1, {"One": "FAIL"})
    assert "'after_lease' of host 'untidy' failed:" in done.tests["One"].message
    assert holdings(site) == []


def test_a_run_that_is_killed_in_a_hook_leaves_the_host_to_the_next(site: Path) -> None:
    suite = _AT_ITS_END.replace("Reserve Hosts    untidy", "Reserve Hosts    waiting    wait=1 min")
    (site / "suite.robot").write_text(suite)
    process = begin(site, "suite.robot")
    try:
        wait_until(lambda: (site / "began").exists() and (site / "began").read_text().endswith("\n"), "hook")
        assert len(holdings(site)) == 1
    finally:
        process.kill()
        process.communicate(timeout=_LONG_S)
    (site / "go").touch()
    done = run(site, suite)
    assert statuses(done) == {"One": "PASS"}
    assert len((site / "began").read_text().splitlines()) == 2
    assert holdings(site) == []


@pytest.mark.parametrize("is_taken", [False, True])
def test_who_waits_gets_the_host_after_the_hooks_unless_it_is_taken_by_force(site: Path, is_taken: bool) -> None:
    (site / "suite.robot").write_text(_TWO.replace("HOST", "long"))
    process = begin(site, "suite.robot")
    backend = FileReservations(str(site / "leases"))
    try:
        wait_until(lambda: (site / "ending").exists() and (site / "ending").read_text().endswith("\n"), "hook")
        (resource,) = {holding.resource for holding in backend.holdings()}
        ticket = backend.join(Demand({"long": (resource,)}, 1, "bob"))
        assert backend.attempt(ticket) is None
        if is_taken:
            backend.release_forced(resource, "carol", "release day")
        else:
            (site / "go").touch()
        wait_until(lambda: backend.attempt(ticket) is not None, "lease")
        said, _ = process.communicate(timeout=_LONG_S)
    finally:
        process.kill()
        process.communicate(timeout=_LONG_S)
        backend.close()
    assert process.returncode == (1 if is_taken else 0), said
    assert ("carol took it by force (release day)" in said) is is_taken
    # What ran on a host that is another's by now was ended.
    wait_until(lambda: not Path(f"/proc/{(site / 'ending').read_text().strip()}").exists(), "end of the command")


def test_a_mistake_in_a_hook_is_found_when_the_lab_loads(site: Path) -> None:
    wrong = {
        "hosts": {"box": {"transport": "local", "before_lease": [{"command": "true", "host": "bxo"}, {"on_failure": "ignore"}]}}
    }
    (site / "lab.json").write_text(json.dumps(wrong))
    rc, said = command(site, "OttoLibrary", "hosts", "lab.json")
    assert rc == 2
    for sentence in ("host 'bxo' is not a host of the lab", "did you mean 'box'?", "'command' is missing", "'ignore'"):
        assert sentence in said
