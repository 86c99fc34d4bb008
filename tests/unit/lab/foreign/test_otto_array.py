"""otto's array as a lab file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError
from OttoLibrary.lab.foreign import otto_array
from OttoLibrary.lab.foreign.conversion import Conversion


def host(**own: Any) -> dict[str, Any]:
    return {"ip": "10.0.0.1", "ne": "Carrot", "creds": {"tester": "pw-1234", "root": "${env:ROOT_PW}"}, **own}


def test_hosts_become_ours() -> None:
    conversion = Conversion("site")
    content = [host(neId=1, labs=["east"], toolchain={"sysroot": "/"}), host(name="leek", hop="carrot1", term="telnet")]
    otto_array.convert(content, Path("hosts.json"), conversion)
    made = conversion.finished()["hosts"]
    login = {
        "user": "tester",
        "password": "${env:SITE_TESTER_PASSWORD}",
        "accounts": {"root": "${env:ROOT_PW}"},
        "address": "10.0.0.1",
    }
    assert made["carrot1"] == {**login, "tags": ["east"], "metadata": {"ne": "Carrot", "neId": 1, "toolchain": {"sysroot": "/"}}}
    assert made["leek"] == {**login, "transport": "telnet", "hop": "carrot1", "metadata": {"ne": "Carrot"}}
    told = "\n".join(conversion.notes())
    assert "pw-1234" not in told
    assert "carrot1: 'toolchain' has no counterpart and is only kept in the metadata" in told


def test_what_otto_cannot_load_is_told() -> None:
    with pytest.raises(LabError, match="unknown key 'adress'"):
        otto_array.convert([host(adress="x")], Path("hosts.json"), Conversion("site"))
    with pytest.raises(LabError, match="there twice"):
        otto_array.convert([host(), host()], Path("hosts.json"), Conversion("site"))
