"""The files of the hosts of a run; nothing connects here."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.errors import UnknownNameError
from OttoLibrary.run.host_files import HostFiles
from tests.unit.host.hosts import make_host


class Hosts:
    """The open hosts of a run."""

    def __init__(self) -> None:
        self.open = {"dut1": make_host(), "dut2": make_host()}

    def use(self, name: str) -> Any:
        if name not in self.open:
            raise UnknownNameError("host", name, self.open)
        return self.open[name]


def files_of(hosts: Any) -> HostFiles:
    return HostFiles(hosts, lambda news: None, lambda host: None)


def test_a_host_keeps_its_files_and_shares_them_with_nobody() -> None:
    files = files_of(Hosts())
    assert files.on("dut1") is files.on("dut1")
    assert files.on("dut1") is not files.on("dut2")
    assert files.on("dut2").host is not files.on("dut1").host


def test_a_host_that_was_opened_again_has_new_files() -> None:
    hosts = Hosts()
    files = files_of(hosts)
    before = files.on("dut1")
    hosts.open["dut1"] = make_host()
    assert files.on("dut1") is not before
    assert files.on("dut1").host is hosts.open["dut1"]


def test_a_host_is_checked_each_time() -> None:
    hosts = Hosts()
    files = files_of(hosts)
    files.on("dut1")
    del hosts.open["dut1"]
    with pytest.raises(UnknownNameError):
        files.on("dut1")
    with pytest.raises(UnknownNameError):
        files.folders_on("dut1")
