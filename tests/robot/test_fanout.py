"""The same on many hosts, some of which hang, as a suite sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.keys import Keys
from tests.peers.requirements import require
from tests.peers.sshd import Sshd
from tests.robot.running import run

_HUNG = ("hung1", "hung2", "hung3")


@pytest.fixture
def lab(keys: Keys, tmp_path: Path) -> Iterator[Path]:
    """47 hosts that answer and three that are frozen: everything of theirs is there, and nothing goes on."""
    require("sshd")
    with Sshd(keys, options={"MaxStartups": "200"}) as good, Sshd(keys) as hung:
        described = {
            name: {
                "address": sshd.address,
                "port": sshd.port,
                "user": sshd.user,
                "identity_file": str(keys.identity_file),
                "host_key": "ignore",
            }
            for name, sshd in [*((f"dut{number}", good) for number in range(47)), *((name, hung) for name in _HUNG)]
        }
        (tmp_path / "lab.json").write_text(json.dumps({"hosts": described}))
        hung.pause()
        yield tmp_path


def test_hosts_that_hang_cost_their_own_time_and_are_named(lab: Path) -> None:
    suite = """*** Settings ***
Library    OttoLibrary    lab=lab.json
Library    Collections

*** Test Cases ***
Returned
    &{all}=    Run On Hosts    *    echo hello    timeout=10 s    limit=50    on_error=return
    Length Should Be    ${all}    50
    Should Be Equal    ${all.dut7.stdout}    hello\\n
    Should Contain    ${{str($all['hung2'])}}    'hung2'
    Should Be True    [name for name, one in $all.items() if one.rc != 0] == ['hung1', 'hung2', 'hung3']

Partial
    &{all}=    Run On Hosts    dut1 OR dut2    echo out; echo err >&2; sleep 100    timeout=8 s    on_error=return
    Should Be Equal    ${{[($all.dut1.rc, $all.dut1.stdout, $all.dut1.stderr)]}}    ${{[(-1, 'out\\n', 'err\\n')]}}
    &{all}=    Run On Hosts    dut1 OR dut2    echo out; (exit 3)    on_error=return
    Should Be Equal    ${{($all.dut2.rc, $all.dut2.stdout)}}    ${{(3, 'out\\n')}}

Fails
    Run On Hosts    dut1 OR hung*    echo hello    timeout=1 s

Interrupted
    [Timeout]    2 s
    Run On Hosts    dut1 OR hung1    echo hello    timeout=100 s

Stops
    Run On Hosts    hung1 OR hung2    echo hello    timeout=1 s    limit=1    stop_after=1

Number
    Run On Hosts    dut1    true    limit=0
"""
    began = time.monotonic()
    ran = run(lab, suite)
    assert time.monotonic() - began < 60
    for name in ("Returned", "Partial"):
        assert ran.tests[name].passed, ran.tests[name].message
    assert ran.html.count("on 50 hosts, 3 failed") == 1
    message = ran.tests["Fails"].message
    assert message.startswith("'echo hello' failed on 3 of 4 hosts:")
    assert all(f"'{name}'" in message for name in _HUNG)
    assert ran.tests["Interrupted"].message == "Test timeout 2 seconds exceeded."
    assert "Host &#x27;hung1&#x27; had not answered when the keyword was ended." in ran.html
    assert "1 host had failed (stop_after=1)" in ran.tests["Stops"].message
    assert ran.tests["Number"].message == "limit=0 lets no host begin. Write 1 or more."
