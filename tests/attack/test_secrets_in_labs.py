"""A secret in a lab or in settings at the wrong place is not quoted in the message about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from OttoLibrary.errors import LabError, SettingsError
from OttoLibrary.lab import settings
from OttoLibrary.lab.loading import load_lab

SECRET = "hunter2-s3cret"
OTTO = {"ip": "10.0.0.1", "ne": "x", "creds": {"u": "p"}}


def mistakes(folder: Path, content: Any) -> str:
    file = folder / "bench.json"
    file.write_text(json.dumps(content))
    with pytest.raises(LabError) as raised:
        load_lab(str(file)).facts("dut1")
    return str(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        SECRET,
        [SECRET],
        {"password": [SECRET]},
        {"password": {"value": SECRET}},
        {"password": f"{SECRET}\0"},
        {"passphrase": {"x": SECRET}},
        {"accounts": SECRET},
        {"accounts": [SECRET]},
        {"accounts": {"root": [SECRET]}},
        {"environment": SECRET},
        {"environment": [f"TOKEN={SECRET}"]},
        {"environment": {"TOKEN": [SECRET]}},
        {"environment": {"TOKEN": f"{SECRET}\0"}},
        {"metadata": SECRET},
        {"ftp": SECRET},
        {"ftp": {"password": [SECRET]}},
        {"snmp": SECRET},
        {"snmp": {"community": [SECRET]}},
        {"evidence": f"curl -u me:{SECRET}"},
        {"evidence": {"command": f"curl -u me:{SECRET}"}},
        {"evidence": [{"command": f"curl -u me:{SECRET}\0"}]},
        {"metrics": f"curl -u me:{SECRET}"},
        {"metrics": {"queue": f"curl -u me:{SECRET}"}},
        {"metrics": {"queue": {"command": f"curl -u me:{SECRET}\0"}}},
    ],
    ids=repr,
)
def test_a_lab_s_secret_of_the_wrong_type_is_not_quoted(tmp_path: Path, host: Any) -> None:
    hosts = {"dut1": {"address": "a", **host}} if isinstance(host, dict) else {"dut1": host}
    assert SECRET not in mistakes(tmp_path, {"hosts": hosts})
    if isinstance(host, dict):
        assert SECRET not in mistakes(tmp_path, {"defaults": host, "hosts": {"dut1": {"address": "a"}}})


def test_a_number_as_a_secret_is_not_quoted(tmp_path: Path) -> None:
    host = {"address": "a", "password": 271828182, "environment": {"PIN": 271828182}, "accounts": {"root": 271828182}}
    assert "271828182" not in mistakes(tmp_path, {"hosts": {"dut1": host}})


@pytest.mark.parametrize("creds", [SECRET, [SECRET], {"u": [SECRET]}])
def test_ottos_creds_of_the_wrong_type_are_not_quoted(tmp_path: Path, creds: Any) -> None:
    assert SECRET not in mistakes(tmp_path, [{**OTTO, "creds": creds}])


@pytest.mark.parametrize(
    "text",
    [
        f'reservations = "redis://:{SECRET}@host"',
        f'[reservations]\nurl = ["redis://:{SECRET}@host"]',
        f'defaults = "{SECRET}"',
        f'[defaults]\npassword = ["{SECRET}"]',
        f"[defaults]\npassword = {SECRET}",
        f'[lab]\npreferences = "{SECRET}"',
    ],
)
def test_a_secret_in_settings_is_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / ".otto").mkdir()
    (tmp_path / ".otto" / "settings.toml").write_text(f'name = "x"\nversion = "1.0.0"\n{text}\n')
    with pytest.raises(SettingsError) as raised:
        settings.read(tmp_path)
    assert SECRET not in str(raised.value)


def test_references_in_every_key_are_resolved_and_known_as_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {name: f"value-of-{name.lower()}" for name in ("PW", "ENV", "META", "METRIC", "FILE", "EVIDENCE", "FTP", "SNMP")}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    host = {
        "address": "a",
        "password": "${env:PW}",
        "environment": {"A": "${env:ENV}"},
        "metadata": {"deep": [{"x": "${env:META}"}]},
        "metrics": {"q": {"command": "curl -u me:${env:METRIC} x"}, "f": {"file": "/var/${env:FILE}"}},
        "evidence": [{"command": "curl -u me:${env:EVIDENCE} x"}],
        "ftp": {"password": "${env:FTP}"},
        "snmp": {"community": "${env:SNMP}"},
    }
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"defaults": host, "hosts": {"dut1": {}}}))
    lab = load_lab(str(file))
    facts = lab.facts("dut1")
    assert facts.metrics["q"].command == "curl -u me:value-of-metric x"
    assert facts.metrics["f"].file == "/var/value-of-file"
    assert facts.evidence[0].command == "curl -u me:value-of-evidence x"
    assert set(lab.secrets("dut1")) >= set(values.values())
