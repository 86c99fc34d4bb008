"""NetBox's devices as data."""

from __future__ import annotations

from typing import Any

import pytest

from OttoLibrary.lab.foreign import netbox
from OttoLibrary.lab.foreign.conversion import Conversion

DEVICE = {
    "id": 1,
    "url": "https://nb/1",
    "name": "dut1",
    "role": {"slug": "dut"},
    "site": {"slug": "lab"},
    "device_type": {"model": "X1"},
    "primary_ip": {"address": "10.0.0.1/24"},
    "status": {"value": "staged", "label": "Staged"},
    "tags": [{"slug": "arm"}, "wifi"],
    "platform": {"slug": "cisco-ios"},
    "custom_fields": {"slot": 3, "bmc_password": "x"},
    "interface_count": 2,
    "config_context": {"a": 1},
}


@pytest.mark.parametrize(
    "content",
    [[DEVICE], {"count": 1, "results": [DEVICE]}, {"data": {"device_list": [DEVICE]}}, {"device_list": [DEVICE]}, DEVICE],
    ids=["list", "page", "graphql", "inside", "one"],
)
def test_every_form_of_answer(content: Any) -> None:
    devices = netbox.devices_in(content)
    conversion = Conversion("bench")
    assert devices
    netbox.convert(devices, content, conversion)
    assert conversion.finished()["hosts"]["dut1"] == {
        "address": "10.0.0.1",
        "profile": "cisco-ios",
        "tags": ["dut", "lab", "arm", "wifi", "staged"],
        "metadata": {"device_type": "X1", "platform": "cisco-ios", "status": "staged", "slot": 3},
    }
    told = "\n".join(conversion.notes())
    assert "'bmc_password'" in told
    assert "'config_context'" in told
    assert "'interface_count'" not in told


def test_what_has_no_address_and_what_is_on_the_next_page_is_told() -> None:
    content = {"count": 9, "next": "https://nb/?offset=1", "results": [{"id": 7, "name": None, "vcpus": 2, "primary_ip4": None}]}
    conversion = Conversion("bench")
    netbox.convert(netbox.devices_in(content) or [], content, conversion)
    assert list(conversion.notes()) == [
        "device-7: the device is not carried over: it has no primary IP address",
        "this is one page: 1 of 9 devices; export with ?limit=0",
    ]


@pytest.mark.parametrize("content", [None, [], {}, {"results": [{"prefix": "10.0.0.0/8"}]}, [1], "text"])
def test_other_content_is_no_answer_of_netbox(content: object) -> None:
    assert netbox.devices_in(content) is None
