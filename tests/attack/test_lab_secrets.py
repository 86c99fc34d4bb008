"""A secret in the wrong place of a lab, or in a key of its own kind, shows in no error and no log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError, OttoError
from OttoLibrary.lab.loading import load_lab
from OttoLibrary.masking import mask
from OttoLibrary.run.session import Session

SECRET, NUMBER = "hunter2-longer", 8675309


@pytest.mark.parametrize(
    "wrong",
    [
        {"accounts": SECRET},
        {"accounts": [SECRET]},
        {"accounts": {"root": [SECRET]}},
        {"password": [SECRET]},
        {"password": NUMBER},
        {"password": {"value": SECRET}},
        {"environment": SECRET},
        {"environment": {"TOKEN": NUMBER}},
        {"environment": {"TOKEN": [SECRET]}},
        {"ftp": SECRET},
        {"ftp": {"password": NUMBER}},
        {"snmp": {"community": NUMBER}},
        {"metadata": SECRET},
        {"metrics": {"queue": {"command": NUMBER}}},
        {"evidence": SECRET},
        {"tags": SECRET},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_not_quoted(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": {"dut1": {"address": "192.0.2.1"} | wrong}}))
    with pytest.raises(LabError) as caught:
        load_lab(str(tmp_path / "lab.json"))
    assert SECRET not in str(caught.value)
    assert str(NUMBER) not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        {"metrics": {"queue": {"command": "curl -u ${env:TOKEN}"}}},
        {"evidence": [{"command": "curl -u ${env:TOKEN}"}]},
        {"environment": {"TOKEN": "${env:TOKEN}"}},
        {"metadata": {"api": {"token": "${env:TOKEN}"}}},
        {"accounts": {"root": "${env:TOKEN}"}},
        {"ftp": {"password": "${env:TOKEN}"}},
        {"password": SECRET},
        {"passphrase": SECRET, "identity_file": "/dev/null"},
        {"snmp": {"community": SECRET}},
    ],
    ids=str,
)
def test_a_secret_is_known_before_its_host_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: dict[str, Any]) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "lab.json").write_text(json.dumps({"hosts": {"dut1": {"address": "192.0.2.1"} | host, "dut2": {"address": "x"}}}))
    session = Session(str(tmp_path / "lab.json"))
    assert session.lab.loaded.names() == ["dut1", "dut2"]
    assert mask(f"it says {SECRET}") == "it says <secret>"
    assert str(OttoError(f"it says {SECRET}")) == "it says <secret>"
    session.close()
