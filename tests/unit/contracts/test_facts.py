"""The facts of a host: values that show no secret, share no data and cannot be changed."""

from __future__ import annotations

import dataclasses

import pytest

from OttoLibrary.contracts.facts import FtpOptions, HostFacts, SnmpOptions
from OttoLibrary.contracts.profiles import linux
from OttoLibrary.text import Secret

SECRET = "hunter2-long"


def test_no_secret_is_in_what_is_printed() -> None:
    facts = HostFacts(
        "dut1",
        password=Secret(SECRET),
        passphrase=Secret(SECRET),
        accounts={"root": Secret(SECRET)},
        ftp=FtpOptions(password=Secret(SECRET)),
        snmp=SnmpOptions(community=Secret(SECRET)),
    )
    assert SECRET not in repr(facts)
    assert SECRET not in f"{facts}"
    assert SECRET not in str(dataclasses.asdict(facts))


def test_a_host_with_a_name_only_is_a_linux_host_over_ssh_whose_every_wait_ends() -> None:
    facts = HostFacts("dut1")
    assert (facts.transport, facts.console) == ("ssh", linux())
    assert min(facts.timeout, facts.connect_timeout, facts.keepalive, facts.snmp.timeout) > 0
    assert facts.host_key != "ignore"


def test_two_hosts_share_no_data() -> None:
    first, second = HostFacts("a"), HostFacts("b")
    for field in ("metadata", "environment", "accounts", "metrics"):
        assert getattr(first, field) is not getattr(second, field)


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        HostFacts("dut1").address = "10.0.0.1"  # type: ignore[misc]
