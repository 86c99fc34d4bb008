"""A lab: references resolved once, and the path to each host."""

from __future__ import annotations

import pytest

from OttoLibrary import registry
from OttoLibrary.errors import LabError
from OttoLibrary.lab.lab import Lab
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.text import Secret
from tests.unit.lab.benches import Write, bench, facts


class Counting:
    """A reference that counts how often it is asked."""

    asked = closed = 0

    def resolve(self, argument: str) -> str:
        type(self).asked += 1
        return f"<{argument}>"

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(registry, "_registered", {})
    made = type("Made", (Counting,), {})
    registry.register_reference("count", made)
    return made


def test_references_become_values_of_the_right_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "2200", "YES": "true", "WAIT": "2 s", "PW": "s3cret"}.items():
        monkeypatch.setenv(name, value)
    found = facts(port="${env:PORT}", timeout="${env:WAIT}", password="x${env:PW}", ssh={"agent": "${env:YES}"})
    assert (found.port, found.timeout, found.password, found.ssh.agent) == (2200, 2.0, Secret("xs3cret"), True)


def test_all_missing_values_come_in_one_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "many")
    hosts = {"dut1": {"address": "x", "user": "${env:NO_U}", "port": "${env:PORT}", "environment": {"A": "${file:no}"}}}
    write({"defaults": {"password": "${env:NO_P}", "user": "${env:NOT_ASKED}"}, "hosts": hosts})
    lab = load_lab("bench")
    with pytest.raises(LabError) as raised:
        lab.facts("dut1")
    assert raised.value.problems == (
        "labs/bench.json: environment variable 'NO_P' is not set @ defaults.password",
        "labs/bench.json: environment variable 'NO_U' is not set @ hosts.dut1.user",
        "labs/bench.json: the value of '${env:PORT}' is not a port from 1 to 65535 @ hosts.dut1.port",
        "labs/bench.json: file 'no' cannot be read (No such file or directory) @ hosts.dut1.environment.A",
    )


def test_a_reference_is_resolved_on_first_use_and_once(write: Write, counting: type[Counting]) -> None:
    write(bench(user="${count:a}", password="${count:a}"))
    lab = load_lab("bench")
    assert counting.asked == 0
    assert lab.facts("dut1") is lab.facts("dut1")
    assert counting.asked == 1
    lab.close()
    lab.close()
    assert counting.closed == 1


def test_secrets_are_all_that_must_be_masked(write: Write, counting: type[Counting]) -> None:
    environment, metadata = {"TOKEN": "t=${count:t}", "LANG": "C"}, {"a": ["${count:m}", "plain"]}
    write(bench(user="${count:u}", password="pw", accounts={"r": "${count:r}"}, environment=environment, metadata=metadata))
    assert load_lab("bench").secrets("dut1") == ["pw", "<r>", "<t>", "<m>"]


def test_the_way_to_a_host(lab: Lab) -> None:
    assert lab.path("rig") == ("gw", "dut1", "rig")
    assert lab.path("rig", hop="dut2") == ("dut2", "rig")
    assert lab.path("rig", hop="") == ("rig",)


def test_a_hop_that_cannot_be_is_an_error(lab: Lab) -> None:
    with pytest.raises(LabError, match="No hop named 'dut9'"):
        lab.path("rig", hop="dut9")
    with pytest.raises(LabError, match="Host 'gw' cannot be reached through 'rig', which is reached through 'gw' itself"):
        lab.path("gw", hop="rig")
